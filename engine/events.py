"""Raise events: rows in ``events`` and ``outbox``, in the transaction of the change they report."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from engine.catalogue import check_data, require_types
from engine.database import database_now
from engine.errors import EventTooLarge, InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.tables import events, outbox, tenants
from engine.upserts import bulk_insert, bulk_insert_missing

#: Version of the envelope (design §3).
ENVELOPE_VERSION = "1"
BODY_BYTES_MAX = 256 * 1024
#: The W3C trace context, version 00.
TRACEPARENT = re.compile("00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
#: Rows a statement carries at most (design §2).
BATCH_ROWS_MAX = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """An event about to be raised for one receiving tenant.

    ``sequence`` is the version of the subject after the change: a receiver can drop what is stale.
    ``dedupe_key`` is unique per tenant: raising twice is one event. ``id`` becomes ``webhook-id``.
    ``traceparent`` is the caller's W3C trace context: the attempts then belong to that trace.
    """

    tenant_id: str
    type: str
    data: Mapping[str, Any]
    subject_type: str = "event"
    subject_id: str = ""
    sequence: int = 1
    dedupe_key: str | None = None
    raised_by: str = "publish"
    occurred_at: datetime | None = None
    traceparent: str | None = None
    id: str = field(default_factory=new_id)


def publish(session: Session | Connection, event: EventDraft) -> str:
    """Raise one event inside the caller's own transaction and return its id.

    The event exists if, and only if, the caller commits; one raised before under the same
    ``dedupe_key`` keeps its id. Raises UnknownEventType, NotFound (tenant), InvalidInput or
    EventTooLarge before anything is written.
    """
    return publish_many(session, [event])[0]


def publish_many(session: Session | Connection, drafts: Sequence[EventDraft]) -> list[str]:
    """Raise many events as ``publish`` does one; ids come back in the order given."""
    connection = session.connection() if isinstance(session, Session) else session
    schemas = require_types(connection, (draft.type for draft in drafts))
    for draft in drafts:
        check_data(draft.data, schemas[draft.type], draft.type)
    _require_tenants(connection, {draft.tenant_id for draft in drafts})
    return record(connection, drafts, database_now(connection))


def record(
    connection: Connection, drafts: Sequence[EventDraft], now: datetime, *, relayed: bool = True
) -> list[str]:
    """Insert events and outbox rows for callers who know that type and tenant exist.

    With ``relayed`` false there are no outbox rows: the caller inserts the deliveries itself.
    """
    ids: list[str] = []
    for start in range(0, len(drafts), BATCH_ROWS_MAX):
        batch = drafts[start : start + BATCH_ROWS_MAX]
        rows, batch_ids = _insert_events(connection, batch, now, relayed=relayed)
        ids += batch_ids
        if rows and relayed:
            bulk_insert(connection, outbox, [_outbox_row(row) for row in rows])
    return ids


def render_body(draft: EventDraft, occurred_at: datetime) -> bytes:
    """Serialise the envelope of document 001 once: the bytes stored, signed, sent and replayed.

    Raises InvalidInput when ``data`` holds something JSON cannot, EventTooLarge above 256 KiB.
    """
    try:
        body = orjson.dumps(
            {
                "event": draft.type,
                "timestamp": iso_seconds(occurred_at),
                "tenant_id": draft.tenant_id,
                "data": draft.data,
                "id": draft.id,
                "version": ENVELOPE_VERSION,
                "sequence": draft.sequence,
            }
        )
    except TypeError as error:
        raise InvalidInput(
            f"data of {draft.type} cannot become JSON: {error}", field="data"
        ) from None
    if len(body) > BODY_BYTES_MAX:
        raise EventTooLarge(
            f"the event has {len(body)} bytes, at most {BODY_BYTES_MAX} are carried", field="data"
        )
    return body


def copy_of(event: Mapping[str, Any], *, raised_by: str) -> EventDraft:
    """Return a draft that says the same under a new id; its ``data`` is the same, byte for byte.

    ``event`` is a row of ``events``. Decimals keep their digits, for nothing is parsed.
    """
    body: bytes = event["body"]
    start, end = body.index(b'"data":') + len(b'"data":'), body.rindex(b',"id":')
    return EventDraft(
        tenant_id=event["tenant_id"],
        type=event["type"],
        data=cast("Mapping[str, Any]", orjson.Fragment(body[start:end])),
        subject_type=event["subject_type"],
        subject_id=event["subject_id"],
        sequence=event["sequence"],
        raised_by=raised_by,
        occurred_at=event["occurred_at"],
    )


def iso_seconds(instant: datetime) -> str:
    """Return ``2024-01-17T14:30:00Z``: UTC, whole seconds (document 000, conventions)."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _insert_events(
    connection: Connection, drafts: Sequence[EventDraft], now: datetime, *, relayed: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """Insert one batch; return the rows that are new, and for every draft the id that stands."""
    alone = {} if relayed else {"relayed": False}
    rows = [_row(draft, now) | alone for draft in drafts]
    if any(row["dedupe_key"] is not None for row in rows):
        return _insert_new_only(connection, rows)
    bulk_insert(connection, events, rows)
    return rows, [row["id"] for row in rows]


def _insert_new_only(
    connection: Connection, rows: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Insert what is new; return the new rows, and for every row the id that stands."""
    new_ids = bulk_insert_missing(connection, events, rows, ["tenant_id", "dedupe_key"])
    ids = [row["id"] if row["id"] in new_ids else _standing_id(connection, row) for row in rows]
    return [row for row in rows if row["id"] in new_ids], ids


def _standing_id(connection: Connection, row: dict[str, Any]) -> str:
    same_key = (events.c.tenant_id == row["tenant_id"]) & (events.c.dedupe_key == row["dedupe_key"])
    return str(connection.execute(select(events.c.id).where(same_key)).scalar_one())


def _row(draft: EventDraft, now: datetime) -> dict[str, Any]:
    occurred_at = draft.occurred_at or now
    return {
        "id": draft.id,
        "tenant_id": draft.tenant_id,
        "type": draft.type,
        "subject_type": draft.subject_type,
        "subject_id": draft.subject_id or draft.id,
        "sequence": draft.sequence,
        "dedupe_key": draft.dedupe_key,
        "body": render_body(draft, occurred_at),
        "raised_by": draft.raised_by,
        "traceparent": _check_traceparent(draft.traceparent),
        "occurred_at": occurred_at,
        "created_at": now,
    }


def _check_traceparent(given: str | None) -> str | None:
    if given is not None and not TRACEPARENT.fullmatch(given):
        raise InvalidInput(
            f"{given!r} is no traceparent such as 00-<32 hex>-<16 hex>-01", field="traceparent"
        )
    return given


def _outbox_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": row["id"],
        "tenant_id": row["tenant_id"],
        "event_type": row["type"],
        "created_at": row["created_at"],
    }


def _require_tenants(connection: Connection, ids: set[str]) -> None:
    for tenant_id in sorted(ids):
        row = None
        if is_id(tenant_id):
            row = connection.execute(select(tenants.c.id).where(tenants.c.id == tenant_id)).first()
        if row is None:
            raise NotFound(f"no tenant {tenant_id!r}", field="tenant_id", value=tenant_id)
