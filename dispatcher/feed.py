"""The pull feed: a tenant's events in the order they became readable, each with its exact bytes.

No id and no time tells in which order transactions commit: a cursor over either lost 5.5 % in a
measurement (domain.md 3.3). On PostgreSQL an event's place is the number of the transaction that
wrote it, and a reader passes only what lies below the oldest transaction still open: nothing can
appear behind it any more. SQLite has one writer, so there the order of rows is that of commits.
"""

from __future__ import annotations

import base64
import binascii
import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    literal,
    literal_column,
    select,
    text,
    tuple_,
)

from engine.errors import BodyExpired, CursorExpired, InvalidInput, NotFound
from engine.events import iso_seconds
from engine.ids import is_id
from engine.tables import events
from engine.types import Id

LIMIT_DEFAULT, LIMIT_MAX = 100, 1000
#: How long bodies are kept, unless the settings say otherwise: so old may a cursor be.
KEPT = timedelta(days=30)
#: Who has no cursor begins this share of it later, and so has a day to read on before retention,
#: which works at the very edge, is there too.
HEAD_START = 1 / 30

_FIRST_ID, _LAST_ID = str(uuid.UUID(int=0)), str(uuid.UUID(int=(1 << 128) - 1))
#: Kind of database, seconds since 1970, position, event id; a checksum follows.
_PACKED = struct.Struct(">cIq16s")
_CHECKED = struct.Struct(">I")
_KINDS = {"postgresql": b"p", "sqlite": b"s"}

_EVENT = [
    events.c[name]
    for name in (
        "id",
        "type",
        "subject_type",
        "subject_id",
        "sequence",
        "occurred_at",
        "created_at",
        "body",
    )
]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a reader stands: behind this event, as of this time."""

    position: int
    event_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Some events in feed order, each with its own ``cursor``; ``next_cursor`` is always there.

    Where ``has_more`` is false, everything readable was read; ask again later with ``next_cursor``.
    """

    events: Sequence[dict[str, Any]]
    next_cursor: str
    has_more: bool


def read_page(
    connection: Connection,
    tenant_id: str,
    *,
    now: datetime,
    after: str | None = None,
    limit: int = LIMIT_DEFAULT,
    type_name: str | None = None,
    subject_id: str | None = None,
    kept: timedelta = KEPT,
) -> Page:
    """Return up to ``limit`` events of a tenant behind the cursor ``after``, or of 29 days.

    Read on until ``has_more`` is false, then from time to time: nothing is lost and nothing comes
    twice, however transactions overlap. A filter may change between two pages. Raises InvalidInput
    naming ``after`` or ``limit``, or CursorExpired for a cursor older than bodies are ``kept``, or
    behind which one was removed: it names the time between which and which events may be missing.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput(f"limit {limit} is not between 1 and {LIMIT_MAX}", field="limit")
    kind = connection.dialect.name
    frontier = _frontier(connection)
    place = None if after is None else _checked(decode_cursor(after, kind), frontier, now, kept)
    query = _behind(kind, tenant_id, place, frontier)
    if place is None:
        begin = now - kept * (1 - HEAD_START)
        query = query.where(events.c.created_at >= begin, events.c.body != b"")
    if type_name is not None:
        query = query.where(events.c.type == type_name)
    if subject_id is not None:
        query = query.where(events.c.subject_id == subject_id)
    rows = connection.execute(query.limit(limit + 1)).mappings().all()
    if any(not row["body"] for row in rows[:limit]):
        raise _expired(place, now, kept)
    found = [_with_cursor(dict(row), kind) for row in rows[:limit]]
    # Nothing more below the frontier: the reader stands there, and need not look that way again.
    at_frontier = encode_cursor(Place(frontier, _LAST_ID, now), kind)
    has_more = len(rows) > limit
    return Page(found, found[-1]["cursor"] if has_more else at_frontier, has_more)


def read_event(connection: Connection, tenant_id: str, event_id: str) -> dict[str, Any]:
    """Return one event of a tenant with its exact ``body`` bytes.

    Raises NotFound, the same for one that does not exist and for another tenant's, or BodyExpired.
    """
    row = None
    if is_id(event_id):
        mine = (events.c.id == event_id.lower()) & (events.c.tenant_id == tenant_id)
        row = connection.execute(select(*_EVENT).where(mine)).mappings().first()
    if row is None:
        raise NotFound(f"no event {event_id!r}", field="id", value=event_id)
    if not row["body"]:
        raise BodyExpired(f"the body of {row['id']} was removed: it is too old", id=row["id"])
    return dict(row)


def encode_cursor(place: Place, kind: str) -> str:
    """Return a place as opaque text for one ``kind`` of database (``postgresql``, ``sqlite``)."""
    packed = _PACKED.pack(
        _KINDS[kind],
        int(place.at.timestamp()),
        place.position,
        uuid.UUID(place.event_id).bytes,
    )
    checked = packed + _CHECKED.pack(zlib.crc32(packed))
    return base64.urlsafe_b64encode(checked).decode().rstrip("=")


def decode_cursor(cursor: str, kind: str) -> Place:
    """Return the place a cursor names; InvalidInput (field ``after``) for any other text."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        packed, check = raw[: _PACKED.size], raw[_PACKED.size :]
        (checksum,) = _CHECKED.unpack(check)
        made_for, at, position, event_id = _PACKED.unpack(packed)
    except (ValueError, binascii.Error, struct.error):
        raise _not_a_cursor() from None
    if checksum != zlib.crc32(packed) or made_for != _KINDS[kind] or position < 0:
        raise _not_a_cursor()
    return Place(position, str(uuid.UUID(bytes=event_id)), datetime.fromtimestamp(at, UTC))


def _not_a_cursor() -> InvalidInput:
    return InvalidInput(
        "this is not a cursor of this feed; pass next_cursor back as it came", field="after"
    )


def _checked(place: Place, frontier: int, now: datetime, kept: timedelta) -> Place:
    """Refuse a place whose events may be gone, or that lies ahead of a database restored since."""
    if place.at < now - kept or place.position > frontier:
        raise _expired(place, now, kept)
    return place


def _expired(place: Place | None, now: datetime, kept: timedelta) -> CursorExpired:
    since = None if place is None else iso_seconds(place.at)
    return CursorExpired(
        "what follows this cursor may be gone: begin without one, and compare the days from"
        " missing_since to missing_until by their manifests",
        field="after",
        kept_days=kept.days,
        missing_since=since,
        missing_until=iso_seconds(now - kept * (1 - HEAD_START)),
    )


def _frontier(connection: Connection) -> int:
    """Return the highest position behind which nothing can appear any more."""
    if connection.dialect.name == "sqlite":
        query = "SELECT coalesce(max(rowid), 0) FROM events"
    else:
        query = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1"
    return int(connection.execute(text(query)).scalar_one())


def _behind(kind: str, tenant_id: str, place: Place | None, frontier: int) -> Select[Any]:
    """Return the query for a tenant's events between a place and the frontier, in feed order."""
    place = place or Place(-1, _FIRST_ID, datetime.min)  # noqa: DTZ901  # its time is never read
    if kind == "sqlite":
        row_number: ColumnElement[int] = literal_column("events.rowid")
        # The plus keeps SQLite from sorting all of a tenant's events instead of reading the new.
        mine: ColumnElement[bool] = literal_column("+events.tenant_id") == literal(tenant_id)
        query = select(*_EVENT, row_number.label("position"))
        query = query.where(mine, row_number > place.position, row_number <= frontier)
        return query.order_by(row_number)
    stands = tuple_(events.c.position, events.c.id)
    return (
        select(*_EVENT, events.c.position)
        .where(events.c.tenant_id == tenant_id, events.c.position <= frontier)
        .where(stands > tuple_(literal(place.position), literal(place.event_id, Id)))
        .order_by(events.c.position, events.c.id)
    )


def _with_cursor(row: dict[str, Any], kind: str) -> dict[str, Any]:
    place = Place(row.pop("position"), row["id"], row["created_at"])
    return {**row, "cursor": encode_cursor(place, kind)}
