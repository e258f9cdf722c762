"""Patterns of event types, expanded into rows so that the fan-out is one join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from dispatcher.tables import endpoints, subscriptions
from engine import catalogue
from engine.errors import InvalidInput

EVERYTHING = "*"
PATTERNS_MAX = 100
#: PostgreSQL knows advisory locks by number; this one is no other's.
TYPES_LOCK = 0x7469_6C6C


def matches(pattern: str, event_type: str) -> bool:
    """Tell whether ``*``, ``chain_order.*`` or an exact name covers a type."""
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern in {EVERYTHING, event_type}


def expand(patterns: Sequence[str], known_types: Sequence[str]) -> list[str]:
    """Return the known types the patterns cover; InvalidInput for one that covers none."""
    if not 1 <= len(patterns) <= PATTERNS_MAX:
        raise InvalidInput(f"an endpoint hears 1 to {PATTERNS_MAX} patterns", field="events")
    for pattern in patterns:
        if not any(matches(pattern, known) for known in known_types):
            raise InvalidInput(
                f"no event type matches {pattern!r}; 'tillbell events types' lists them",
                field="events",
                value=pattern,
            )
    return [known for known in known_types if any(matches(each, known) for each in patterns)]


def subscribe(
    connection: Connection,
    endpoint_id: str,
    tenant_id: str,
    patterns: Sequence[str],
    now: datetime,
) -> None:
    """Replace what an endpoint hears by what ``patterns`` cover; what it heard it hears on."""
    _lock_types(connection, exclusive=False)
    types = expand(patterns, catalogue.known_types(connection))
    mine = subscriptions.c.endpoint_id == endpoint_id
    heard = select(subscriptions.c.event_type, subscriptions.c.since).where(mine)
    since = {row.event_type: row.since for row in connection.execute(heard)}
    unsubscribe(connection, endpoint_id)
    rows = [
        {
            "tenant_id": tenant_id,
            "event_type": each,
            "endpoint_id": endpoint_id,
            "since": since.get(each, now),
        }
        for each in types
    ]
    connection.execute(insert(subscriptions), rows)


def unsubscribe(connection: Connection, endpoint_id: str) -> None:
    """Let an endpoint hear nothing more."""
    connection.execute(delete(subscriptions).where(subscriptions.c.endpoint_id == endpoint_id))


def register_type(
    connection: Connection, name: str, json_schema: dict[str, Any] | None, now: datetime
) -> int:
    """Make a type publishable and let the endpoints that match hear it; return how many do.

    Raises as ``catalogue.register_type`` does.
    """
    _lock_types(connection, exclusive=True)
    catalogue.register_type(connection, name, json_schema, now)
    alive = select(endpoints.c.id, endpoints.c.tenant_id, endpoints.c.events).where(
        endpoints.c.deleted_at.is_(None)
    )
    rows = [
        {"tenant_id": row.tenant_id, "event_type": name, "endpoint_id": row.id, "since": now}
        for row in connection.execute(alive)
        if any(matches(pattern, name) for pattern in row.events)
    ]
    if rows:
        connection.execute(insert(subscriptions), rows)
    return len(rows)


def _lock_types(connection: Connection, *, exclusive: bool) -> None:
    """Let a new type and a new pattern wait for each other, or neither would see the other."""
    if connection.dialect.name == "sqlite":
        return  # its writer is alone
    take = func.pg_advisory_xact_lock if exclusive else func.pg_advisory_xact_lock_shared
    connection.execute(select(take(TYPES_LOCK)))
