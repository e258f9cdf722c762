"""Retention: what is old and settled is removed, 1,000 rows a transaction, oldest first.

Bodies go first, then attempts and deliveries, last the events themselves: until then an event keeps
its id, ``dedupe_key`` and ``sequence``, so that raising it again is still refused. Identifiers are
ordered by time, so the oldest rows are found by primary key and cost no index of their own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    select,
    tuple_,
    update,
)

from dispatcher.states import OPEN_STATES
from dispatcher.tables import attempts, deliveries, endpoint_secrets, rendered_bodies
from engine.database import Database
from engine.ids import first_id
from engine.settlement_tables import milestones
from engine.tables import events, outbox

ROWS_PER_TRANSACTION = 1000
#: What stands in the place of a body that was removed.
NO_BODY = b""
#: Identifiers come from several clocks: this much later than the cutoff none is older than it.
CLOCKS_APART = timedelta(days=1)

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One kind of row and how long it is kept.

    ``chosen`` is what may go at a cutoff; ``order`` names the columns it is gone through by;
    ``remove`` takes rows that were chosen and locked, and returns what went along, by kind.
    """

    name: str
    kept: timedelta
    table: Table
    order: Sequence[str]
    chosen: Callable[[datetime], ColumnElement[bool]]
    remove: Callable[[Connection, Sequence[Key]], Mapping[str, int]]

    def batch(
        self, connection: Connection, now: datetime, after: Key | None
    ) -> tuple[list[Key], Mapping[str, int]]:
        """Remove up to 1,000 rows behind ``after``; return their keys and what went along."""
        columns = [self.table.c[name] for name in self.order]
        query = select(*columns).where(self.chosen(now - self.kept))
        if after is not None:
            query = query.where(tuple_(*columns) > after)
        query = query.order_by(*columns).limit(ROWS_PER_TRANSACTION)
        # A replay that arms a delivery meanwhile waits, or has it: then it is no longer chosen.
        locked = query.with_for_update(skip_locked=True, of=self.table)
        keys = [tuple(row) for row in connection.execute(locked)]
        return keys, self.remove(connection, keys) if keys else {}

    def due(self, connection: Connection, now: datetime) -> int:
        """Return how many rows would go."""
        query = select(func.count()).select_from(self.table).where(self.chosen(now - self.kept))
        return connection.execute(query).scalar_one()


def run_once(
    database: Database,
    steps: Sequence[Step],
    now: datetime,
    *,
    limit: int | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> dict[str, int]:
    """Remove what is older than it is kept, and return how many rows of each kind went.

    At most ``limit`` rows of each kind, rounded up to a whole transaction; ``stopping`` is asked
    between transactions. Any number of processes may run it at once.
    """
    counts = Counter({step.name: 0 for step in steps})
    for step in steps:
        after: Key | None = None
        left = math.inf if limit is None else limit
        while left > 0 and not stopping():
            with database.write() as connection:
                keys, along = step.batch(connection, now, after)
            counts.update({step.name: len(keys)})
            counts.update(along)
            left = left - len(keys) if len(keys) == ROWS_PER_TRANSACTION else 0
            after = keys[-1] if keys else None
    return dict(counts)


def due(connection: Connection, steps: Sequence[Step], now: datetime) -> dict[str, int]:
    """Return how many rows of each kind a run would remove now."""
    return {step.name: step.due(connection, now) for step in steps}


def steps(*, bodies: timedelta, attempts_kept: timedelta, dedupe: timedelta) -> tuple[Step, ...]:
    """Return what the dispatcher removes, in the order in which it must go."""
    return (
        Step(
            name="bodies",
            kept=bodies,
            table=events,
            order=("created_at", "id"),
            chosen=_bodies,
            remove=_remove_bodies,
        ),
        Step(
            name="deliveries",
            kept=attempts_kept,
            table=deliveries,
            order=("id",),
            chosen=_deliveries,
            remove=_remove_deliveries,
        ),
        Step(
            name="attempts",
            kept=attempts_kept,
            table=attempts,
            order=("delivery_id", "number", "lease_token"),
            chosen=_attempts,
            remove=_remove_attempts,
        ),
        Step(
            name="events",
            kept=dedupe,
            table=events,
            order=("id",),
            chosen=_events,
            remove=_remove_events,
        ),
        Step(
            name="secrets",
            kept=timedelta(0),
            table=endpoint_secrets,
            order=("expires_at", "id"),
            chosen=lambda cutoff: endpoint_secrets.c.expires_at <= cutoff,
            remove=_remove_secrets,
        ),
    )


def older(column: ColumnElement[str], cutoff: datetime) -> ColumnElement[bool]:
    """Bound a scan by identifiers that were made before a cutoff."""
    return column < first_id(cutoff + CLOCKS_APART)


def body_kept() -> ColumnElement[bool]:
    """Tell which events still have their body (the words of the partial index)."""
    return func.length(events.c.body) > 0


def _bodies(cutoff: datetime) -> ColumnElement[bool]:
    """Choose events whose every delivery is settled."""
    return and_(body_kept(), events.c.created_at < cutoff, ~_waiting(), ~_unrelayed())


def _waiting() -> ColumnElement[bool]:
    """Tell which events have an open delivery."""
    # By state, or a stale plan would go through all that is open for each event.
    return exists().where(deliveries.c.event_id == events.c.id, deliveries.c.state.in_(OPEN_STATES))


def _remove_bodies(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    ids = [event_id for _, event_id in keys]
    # Asked again behind the lock: a replay may have armed a delivery since the choice was made.
    settled = events.c.id.in_(ids) & ~_waiting()
    connection.execute(update(events).where(settled).values(body=NO_BODY))
    connection.execute(delete(rendered_bodies).where(rendered_bodies.c.event_id.in_(ids)))
    return {}


def _deliveries(cutoff: datetime) -> ColumnElement[bool]:
    return and_(
        older(deliveries.c.id, cutoff),
        deliveries.c.settled_at < cutoff,
        deliveries.c.next_attempt_at.is_(None),
    )


def _remove_deliveries(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    """Remove deliveries with their attempts: one without the other would say nothing."""
    ids = [key[0] for key in keys]
    gone = connection.execute(delete(attempts).where(attempts.c.delivery_id.in_(ids)))
    connection.execute(delete(deliveries).where(deliveries.c.id.in_(ids)))
    return {"attempts": gone.rowcount}


def _attempts(cutoff: datetime) -> ColumnElement[bool]:
    return and_(older(attempts.c.delivery_id, cutoff), attempts.c.started_at < cutoff)


def _remove_attempts(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    key = tuple_(*attempts.primary_key.columns)
    connection.execute(delete(attempts).where(key.in_(list(keys))))
    return {}


def _events(cutoff: datetime) -> ColumnElement[bool]:
    """Choose events that nothing refers to any more."""
    delivered = exists().where(deliveries.c.event_id == events.c.id)
    emitted = exists().where(milestones.c.event_id == events.c.id)
    return and_(
        older(events.c.id, cutoff),
        events.c.created_at < cutoff,
        ~delivered,
        ~emitted,
        ~_unrelayed(),
    )


def _remove_events(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    ids = [key[0] for key in keys]
    connection.execute(delete(rendered_bodies).where(rendered_bodies.c.event_id.in_(ids)))
    connection.execute(delete(events).where(events.c.id.in_(ids)))
    return {}


def _remove_secrets(connection: Connection, keys: Sequence[Key]) -> Mapping[str, int]:
    """Destroy secrets whose time is over; nobody verifies with them any more."""
    ids = [secret_id for _, secret_id in keys]
    connection.execute(delete(endpoint_secrets).where(endpoint_secrets.c.id.in_(ids)))
    return {}


def _unrelayed() -> ColumnElement[bool]:
    return exists().where(outbox.c.event_id == events.c.id)
