"""``tillbell`` as processes of their own: started, watched, told to stop, always ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAIT_SECONDS = 30.0


@dataclass
class Running:
    """A process and what it has said so far."""

    process: subprocess.Popen[bytes]
    out: list[str] = field(default_factory=list)
    err: list[str] = field(default_factory=list)
    _readers: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to read what it says."""
        for stream, kept in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            assert stream is not None
            reader = threading.Thread(
                target=lambda stream=stream, kept=kept: kept.extend(map(bytes.decode, stream)),
                daemon=True,
            )
            reader.start()
            self._readers.append(reader)

    def said(self, text: str) -> str:
        """Wait until it says a line with ``text`` on either stream, and return that line."""

        def line() -> str | None:
            return next((each for each in [*self.out, *self.err] if text in each), None)

        until(lambda: line() is not None, self._complaint)
        found = line()
        assert found is not None
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code, everything it said having been read."""
        self.process.send_signal(number)
        code = self.process.wait(WAIT_SECONDS)
        self.close()
        return code

    def close(self) -> None:
        """Read the last words and let go of the pipes."""
        for reader in self._readers:
            reader.join(WAIT_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _complaint(self) -> str:
        return f"exit code {self.process.poll()}; it said {[*self.out, *self.err]}"


@contextmanager
def running(
    arguments: list[str], settings: Mapping[str, str], *, module: str = "worker"
) -> Iterator[Running]:
    """Run ``python -m worker`` (which is ``tillbell``) while the block runs, and end it then."""
    process = subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env={**os.environ, **settings, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        restore_signals=True,
        start_new_session=True,
    )
    found = Running(process)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        found.close()


def until(
    holds: Callable[[], bool],
    complaint: Callable[[], str] | None = None,
    *,
    seconds: float = WAIT_SECONDS,
) -> None:
    """Wait until something holds, or fail with a complaint."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, complaint() if complaint else "it never held"
        time.sleep(0.02)


def free_port() -> int:
    """Return a port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
