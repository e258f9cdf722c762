"""What the relay should have expanded and did not: find it, and insert just that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, exists, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from dispatcher.mailboxes import feed
from dispatcher.retention import body_kept
from dispatcher.states import DeliveryState, EndpointState
from dispatcher.tables import deliveries, endpoints, subscriptions
from engine.ids import new_id
from engine.tables import events, outbox

#: A subscription younger than this when the event was raised may not have been visible yet.
SUBSCRIBED_BEFORE = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """An event, and an endpoint that was subscribed to it and has no delivery of it."""

    event_id: str
    endpoint_id: str


def missing(
    connection: Connection, chosen: ColumnElement[bool], until: datetime, limit: int
) -> list[Gap]:
    """Return the gaps of the events ``chosen`` that were raised by ``until``, oldest event first.

    An event in the outbox is not expanded yet, and one made for a single endpoint has no gaps.
    """
    query = (
        _expected()
        .where(chosen, events.c.created_at <= until, events.c.relayed, body_kept())
        .where(~exists().where(outbox.c.event_id == events.c.id))
        .where(
            ~exists().where(
                deliveries.c.event_id == events.c.id,
                deliveries.c.endpoint_id == subscriptions.c.endpoint_id,
            )
        )
        .order_by(events.c.created_at, events.c.id)
        .limit(limit)
    )
    return [
        Gap(row.id, row.endpoint_id)
        for row in connection.execute(query)
        if row.since <= row.created_at - SUBSCRIBED_BEFORE
    ]


def fill(connection: Connection, gaps: Iterable[Gap], now: datetime) -> list[str]:
    """Insert the deliveries that are missing, wake their mailboxes, return their endpoints.

    As the relay does it: for a disabled endpoint they are born cancelled.
    """
    pairs = [(gap.event_id, gap.endpoint_id) for gap in sorted(gaps)]
    if not pairs:
        return []
    wanted = tuple_(events.c.id, subscriptions.c.endpoint_id).in_(pairs)
    rows = connection.execute(_expected().where(wanted)).all()
    disabled = _disabled(connection, {row.endpoint_id for row in rows})
    made = [_delivery(row, now, cancelled=row.endpoint_id in disabled) for row in rows]
    if made:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(deliveries).on_conflict_do_nothing(), made)
    called = sorted({row["endpoint_id"] for row in made} - disabled)
    feed(connection, called, now)
    return called


def _expected() -> Select[Any]:
    return (
        select(
            events.c.id,
            events.c.tenant_id,
            events.c.type,
            events.c.created_at,
            subscriptions.c.endpoint_id,
            subscriptions.c.since,
        )
        .join_from(
            events,
            subscriptions,
            (subscriptions.c.tenant_id == events.c.tenant_id)
            & (subscriptions.c.event_type == events.c.type),
        )
        .where(subscriptions.c.since < events.c.created_at)
    )


def _disabled(connection: Connection, endpoint_ids: set[str]) -> set[str]:
    query = select(endpoints.c.id).where(
        endpoints.c.id.in_(endpoint_ids), endpoints.c.state == EndpointState.DISABLED
    )
    return set(connection.execute(query).scalars())


def _delivery(row: Any, now: datetime, *, cancelled: bool) -> dict[str, Any]:
    return {
        "id": new_id(),
        "event_id": row.id,
        "endpoint_id": row.endpoint_id,
        "tenant_id": row.tenant_id,
        "event": row.type,
        "state": DeliveryState.CANCELLED if cancelled else DeliveryState.PENDING,
        "next_attempt_at": None if cancelled else now,
        "last_error": "endpoint_disabled" if cancelled else None,
        "created_at": now,
        "settled_at": now if cancelled else None,
    }


def slice_of(
    connection: Connection,
    since: datetime,
    after: tuple[Any, ...] | None,
    until: datetime,
    rows: int,
) -> tuple[ColumnElement[bool], int, tuple[Any, ...] | None]:
    """Return what chooses the next ``rows`` events raised from ``since``, how many, and its end.

    The end is the cursor of the next slice: None where there is none.
    """
    place = tuple_(events.c.created_at, events.c.id)
    query = select(events.c.created_at, events.c.id).where(
        events.c.created_at >= since, events.c.created_at <= until, body_kept()
    )
    if after is not None:
        query = query.where(place > after)
    ordered = query.order_by(events.c.created_at, events.c.id).limit(rows)
    found = connection.execute(ordered).all()
    if not found:
        return events.c.id.in_([]), 0, None
    begin, end = found[0], found[-1]
    chosen = (place >= tuple(begin)) & (place <= tuple(end))
    return chosen, len(found), tuple(end) if len(found) == rows else None
