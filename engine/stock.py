"""Stock of tracked products: reserved when an order is accepted, consumed when it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, update

from engine.errors import StockUnavailable
from engine.product_tables import products
from engine.unit_of_work import UnitOfWork


def reserve(work: UnitOfWork, fulfiller_id: str, lines: Iterable[dict[str, Any]]) -> None:
    """Set pieces aside, or raise StockUnavailable; a reseller's own stock is not tracked here."""
    free = products.c.stock_quantity - products.c.stock_allocated
    for product_id, quantity in _quantities(lines):
        allocated = products.c.stock_allocated + quantity
        if not _move(work, fulfiller_id, product_id, free >= quantity, stock_allocated=allocated):
            raise StockUnavailable(
                f"fewer than {quantity} free pieces of product {product_id}",
                product_id=product_id,
                quantity=quantity,
            )


def free(work: UnitOfWork, fulfiller_id: str, lines: Iterable[dict[str, Any]]) -> None:
    """Give reserved pieces back."""
    for product_id, quantity in _quantities(lines):
        reserved = products.c.stock_allocated >= quantity
        left = products.c.stock_allocated - quantity
        _move(work, fulfiller_id, product_id, reserved, stock_allocated=left)


def consume(work: UnitOfWork, fulfiller_id: str, lines: Iterable[dict[str, Any]]) -> None:
    """Take reserved pieces out of the stock."""
    for product_id, quantity in _quantities(lines):
        reserved = products.c.stock_allocated >= quantity
        _move(
            work,
            fulfiller_id,
            product_id,
            reserved,
            stock_allocated=products.c.stock_allocated - quantity,
            stock_quantity=products.c.stock_quantity - quantity,
        )


def restock(work: UnitOfWork, fulfiller_id: str, lines: Iterable[dict[str, Any]]) -> None:
    """Put returned pieces back."""
    for product_id, quantity in _quantities(lines):
        there = products.c.stock_quantity + quantity
        _move(work, fulfiller_id, product_id, products.c.id == product_id, stock_quantity=there)


def _quantities(lines: Iterable[dict[str, Any]]) -> list[tuple[str, int]]:
    """Return the pieces per product, in the order in which every transaction locks them."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line["product_id"]] = quantities.get(line["product_id"], 0) + line["quantity"]
    return sorted(quantities.items())


def _move(
    work: UnitOfWork,
    fulfiller_id: str,
    product_id: str,
    guard: ColumnElement[bool],
    **values: ColumnElement[int],
) -> bool:
    """Change the stock where ``guard`` holds; True also when there is nothing to track."""
    mine = (products.c.id == product_id) & (products.c.tenant_id == fulfiller_id)
    tracked = mine & products.c.track_inventory
    moved = work.connection.execute(
        update(products).where(tracked, guard).values(updated_at=work.now, **values)
    )
    if moved.rowcount == 1:
        return True
    found = work.connection.execute(products.select().where(tracked)).first()
    return found is None
