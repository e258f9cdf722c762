"""Read what leased mailboxes have to send: endpoints and due deliveries, in batches."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, TextualSelect, bindparam, select, text

from dispatcher.tables import endpoints
from engine.types import Id, UtcTime

#: Ids as text: the driver would make an object of each, only to be written out again.
_COLUMNS = """CAST(d.endpoint_id AS text) AS endpoint_id, CAST(d.id AS text) AS id,
    CAST(d.event_id AS text) AS event_id, d.event, d.created_at, d.attempts, d.attempts_before,
    d.trigger, d.next_attempt_at, e.body, r.body AS rendered, e.subject_id, e.sequence"""

#: The next slice of one mailbox: after the cursor, in the order the deliveries fell due.
_SLICE = """
    SELECT id, event_id, endpoint_id, event, created_at, attempts, attempts_before, trigger,
        next_attempt_at
    FROM deliveries
    WHERE endpoint_id = {endpoint} AND next_attempt_at <= :now {after}
    ORDER BY next_attempt_at, id LIMIT :rows"""
_AFTER = "AND (next_attempt_at, id) > (:cursor_at, {cursor_id})"
_BODIES = """
    JOIN events e ON e.id = d.event_id
    LEFT JOIN rendered_bodies r ON r.event_id = d.event_id
        AND r.profile = (SELECT p.profile FROM endpoints p WHERE p.id = d.endpoint_id)
    ORDER BY d.endpoint_id, d.next_attempt_at, d.id"""


def _typed(statement: str) -> TextualSelect:
    present = set(re.findall(r"(?<!:):(\w+)", statement))
    instants = [bindparam(name, type_=UtcTime()) for name in present & {"now", "cursor_at"}]
    ids = [bindparam(name, type_=Id) for name in present & {"endpoint_id", "cursor_id"}]
    return (
        text(statement)
        .bindparams(*instants, *ids)
        .columns(created_at=UtcTime(), next_attempt_at=UtcTime())
    )


_FIRST_POSTGRESQL = _typed(
    f"""SELECT {_COLUMNS} FROM unnest(CAST(:endpoint_ids AS uuid[])) AS m(endpoint_id)
    CROSS JOIN LATERAL ({_SLICE.format(endpoint="m.endpoint_id", after="")}) d {_BODIES}"""
)
_ONE = f"""SELECT {_COLUMNS} FROM ({_SLICE}) d {_BODIES}"""
_FIRST_SQLITE = _typed(_ONE.format(endpoint=":endpoint_id", after=""))
_NEXT = {
    "sqlite": _typed(
        _ONE.format(endpoint=":endpoint_id", after=_AFTER.format(cursor_id=":cursor_id"))
    ),
    "postgresql": _typed(
        _ONE.format(
            endpoint="CAST(:endpoint_id AS uuid)",
            after=_AFTER.format(cursor_id="CAST(:cursor_id AS uuid)"),
        )
    ),
}


_OPEN = {
    name: _typed(
        f"""SELECT {_COLUMNS} FROM (SELECT * FROM deliveries
        WHERE id = {delivery} AND next_attempt_at IS NOT NULL) d {_BODIES}"""
    )
    for name, delivery in (
        ("sqlite", ":delivery_id"),
        ("postgresql", "CAST(:delivery_id AS uuid)"),
    )
}


@dataclass(slots=True)
class Due:
    """One delivery to attempt now, with the bytes of its event."""

    delivery_id: str
    event_id: str
    event: str
    created_at: datetime
    attempts: int
    attempts_before: int
    trigger: str
    next_attempt_at: datetime
    body: bytes
    rendered: bytes | None
    subject_id: str
    sequence: int


def first_slices(
    connection: Connection, endpoint_ids: Sequence[str], *, now: datetime, rows: int
) -> dict[str, list[Due]]:
    """Return up to ``rows`` due deliveries of each mailbox."""
    found: dict[str, list[Due]] = defaultdict(list)
    if connection.dialect.name == "sqlite":
        for endpoint_id in endpoint_ids:
            values = {"endpoint_id": endpoint_id, "now": now, "rows": rows}
            found[endpoint_id] = _dues(connection, _FIRST_SQLITE, values)
        return found
    values = {"endpoint_ids": list(endpoint_ids), "now": now, "rows": rows}
    for row in connection.execute(_FIRST_POSTGRESQL, values).all():
        found[row[0]].append(Due(*row[1:]))
    return found


def next_slice(
    connection: Connection, endpoint_id: str, after: Due, *, now: datetime, rows: int
) -> list[Due]:
    """Return the due deliveries of one mailbox that come after one already taken."""
    values = {
        "endpoint_id": endpoint_id,
        "now": now,
        "rows": rows,
        "cursor_at": after.next_attempt_at,
        "cursor_id": after.delivery_id,
    }
    return _dues(connection, _NEXT[connection.dialect.name], values)


def one(connection: Connection, delivery_id: str) -> Due | None:
    """Return one open delivery, due or not, or None."""
    found = _dues(connection, _OPEN[connection.dialect.name], {"delivery_id": delivery_id})
    return found[0] if found else None


def endpoint_rows(connection: Connection, endpoint_ids: Sequence[str]) -> dict[str, Any]:
    """Return the endpoints of leased mailboxes by id, deleted ones too."""
    rows = connection.execute(select(endpoints).where(endpoints.c.id.in_(endpoint_ids)))
    return {row.id: row for row in rows}


def _dues(connection: Connection, statement: TextualSelect, values: dict[str, Any]) -> list[Due]:
    """Read deliveries in the order of Due's fields, behind the endpoint they belong to."""
    return [Due(*row[1:]) for row in connection.execute(statement, values).all()]
