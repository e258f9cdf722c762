"""That a product changed: one small row for all who sell it, and what each was told of it last."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, func, insert, select

from engine.price_cascade import Offer
from engine.product_tables import product_changes, told_offers
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_or_change


def mark(work: UnitOfWork, product_id: str) -> None:
    """Say, in the transaction of the change, that a price, the stock or the status changed.

    The first change opens a window, later ones are counted in it; a product that is being told
    opens its next one. The caller holds the product's row.
    """
    row = {
        "product_id": product_id,
        "is_walking": False,
        "opened_at": work.now,
        "turn_at": work.now,
        "changes": 1,
        "actor": work.actor,
    }
    counted = {"changes": product_changes.c.changes + 1, "actor": work.actor}
    insert_or_change(work.connection, product_changes, row, ["product_id", "is_walking"], counted)


def keep_first(work: UnitOfWork, product: Mapping[str, Any], offer: Offer) -> None:
    """Keep what a tenant sees of a product at first: it hears only of what changes after that."""
    work.connection.execute(insert(told_offers).values(told(product, offer)))


def waiting(connection: Connection, product_ids: Collection[str]) -> int:
    """Return how many of these products have changes that are not told yet."""
    mine = product_changes.c.product_id.in_(list(product_ids))
    return int(connection.execute(select(func.count()).where(mine)).scalar_one())


def told(product: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
    """Return the row that says what a tenant was told. Pure."""
    return {
        "product_id": product["id"],
        "tenant_id": offer.tenant_id,
        "version": product["version"],
        "price_minor": offer.cost_minor,
        "stock": product["stock_quantity"] - product["stock_allocated"],
        "status": product["status"],
        "is_available": offer.is_sellable,
    }
