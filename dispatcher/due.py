"""Read what leased mailboxes have to send: endpoints and due deliveries, in batches."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast

import psycopg
from sqlalchemy import Connection, TextualSelect, bindparam, select, text

from dispatcher.tables import endpoints
from engine.types import Id, UtcTime

#: In the order of Due's fields. Ids as text: the driver would make an object of each, only to be
#: written out again.
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


def _driver(statement: str) -> str:
    """Return a statement in the driver's own style of parameters."""
    return re.sub(r"(?<!:):(\w+)", r"%(\1)s", statement)


_ONE = f"""SELECT {_COLUMNS} FROM ({_SLICE}) d {_BODIES}"""
_OPEN = f"""SELECT {_COLUMNS} FROM (SELECT * FROM deliveries
    WHERE id = {{delivery}} AND next_attempt_at IS NOT NULL) d {_BODIES}"""

_FIRST_SQLITE = _typed(_ONE.format(endpoint=":endpoint_id", after=""))
_NEXT_SQLITE = _typed(
    _ONE.format(endpoint=":endpoint_id", after=_AFTER.format(cursor_id=":cursor_id"))
)
_OPEN_SQLITE = _typed(_OPEN.format(delivery=":delivery_id"))

_FIRST_POSTGRESQL = _driver(
    f"""SELECT {_COLUMNS} FROM unnest(CAST(:endpoint_ids AS uuid[])) AS m(endpoint_id)
    CROSS JOIN LATERAL ({_SLICE.format(endpoint="m.endpoint_id", after="")}) d {_BODIES}"""
)
_NEXT_POSTGRESQL = _driver(
    _ONE.format(
        endpoint="CAST(:endpoint_id AS uuid)",
        after=_AFTER.format(cursor_id="CAST(:cursor_id AS uuid)"),
    )
)
_OPEN_POSTGRESQL = _driver(_OPEN.format(delivery="CAST(:delivery_id AS uuid)"))


class Due(NamedTuple):
    """One delivery to attempt now, with the bytes of its event."""

    endpoint_id: str
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
            found[endpoint_id] = _embedded(connection, _FIRST_SQLITE, values)
        return found
    values = {"endpoint_ids": list(endpoint_ids), "now": now, "rows": rows}
    for due in _served(connection, _FIRST_POSTGRESQL, values):
        found[due.endpoint_id].append(due)
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
    if connection.dialect.name == "sqlite":
        return _embedded(connection, _NEXT_SQLITE, values)
    return _served(connection, _NEXT_POSTGRESQL, values)


def one(connection: Connection, delivery_id: str) -> Due | None:
    """Return one open delivery, due or not, or None."""
    values = {"delivery_id": delivery_id}
    if connection.dialect.name == "sqlite":
        found = _embedded(connection, _OPEN_SQLITE, values)
    else:
        found = _served(connection, _OPEN_POSTGRESQL, values)
    return found[0] if found else None


def endpoint_rows(connection: Connection, endpoint_ids: Sequence[str]) -> dict[str, Any]:
    """Return the endpoints of leased mailboxes by id, deleted ones too."""
    rows = connection.execute(select(endpoints).where(endpoints.c.id.in_(endpoint_ids)))
    return {row.id: row for row in rows}


def _embedded(
    connection: Connection, statement: TextualSelect, values: Mapping[str, Any]
) -> list[Due]:
    return [Due._make(row) for row in connection.execute(statement, values).all()]


def _served(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[Due]:
    """Read with the driver's own cursor, in binary: this runs for every delivery.

    A row took 6 microseconds through a result with types, most of it for values that need none.
    """
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    with driver.cursor(binary=True, row_factory=_due_row) as cursor:
        return cursor.execute(statement, values).fetchall()


def _due_row(_cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], Due]:
    """Tell the driver what to make of a row."""
    return Due._make
