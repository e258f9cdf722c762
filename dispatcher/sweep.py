"""Sweep: the guarantee behind the hints; finds what waits and says "look now" again."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, exists, or_, select

from config.clock import Clock
from config.crash_points import C16_SELECTED, at
from dispatcher.hints import Hints, in_batches
from dispatcher.tables import mailboxes
from engine.database import Database
from engine.tables import outbox

MAILBOXES_PER_SWEEP = 1000


class Sweep:
    """Looks at the outbox and at due mailboxes; an index probe each when there is nothing to do."""

    def __init__(self, database: Database, clock: Clock, hints: Hints) -> None:
        self._database = database
        self._clock = clock
        self._hints = hints

    def run_once(self) -> int:
        """Hint the relay and the due mailboxes; return how many hints were sent."""
        self._clock.sync()
        now = self._clock.now()
        with self._database.read() as connection:
            waiting = connection.execute(select(exists(select(outbox.c.event_id)))).scalar_one()
            due = due_mailboxes(connection, now)
        at(C16_SELECTED)
        if waiting:
            self._hints.relay()
        batches = in_batches(due)
        for batch in batches:
            self._hints.drain(batch)
        return len(batches) + int(waiting)


def due_mailboxes(connection: Connection, now: datetime) -> list[str]:
    """Return mailboxes that are due, and those whose holder died."""
    free = mailboxes.c.lease_until.is_(None) & (mailboxes.c.due_at <= now)
    expired = mailboxes.c.lease_until < now
    query = select(mailboxes.c.endpoint_id).where(or_(free, expired)).limit(MAILBOXES_PER_SWEEP)
    return list(connection.execute(query).scalars())
