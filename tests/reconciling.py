"""A reconciler on a test's dispatcher, with hints that are acted upon or dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from config.clock import FixedClock
from dispatcher.hints import Hints, NoHints
from dispatcher.probes import Caller
from dispatcher.transport import CallbackTransport
from engine.database import Database
from reconciler import discrepancy_views
from reconciler.runner import Runner
from tests.chains import dump
from tests.dispatching import POLICY, Dispatching, dispatching

#: What a run writes about itself, which is not a change of what it looked at.
OWN_TABLES = ("runs", "discrepancies", "discrepancy_log", "ledger_checkpoints", "endpoint_probes")


class Acting:
    """Hints that are done at once: nobody has to wait for a broker."""

    def __init__(self, dispatch: Dispatching) -> None:
        self._dispatch = dispatch

    def relay(self) -> None:
        """Fan out what waits."""
        self._dispatch.relay.run_until_empty()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Drain the mailboxes named, and whatever else is due, to the end."""
        self._dispatch.drainer.take(endpoint_ids)
        self._dispatch.drainer.run_once()


@dataclass
class Reconciling:
    """A dispatcher and a reconciler on the same database and clock."""

    dispatch: Dispatching
    database: Database
    clock: FixedClock
    runner: Runner

    def run(self, *names: str, **options: Any) -> list[dict[str, Any]]:
        """Run the named checks, or all."""
        return list(self.runner.run(names or None, actor="test", **options))

    def found(self, *names: str, **options: Any) -> dict[str, tuple[int, int]]:
        """Run checks and return how many each found and healed, where it found any."""
        rows = self.run(*names, **options)
        return {row["check"]: (row["found"], row["healed"]) for row in rows if row["found"]}

    def everything(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return every row of every table."""
        return dump(self.database)

    def content(self) -> Mapping[str, list[tuple[Any, ...]]]:
        """Return every row but those the reconciler writes about itself."""
        everything = dump(self.database)
        return {name: rows for name, rows in everything.items() if name not in OWN_TABLES}

    def discrepancies(self) -> list[tuple[str, str]]:
        """Return check and status of every discrepancy, oldest first."""
        with self.database.read() as connection:
            rows = discrepancy_views.listing(connection, limit=1000)
        return [(row["check"], row["status"]) for row in reversed(rows)]

    def settled(self, name: str, **options: Any) -> None:
        """Require that running a check again finds nothing and changes no row."""
        before = self.content()
        assert {} == self.found(name, **options)
        assert before == self.content()


@contextmanager
def reconciling(
    database: Database,
    clock: FixedClock,
    *,
    hints: Hints | None = None,
    transport: Callable[[], CallbackTransport] | None = None,
) -> Iterator[Reconciling]:
    """Put dispatcher and reconciler together; without ``hints`` they are acted upon.

    ``transport`` is what endpoints are probed with.
    """
    with dispatching(database, clock) as dispatch:
        caller = Caller(dispatch.guard.keyring, transport or (lambda: CallbackTransport(POLICY)))
        runner = Runner(dispatch.units, hints or Acting(dispatch), caller)
        yield Reconciling(dispatch, database, clock, runner)


def at(text: str) -> datetime:
    """Return a UTC instant of the tests' month."""
    return datetime.fromisoformat(text + "+00:00")


DROPPED = NoHints()
