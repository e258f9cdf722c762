"""Redis servers that are one test's alone: set up, filled, stopped, and begun again empty."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server_kinds import RedisServer
from tests.servers import server


class _RedisAt(RedisServer):
    """A Redis server on a port of our choice."""

    def __init__(self, port: int) -> None:
        self._port = port

    def command(self, programs: Path, folder: Path, port: int) -> list[str]:
        """Serve on our port, whichever was found free."""
        del port
        return super().command(programs, folder, self._port)

    def url(self, port: int) -> str:
        """Return the address of our port."""
        del port
        return super().url(self._port)


@contextmanager
def redis_at(port: int) -> Iterator[str]:
    """Serve an empty Redis on a port while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TILLBELL_TEST_SERVERS", "installed,packaged")
        with server(_RedisAt(port)) as url:
            yield url
