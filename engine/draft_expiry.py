"""What time does to draft orders: a notice a day before, the end at 168 hours, oblivion at 30 days.

Each step is one guarded update, so that a draft is either checked out or expired, whoever is first,
and each is told once. The time is the unit of work's: nothing is expired before its hour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, func, select, update

from config.crash_points import C20_DRAFTS_EXPIRED, at
from engine.draft_tables import draft_items, draft_orders, order_fields
from engine.drafts import DRAFT, EXPIRED
from engine.events import EventDraft, iso_seconds
from engine.unit_of_work import UnitOfWork

NOTICE_BEFORE = timedelta(hours=24)
KEPT_AFTER = timedelta(days=30)
BATCH_MAX = 1000

Row = dict[str, Any]


def due(connection: Connection, step: str, as_of: datetime, limit: int = BATCH_MAX) -> list[Row]:
    """Return the drafts that a step of ``STEPS`` is due for, the longest waiting first."""
    column = draft_orders.c.expired_at if step == "delete" else draft_orders.c.expires_at
    query = select(draft_orders).where(_conditions(as_of)[step]).order_by(column).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def warn(work: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """Tell the owners of drafts that expire within a day, once; return the ids told of."""
    told = _take(work, ids, "warn", {"expiring_told_at": work.now})
    _tell(work, told, "expiring")
    return [row["id"] for row in told]


def expire(work: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """Expire drafts whose 168 hours are over, and tell their owners; return the ids expired."""
    over = _take(work, ids, "expire", {"status": EXPIRED, "expired_at": work.now})
    at(C20_DRAFTS_EXPIRED)
    _tell(work, over, "expired")
    return [row["id"] for row in over]


def remove(work: UnitOfWork, ids: Sequence[str]) -> list[str]:
    """Delete drafts that expired 30 days ago, without an event; return the ids deleted."""
    _lock(work, ids)
    chosen = draft_orders.c.id.in_(list(ids)) & _conditions(work.now)["delete"]
    gone = list(work.connection.execute(select(draft_orders.c.id).where(chosen)).scalars())
    for key in (order_fields.c.order_id, draft_items.c.draft_order_id, draft_orders.c.id):
        work.connection.execute(delete(key.table).where(key.in_(gone)))
    return gone


#: Every step by name, in the order of a draft's life.
STEPS: Mapping[str, Callable[[UnitOfWork, Sequence[str]], list[str]]] = {
    "warn": warn,
    "expire": expire,
    "delete": remove,
}


def _conditions(now: datetime) -> dict[str, ColumnElement[bool]]:
    """Return what holds of a draft when each step is due: the query and the guard are the same."""
    drafts = draft_orders.c
    return {
        "warn": (drafts.status == DRAFT)
        & drafts.expiring_told_at.is_(None)
        & (drafts.expires_at <= now + NOTICE_BEFORE)
        & (drafts.expires_at > now),
        "expire": (drafts.status == DRAFT) & (drafts.expires_at <= now),
        "delete": (drafts.status == EXPIRED) & (drafts.expired_at <= now - KEPT_AFTER),
    }


def _lock(work: UnitOfWork, ids: Sequence[str]) -> None:
    """Lock drafts in the order of their ids: two sweeps cannot wait for each other."""
    query = select(draft_orders.c.id).where(draft_orders.c.id.in_(list(ids)))
    work.connection.execute(query.order_by(draft_orders.c.id).with_for_update()).all()


def _take(work: UnitOfWork, ids: Sequence[str], step: str, values: Row) -> list[Row]:
    _lock(work, ids)
    taken = (
        update(draft_orders)
        .where(draft_orders.c.id.in_(list(ids)), _conditions(work.now)[step])
        .values(version=draft_orders.c.version + 1, updated_at=work.now, **values)
        .returning(*draft_orders.columns)
    )
    rows = [dict(row) for row in work.connection.execute(taken).mappings()]
    return sorted(rows, key=lambda row: (row["expires_at"], row["id"]))


def _tell(work: UnitOfWork, rows: Sequence[Row], what: str) -> None:
    """Raise ``draft_order.expiring`` or ``.expired`` for the owner of each draft."""
    ids = [row["id"] for row in rows]
    count = select(draft_items.c.draft_order_id, func.count().label("items"))
    counted = count.where(draft_items.c.draft_order_id.in_(ids)).group_by(
        draft_items.c.draft_order_id
    )
    items = {row.draft_order_id: row.items for row in work.connection.execute(counted)}
    for row in rows:
        work.raise_event(
            EventDraft(
                tenant_id=row["tenant_id"],
                type=f"draft_order.{what}",
                subject_type="draft_order",
                subject_id=row["id"],
                sequence=row["version"],
                dedupe_key=f"draft_order:{row['id']}:{what}",
                raised_by="engine",
                data={
                    "order_id": row["id"],
                    "external_order_id": row["external_order_id"],
                    "expires_at": iso_seconds(row["expires_at"]),
                    "items_count": items.get(row["id"], 0),
                },
            )
        )
