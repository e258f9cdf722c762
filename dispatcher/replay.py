"""Replay: arm settled deliveries again; same id, same bytes, a new timestamp and signature."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, select, true, update

from dispatcher.mailboxes import feed
from dispatcher.states import OPEN_STATES, DeliveryState, Trigger
from dispatcher.tables import deliveries, endpoints, replays
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.unit_of_work import UnitOfWork, UnitsOfWork

DELIVERIES_PER_TRANSACTION = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries a replay means; what is None does not narrow it."""

    ids: tuple[str, ...] | None = None
    state: str | None = None
    endpoint_id: str | None = None
    tenant_id: str | None = None
    event: str | None = None
    since: datetime | None = None

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition; raises InvalidInput for a state or id that cannot be."""
        self._check()
        named = {
            deliveries.c.state: self.state,
            deliveries.c.endpoint_id: self.endpoint_id,
            deliveries.c.tenant_id: self.tenant_id,
            deliveries.c.event: self.event,
        }
        wanted = [column == value for column, value in named.items() if value is not None]
        if self.ids is not None:
            wanted.append(deliveries.c.id.in_(self.ids))
        if self.since is not None:
            wanted.append(deliveries.c.created_at >= self.since)
        return and_(true(), *wanted)

    def _check(self) -> None:
        if self.state is not None and self.state not in list(DeliveryState):
            raise InvalidInput(
                f"state {self.state!r} is none of {', '.join(DeliveryState)}", field="state"
            )
        for given in (*(self.ids or ()), self.endpoint_id, self.tenant_id):
            if given is not None and not is_id(given):
                raise InvalidInput(f"{given!r} is not an id", field="id", value=given)

    def as_document(self) -> dict[str, Any]:
        """Return what was chosen, for the record."""
        chosen = {name: value for name, value in asdict(self).items() if value is not None}
        if self.since is not None:
            chosen["since"] = self.since.isoformat()
        return chosen


def replay(
    units: UnitsOfWork, selection: Selection, *, actor: str, reason: str | None = None
) -> Iterator[dict[str, Any]]:
    """Arm every chosen delivery again, 1,000 a transaction, yielding the replay's record each time.

    A delivery still waiting for a retry is attempted now and keeps its schedule; a settled one
    begins its schedule anew. Deliveries of disabled endpoints are left alone. Raises NotFound for
    an unknown id.
    """
    with units.begin(actor=actor) as work:
        _require_ids(work.connection, selection)
        record = _begin(work, selection, reason)
    after: str | None = None
    while True:
        with units.begin(actor=actor) as work:
            batch = _next_batch(work.connection, selection, after, record["created_at"])
            armed = arm(work.connection, [row.id for row in batch], work.now)
            feed(work.connection, sorted({row.endpoint_id for row in batch}), work.now)
            record["matched"] += len(batch)
            record["armed"] += armed
            finished = len(batch) < DELIVERIES_PER_TRANSACTION
            if finished:
                record |= {"state": "completed", "finished_at": work.now}
            work.connection.execute(
                update(replays).where(replays.c.id == record["id"]).values(record)
            )
        yield dict(record)
        if finished:
            return
        after = batch[-1].id


def arm(connection: Connection, delivery_ids: Sequence[str], now: datetime) -> int:
    """Make deliveries due now and return how many; the guard leaves disabled endpoints' alone."""
    called = select(endpoints.c.id).where(endpoints.c.state != "disabled")
    named = deliveries.c.id.in_(delivery_ids) & deliveries.c.endpoint_id.in_(called)
    waiting = connection.execute(
        update(deliveries)
        .where(named, deliveries.c.state.in_(OPEN_STATES))
        .values(next_attempt_at=now, trigger=Trigger.MANUAL)
    )
    settled = connection.execute(
        update(deliveries)
        .where(named, deliveries.c.state.not_in(OPEN_STATES))
        .values(
            state=DeliveryState.PENDING,
            next_attempt_at=now,
            attempts_before=deliveries.c.attempts,
            trigger=Trigger.MANUAL,
            settled_at=None,
        )
    )
    return waiting.rowcount + settled.rowcount


def listing(connection: Connection, *, limit: int = 50) -> list[dict[str, Any]]:
    """Return the latest replays, newest first."""
    query = select(replays).order_by(replays.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def _begin(work: UnitOfWork, selection: Selection, reason: str | None) -> dict[str, Any]:
    record = {
        "id": new_id(),
        "actor": work.actor,
        "reason": reason,
        "selection": selection.as_document(),
        "state": "running",
        "matched": 0,
        "armed": 0,
        "created_at": work.now,
        "finished_at": None,
    }
    selection.condition()
    work.connection.execute(insert(replays).values(record))
    return record


def _next_batch(
    connection: Connection, selection: Selection, after: str | None, created_before: datetime
) -> Sequence[Any]:
    """Return the next chosen deliveries, in the order of their ids, that existed at the start."""
    query = (
        select(deliveries.c.id, deliveries.c.endpoint_id)
        .where(selection.condition(), deliveries.c.created_at <= created_before)
        .order_by(deliveries.c.id)
        .limit(DELIVERIES_PER_TRANSACTION)
    )
    if after is not None:
        query = query.where(deliveries.c.id > after)
    return connection.execute(query).all()


def _require_ids(connection: Connection, selection: Selection) -> None:
    if selection.ids is None:
        return
    found = set(connection.execute(select(deliveries.c.id).where(selection.condition())).scalars())
    missing = [each for each in selection.ids if each not in found]
    if missing:
        raise NotFound(f"no delivery {missing[0]!r}", field="id", value=missing[0])
