"""A PostgreSQL server that is one test's alone: stopped, killed, started again on the same data."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.server_kinds import PostgreSQL
from tests.servers import _new_folder, free_port, server

#: How PostgreSQL is told to end: in order but at once, or as if the power had gone.
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT


class _Kept(PostgreSQL):
    """A server whose port and data outlive it."""

    def __init__(self, folder: Path, options: dict[str, str]) -> None:
        self.folder = folder
        self._port = free_port()
        self._options = options

    def prepare(self, programs: Path, folder: Path) -> None:
        """Make the cluster the first time."""
        del folder
        if not (self.folder / "data").exists():
            super().prepare(programs, self.folder)

    def command(self, programs: Path, folder: Path, port: int) -> list[str]:
        """Serve our data on our port."""
        del folder, port
        command = super().command(programs, self.folder, self._port)
        return [*command, *(f"--{name}={value}" for name, value in self._options.items())]

    def url(self, port: int) -> str:
        """Return the address of our port."""
        del port
        return super().url(self._port)


class OwnPostgreSQL:
    """A server and the means to end it; what was committed is there after each start."""

    def __init__(self, kind: _Kept) -> None:
        self._kind = kind
        self._life = ExitStack()
        self.url = ""

    def start(self) -> None:
        """Start, and wait until it answers."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TILLBELL_TEST_SERVERS", "installed,packaged")
            self.url = self._life.enter_context(server(self._kind))

    def stop(self, how: int = FAST) -> None:
        """End it and wait until it is gone."""
        data = self._kind.folder / "data"
        os.kill(int((data / "postmaster.pid").read_text().split()[0]), how)
        self._life.close()

    def restart(self, how: int = FAST) -> None:
        """End it and start it again."""
        self.stop(how)
        self.start()

    def close(self) -> None:
        """End it for good."""
        self._life.close()


@contextmanager
def own_postgresql(**options: str) -> Iterator[OwnPostgreSQL]:
    """Serve an empty PostgreSQL with more options while the block runs."""
    with ExitStack() as stack:
        found = OwnPostgreSQL(_Kept(_new_folder(stack), options))
        stack.callback(found.close)
        found.start()
        yield found
