"""Real ``tillbell`` processes that start in a moment: forked from one that has loaded all of it.

A test that kills hundreds cannot wait a second for each to import; what runs is the same command.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from worker.bootstrap import Application

LOADED = (
    *("worker.cli.running", "worker.cli.serving", "worker.serving", "worker.tracing"),
    *("dramatiq.brokers.redis", "psycopg", "sqlalchemy.dialects.postgresql.psycopg", "uvloop"),
)
VERBS = ("endpoints", "events", "orders", "reconcile", "tenants", "wallets", "remittances")
WAIT_SECONDS = 30.0


@dataclass
class Living:
    """One process and the file that holds what it says."""

    process: BaseProcess
    log: Path

    @property
    def pid(self) -> int:
        """Its number."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        """Whether it lives."""
        return self.process.is_alive()

    def said(self) -> str:
        """Return everything it has said."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def until_said(self, text: str) -> None:
        """Wait until it has said ``text``."""
        deadline = time.monotonic() + WAIT_SECONDS
        while text not in self.said():
            assert self.alive, f"it ended with {self.process.exitcode}: {self.said()}"
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stand_still(self) -> None:
        """Stop it with SIGSTOP and wait until each of its threads stands."""
        self.signal(signal.SIGSTOP)
        deadline = time.monotonic() + WAIT_SECONDS
        while not all(_stands(task) for task in Path(f"/proc/{self.pid}/task").iterdir()):
            assert time.monotonic() < deadline, "it goes on"
            time.sleep(0.001)

    def kill(self) -> None:
        """End it with SIGKILL and wait for that."""
        self.process.kill()
        self.ended()

    def stop(self) -> int:
        """End it with SIGTERM and return its exit code."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self, timeout_seconds: float = WAIT_SECONDS) -> int:
        """Wait until it ended; return its exit code, negative for a signal."""
        self.process.join(timeout_seconds)
        assert self.process.exitcode is not None, f"it lives on: {self.said()}"
        return self.process.exitcode


def _stands(task: Path) -> bool:
    """Tell whether a thread is stopped: T, after the name in brackets."""
    return (task / "stat").read_text().rpartition(")")[2].split()[0] == "T"


@dataclass
class Fleet:
    """Starts processes of one installation; those that live at its end are killed."""

    application: Application
    folder: Path
    started: int = 0

    def __post_init__(self) -> None:
        """Prepare to fork."""
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(
            [*LOADED, *(f"worker.cli.{verb}" for verb in VERBS), __name__]
        )
        self._living: list[Living] = []

    def start(self, *arguments: str, crash_at: str | None = None, **settings: str) -> Living:
        """Run ``tillbell`` with ``arguments``, armed if a crash point is named."""
        environment = self.application.settings.as_environment() | {"TILLBELL_API_PORT": "0"}
        if crash_at is not None:
            environment |= {"TILLBELL_ALLOW_CRASHES": "true", "TILLBELL_CRASH_AT": crash_at}
        environment |= {f"TILLBELL_{name.upper()}": value for name, value in settings.items()}
        self.started += 1
        log = self.folder / f"process-{self.started}-{arguments[0]}.log"
        process = self._context.Process(target=_live, args=(arguments, environment, log))
        process.start()
        living = Living(process, log)
        self._living.append(living)
        return living

    def run(self, *arguments: str, crash_at: str | None = None, **settings: str) -> int:
        """Run ``tillbell`` to its end and return its exit code."""
        return self.start(*arguments, crash_at=crash_at, **settings).ended()

    def serving(self, verb: str, crash_at: str | None = None, **settings: str) -> Living:
        """Start a process that stays, and wait until it says that it works."""
        living = self.start(verb, crash_at=crash_at, **settings)
        living.until_said(".started")
        return living

    def close(self) -> None:
        """Kill whatever lives."""
        for living in self._living:
            if living.alive:
                living.process.kill()
            living.process.join()
            living.process.close()


@contextmanager
def fleet(application: Application, folder: Path) -> Iterator[Fleet]:
    """Start processes while the block runs."""
    found = Fleet(application, folder)
    try:
        yield found
    finally:
        found.close()


def _live(arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> None:
    """Be ``tillbell`` from here on."""
    from worker.cli.entry import run  # loaded in the process that forks

    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as file:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.exit(run(arguments))
