"""How much a reseller may buy: pieces a day (UTC), and pieces of a product in all.

Each limit is one guarded update, so that of two purchases at once both cannot take the last piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from sqlalchemy import case, or_, select, update

from engine.errors import PurchaseLimitExceeded
from engine.program_tables import reseller_purchases, reseller_relationships
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

_BOUND = reseller_relationships.c
_BOUGHT = reseller_purchases.c


def take(
    work: UnitOfWork,
    relationship: Mapping[str, Any],
    product_id: str,
    quantity: int,
    maximum: int | None,
) -> None:
    """Count pieces against the daily limit and the product's ``maximum`` (None: no limit).

    Raises PurchaseLimitExceeded with ``field``, ``limit`` and ``left``.
    """
    _take_today(work, relationship["id"], quantity)
    mine = _of(relationship["id"], product_id)
    row = {"relationship_id": relationship["id"], "product_id": product_id, "quantity": 0}
    insert_missing(work.connection, reseller_purchases, [row], ["relationship_id", "product_id"])
    statement = update(reseller_purchases).where(mine)
    if maximum is not None:
        statement = statement.where(_BOUGHT.quantity + quantity <= maximum)
    taken = work.connection.execute(statement.values(quantity=_BOUGHT.quantity + quantity))
    if taken.rowcount != 1:
        assert maximum is not None
        bought = work.connection.execute(select(_BOUGHT.quantity).where(mine)).scalar_one()
        raise _refusal("max_quantity", maximum, maximum - bought, "of this product in all")


def give_back(
    work: UnitOfWork,
    relationship: Mapping[str, Any],
    product_id: str,
    quantity: int,
    taken_on: date,
) -> None:
    """Count pieces no more that are not bought after all: of the product, and of the day."""
    work.connection.execute(
        update(reseller_relationships)
        .where(_BOUND.id == relationship["id"], _BOUND.purchased_on == taken_on)
        .values(purchased_quantity=_BOUND.purchased_quantity - quantity)
    )
    work.connection.execute(
        update(reseller_purchases)
        .where(_of(relationship["id"], product_id))
        .values(quantity=_BOUGHT.quantity - quantity)
    )


def _take_today(work: UnitOfWork, relationship_id: str, quantity: int) -> None:
    today = work.now.date()
    so_far = case((_BOUND.purchased_on == today, _BOUND.purchased_quantity), else_=0)
    limit = _BOUND.purchase_limit_daily
    taken = work.connection.execute(
        update(reseller_relationships)
        .where(_BOUND.id == relationship_id, or_(limit.is_(None), so_far + quantity <= limit))
        .values(purchased_on=today, purchased_quantity=so_far + quantity)
    )
    if taken.rowcount != 1:
        found = select(limit, so_far).where(_BOUND.id == relationship_id)
        daily, bought = work.connection.execute(found).one()
        raise _refusal("purchase_limit_daily", daily, daily - bought, "a day (UTC)")


def _of(relationship_id: str, product_id: str) -> Any:
    return (_BOUGHT.relationship_id == relationship_id) & (_BOUGHT.product_id == product_id)


def _refusal(field: str, limit: int, left: int, per: str) -> PurchaseLimitExceeded:
    return PurchaseLimitExceeded(
        f"the reseller may buy {limit} pieces {per}; {max(left, 0)} are left",
        field=field,
        limit=limit,
        left=max(left, 0),
    )
