"""Look at deliveries and events: lists with cursors, one with its attempts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Connection, Select, Table, func, select

from dispatcher.replay_selection import Selection
from dispatcher.tables import attempts, deliveries
from engine import tenants
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id
from engine.tables import events

LIMIT_MAX = 1000

_DELIVERY = [
    deliveries.c[name]
    for name in (
        "id",
        "event_id",
        "event",
        "endpoint_id",
        "tenant_id",
        "state",
        "attempts",
        "next_attempt_at",
        "last_status_code",
        "last_error",
        "created_at",
        "settled_at",
    )
]
_ATTEMPT = [
    attempts.c[name]
    for name in (
        "number",
        "started_at",
        "duration_ms",
        "status_code",
        "error",
        "response_excerpt",
        "trigger",
        "decided",
    )
]
_EVENT = [
    events.c[name]
    for name in (
        "id",
        "type",
        "tenant_id",
        "subject_type",
        "subject_id",
        "sequence",
        "raised_by",
        "occurred_at",
        "created_at",
    )
]


def listing(
    connection: Connection,
    selection: Selection,
    *,
    event_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page, newest first: ``data`` and the ``next_cursor`` to pass back as ``after``."""
    query = select(*_DELIVERY).where(selection.condition())
    if event_id is not None:
        query = query.where(deliveries.c.event_id == _check_id(event_id, "event"))
    return _page(connection, query, deliveries, limit, after)


def show(connection: Connection, delivery_id: str) -> dict[str, Any]:
    """Return one delivery with its ``attempts`` history as ``history``, or raise NotFound."""
    row = None
    if is_id(delivery_id):
        query = select(*_DELIVERY).where(deliveries.c.id == delivery_id)
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no delivery {delivery_id!r}", field="id", value=delivery_id)
    history = (
        select(*_ATTEMPT)
        .where(attempts.c.delivery_id == delivery_id)
        .order_by(attempts.c.number, attempts.c.lease_token)
    )
    return {**row, "history": [dict(each) for each in connection.execute(history).mappings()]}


def counts_by_state(connection: Connection) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
    return {row[0]: row[1] for row in connection.execute(query)}


def backlog_age_seconds(connection: Connection, now: datetime) -> float:
    """Return for how long the oldest due delivery has waited; 0 when nothing is due."""
    oldest = connection.execute(
        select(func.min(deliveries.c.next_attempt_at)).where(
            deliveries.c.next_attempt_at.is_not(None)
        )
    ).scalar_one()
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0


def event_listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    type_name: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page of events, newest first, without their bodies."""
    query = select(*_EVENT)
    if tenant_id is not None:
        query = query.where(events.c.tenant_id == tenants.get(connection, tenant_id)["id"])
    if type_name is not None:
        query = query.where(events.c.type == type_name)
    return _page(connection, query, events, limit, after)


def event_show(connection: Connection, event_id: str) -> dict[str, Any]:
    """Return one event with its ``deliveries`` and its ``body`` as a document.

    None stands for a body that retention removed.
    """
    row = None
    if is_id(event_id):
        query = select(*_EVENT, events.c.body).where(events.c.id == event_id)
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no event {event_id!r}", field="id", value=event_id)
    sent = select(*_DELIVERY).where(deliveries.c.event_id == event_id).order_by(deliveries.c.id)
    listed = [dict(each) for each in connection.execute(sent).mappings()]
    body = orjson.loads(row["body"]) if row["body"] else None
    return {**row, "body": body, "deliveries": listed}


def _page(
    connection: Connection, query: Select[Any], table: Table, limit: int, after: str | None
) -> dict[str, Any]:
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"limit {limit} is not between 1 and {LIMIT_MAX}", field="limit")
    key: Column[str] = table.c.id
    if after is not None:
        query = query.where(key < _check_id(after, "after"))
    rows: Sequence[Any] = (
        connection.execute(query.order_by(key.desc()).limit(limit + 1)).mappings().all()
    )
    data = [dict(row) for row in rows[:limit]]
    return {"data": data, "next_cursor": data[-1]["id"] if len(rows) > limit else None}


def _check_id(given: str, field: str) -> str:
    if not is_id(given):
        raise InvalidInput(f"{given!r} is not an id", field=field, value=given)
    return given.lower()
