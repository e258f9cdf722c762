"""One transaction: state, postings and events, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy import Connection

from config.clock import Clock
from config.crash_points import C01_BEFORE_COMMIT, C02_COMMITTED, at
from engine.again import Made, again
from engine.database import Database, database_now
from engine.events import EventDraft, record


@dataclass(slots=True)
class UnitOfWork:
    """An open transaction with its one instant and who acts; its events go in at its end."""

    connection: Connection
    now: datetime
    actor: str
    source: str
    drafts: list[EventDraft] = field(default_factory=list)

    def raise_event(self, draft: EventDraft) -> None:
        """Keep an event to be inserted, in order, just before this transaction commits."""
        if draft.occurred_at is None:
            draft = replace(draft, occurred_at=self.now)
        self.drafts.append(draft)


@dataclass(frozen=True, slots=True)
class UnitsOfWork:
    """Begins units of work on one database.

    ``clock`` None means the database's clock. ``hint`` is called after a commit that raised events;
    losing it costs latency only.
    """

    database: Database
    clock: Clock | None = None
    hint: Callable[[], None] | None = None

    @contextmanager
    def begin(self, *, actor: str, source: str = "cli") -> Iterator[UnitOfWork]:
        """Open a transaction; it commits with its events unless the block raises."""
        with self.database.write() as connection:
            work = UnitOfWork(connection, self._now(connection), actor, source)
            yield work
            if work.drafts:
                # Stamped as late as can be: what waits, waits from the commit on.
                record(connection, work.drafts, self._now(connection))
            at(C01_BEFORE_COMMIT)
        at(C02_COMMITTED)
        if work.drafts and self.hint is not None:
            self.hint()

    def run(self, make: Callable[[UnitOfWork], Made], *, actor: str, source: str = "cli") -> Made:
        """Do one thing in a unit of work of its own, again when the database made it give way.

        ``make`` may be called up to six times, each time in a new transaction.
        """

        def once() -> Made:
            with self.begin(actor=actor, source=source) as work:
                return make(work)

        return again(once)

    def now(self) -> datetime:
        """Return the time a unit of work would begin at, for what is done between transactions."""
        return self.database.now() if self.clock is None else self.clock.now()

    def _now(self, connection: Connection) -> datetime:
        return database_now(connection) if self.clock is None else self.clock.now()
