"""Tell every tenant that sells a product what changed: later, in chunks, one transaction each.

A change leaves one row (``product_changes``); a window after it the expander walks the tenants that
have a price, compares what each was told last with what it sees now, and raises its event. Event,
what was told and the place of the walk are one transaction: a process that dies in the middle
neither loses nor doubles, and whoever comes next goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    not_,
    or_,
    select,
    update,
)

from config.clock import Clock
from config.crash_points import C21_TENANTS_TOLD, at
from engine.price_cascade import Offer
from engine.product_changes import told
from engine.product_events import updated
from engine.product_tables import product_changes, told_offers
from engine.product_views import PRODUCT, views
from engine.unit_of_work import UnitOfWork, UnitsOfWork

WINDOW = timedelta(seconds=5)
#: Tenants a transaction looks at, and products it begins or goes on with, at most.
TENANTS_PER_CHUNK = 500
PRODUCTS_PER_CHUNK = 50


class ProductExpander:
    """Turns marked products into one ``product.updated`` per tenant that sees a change."""

    def __init__(self, units: UnitsOfWork, clock: Clock, *, window: timedelta = WINDOW) -> None:
        """Prepare; ``clock`` is the database's, which stamped the changes too."""
        self._units = units
        self._clock = clock
        self._window = window

    def run_once(self) -> int:
        """Tell one chunk in one transaction; return how many products it moved on, 0 when idle.

        Any number of workers may call it: a product is told by one at a time.
        """
        self._clock.sync()
        over = _over(self._clock.now() - self._window)
        with self._units.database.read() as connection:
            # Most looks find nothing, and those need no writer.
            anything = select(product_changes.c.product_id).where(or_(_WALKING, over))
            if connection.execute(anything.limit(1)).first() is None:
                return 0
        with self._units.database.write() as connection:
            _close_windows(connection, over)
        with self._units.begin(actor="products", source="expander") as work:
            walks = [dict(row) for row in work.connection.execute(_FREE).mappings()]
            return _tell_chunk(work, walks)

    def run_until_idle(self) -> int:
        """Tell everything whose window is over; return how many chunks that took."""
        chunks = 0
        while self.run_once():
            chunks += 1
        return chunks


_WALKING = product_changes.c.is_walking
_FREE = (
    select(product_changes)
    .where(_WALKING)
    .order_by(product_changes.c.turn_at)
    .limit(PRODUCTS_PER_CHUNK)
    .with_for_update(skip_locked=True)
)


def _over(opened_until: datetime) -> ColumnElement[bool]:
    """Return what holds for windows that are over and whose product is not being told."""
    walk = product_changes.alias()
    walked = exists().where(walk.c.product_id == product_changes.c.product_id, walk.c.is_walking)
    return and_(not_(_WALKING), product_changes.c.opened_at <= opened_until, not_(walked))


def _close_windows(connection: Connection, over: ColumnElement[bool]) -> None:
    """Let the walks begin, in a moment of its own: who changes a product waits for no chunk."""
    oldest = select(product_changes.c.product_id).where(over).order_by(product_changes.c.turn_at)
    free = oldest.limit(PRODUCTS_PER_CHUNK).with_for_update(skip_locked=True)
    mine = and_(product_changes.c.product_id.in_(free), not_(_WALKING))
    connection.execute(update(product_changes).where(mine).values(is_walking=True))


def _tell_chunk(work: UnitOfWork, walks: Sequence[dict[str, Any]]) -> int:
    """Look at the next tenants of each walk, as long as the chunk has room; return how many."""
    room = TENANTS_PER_CHUNK
    for count, walk in enumerate(walks):
        if room == 0:
            return count
        rows = [dict(row) for row in work.connection.execute(_next(walk, room)).mappings()]
        _tell(work, walk, rows)
        at(C21_TENANTS_TOLD)
        _move_on(work, walk, rows[-1]["tenant_id"] if len(rows) == room else None)
        room -= len(rows)
    return len(walks)


def _next(walk: dict[str, Any], limit: int) -> Select[Any]:
    """Select what the next tenants of a walk were told, and what they see now."""
    query = views().where(told_offers.c.product_id == walk["product_id"])
    if walk["cursor_id"] is not None:
        query = query.where(told_offers.c.tenant_id > walk["cursor_id"])
    return query.order_by(told_offers.c.tenant_id).limit(limit)


def _tell(work: UnitOfWork, walk: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Raise the event of each tenant that sees a change, and keep what it was told."""
    kept = []
    for row in rows:
        product = {name: row[f"of_{name}"] for name in PRODUCT}
        offer = Offer(row["tenant_id"], row["cost_now"], is_sellable=row["is_sellable_now"])
        now = told(product, offer)
        draft = updated(product, row, now, changes=walk["changes"], raised_by=walk["actor"])
        if draft is not None:
            work.raise_event(draft)
            kept.append(
                {**{f"new_{name}": value for name, value in now.items()}, "was": row["version"]}
            )
    if kept:
        stored = work.connection.execute(_KEEP, kept)
        assert stored.rowcount == len(kept), "told by another in between: undone, and told again"


_KEEP = (
    update(told_offers)
    .where(
        told_offers.c.product_id == bindparam("new_product_id"),
        told_offers.c.tenant_id == bindparam("new_tenant_id"),
        told_offers.c.version == bindparam("was"),
    )
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in ("version", "price_minor", "stock", "status", "is_available")
        }
    )
)


def _move_on(work: UnitOfWork, walk: dict[str, Any], cursor_id: str | None) -> None:
    """Keep how far the walk came, behind those that have waited longer, or end it."""
    mine = and_(product_changes.c.product_id == walk["product_id"], _WALKING)
    if cursor_id is None:
        moved = work.connection.execute(delete(product_changes).where(mine))
    else:
        values = {"cursor_id": cursor_id, "turn_at": work.now}
        moved = work.connection.execute(update(product_changes).where(mine).values(values))
    assert moved.rowcount == 1, "the row was locked"
