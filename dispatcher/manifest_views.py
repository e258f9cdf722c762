"""Look at manifests: lists with cursors, one with the events it stands for."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import Connection, and_, literal, or_, select

from dispatcher.manifest_proof import message_id, summarise
from dispatcher.manifests import entries
from dispatcher.tables import manifests
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000


def listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    endpoint_id: str | None = None,
    since: date | None = None,
    until: date | None = None,
    limit: int = LIMIT_DEFAULT,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page by endpoint and day: ``data`` and the ``next_cursor`` to pass as ``after``.

    Both days belong to it. Raises InvalidInput naming the field.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"limit {limit} is not between 1 and {LIMIT_MAX}", field="limit")
    query = select(manifests).order_by(manifests.c.endpoint_id, manifests.c.day).limit(limit + 1)
    if endpoint_id is not None:
        if not is_id(endpoint_id):
            raise InvalidInput(f"{endpoint_id!r} is not an id", field="endpoint_id")
        query = query.where(manifests.c.endpoint_id == endpoint_id.lower())
    if tenant_id is not None:
        query = query.where(manifests.c.tenant_id == tenant_id)
    if since is not None:
        query = query.where(manifests.c.day >= since)
    if until is not None:
        query = query.where(manifests.c.day <= until)
    if after is not None:
        last_id, day = _place(after)
        later = and_(manifests.c.endpoint_id == last_id, manifests.c.day > day)
        query = query.where(or_(manifests.c.endpoint_id > last_id, later))
    rows = connection.execute(query).mappings().all()
    data = [_document(dict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    return {
        "data": data,
        "next_cursor": f"{data[-1]['endpoint_id']}_{data[-1]['day']}" if more else None,
    }


def show(
    database: Database, endpoint_id: str, day: date, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Return one manifest with its ``events``: each one's ``id`` and its body's ``sha256``.

    ``events`` is None where bodies were purged or the profile was changed since, so that they no
    longer add up to the digest that was signed. Raises NotFound, also for another tenant's.
    """
    row = None
    if is_id(endpoint_id):
        wanted = (manifests.c.endpoint_id == endpoint_id.lower()) & (manifests.c.day == day)
        if tenant_id is not None:
            wanted &= manifests.c.tenant_id == literal(tenant_id, manifests.c.tenant_id.type)
        with database.read() as connection:
            row = connection.execute(select(manifests).where(wanted)).mappings().first()
    if row is None:
        raise NotFound(f"no manifest of {endpoint_id!r} for {day}", field="day", value=str(day))
    found = [(event_id, sha) for _, event_id, sha in entries(database, [row["endpoint_id"]], day)]
    as_signed = summarise(found).digest == row["events_digest"]
    listed = [{"id": event_id, "sha256": sha} for event_id, sha in found] if as_signed else None
    return {**_document(dict(row)), "events": listed}


def _document(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "day": row["day"].isoformat(),
        "body": row["body"].decode(),
        "message_id": message_id(row["endpoint_id"], row["day"]),
        "timestamp": int(row["created_at"].timestamp()),
    }


def _place(after: str) -> tuple[str, date]:
    endpoint_id, _, day = after.partition("_")
    try:
        at = date.fromisoformat(day)
    except ValueError:
        at = None
    if at is None or not is_id(endpoint_id):
        raise InvalidInput(
            "this is not a cursor of this list; pass next_cursor back as it came", field="after"
        )
    return endpoint_id.lower(), at
