"""Stock: reserved when an order is accepted, gone when it leaves; every change is a move.

``products`` holds what there is now, ``stock_moves`` how it came to be. Only the owner's products
are stocked here, and of those only the tracked ones move with orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, insert, select, update

from engine import states
from engine.errors import StockUnavailable
from engine.order_tables import chain_orders, order_lines
from engine.product_changes import mark
from engine.product_tables import products, stock_moves
from engine.unit_of_work import UnitOfWork

STOCK_MAX = 2**31 - 1
#: In these an order's pieces are set aside and still there.
RESERVING = (states.ACCEPTED, states.PROCESSING)


@dataclass(frozen=True, slots=True)
class Move:
    """What changes about a stock, why, and which order it is for."""

    reason: str
    on_hand: int = 0
    allocated: int = 0
    reference_type: str | None = None
    reference_id: str | None = None


def reserve(work: UnitOfWork, fulfiller_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Set pieces aside, or raise StockUnavailable; a reseller's own stock is not tracked here."""
    there = products.c.stock_quantity - products.c.stock_allocated
    for product_id, quantity in _quantities(lines):
        move = _of_order("reserved", lines, allocated=quantity)
        if not _move(work, fulfiller_id, product_id, move, there >= quantity):
            raise StockUnavailable(
                f"fewer than {quantity} free pieces of product {product_id}",
                product_id=product_id,
                quantity=quantity,
            )


def free(work: UnitOfWork, fulfiller_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Give reserved pieces back."""
    for product_id, quantity in _quantities(lines):
        move = _of_order("freed", lines, allocated=-quantity)
        # Too few set aside is a drift that this order's end makes smaller: no reason to refuse it.
        _move(work, fulfiller_id, product_id, move, products.c.stock_allocated >= quantity)


def consume(work: UnitOfWork, fulfiller_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Take reserved pieces out of the stock, or raise StockUnavailable where they are not there."""
    for product_id, quantity in _quantities(lines):
        move = _of_order("shipped", lines, on_hand=-quantity, allocated=-quantity)
        if not _move(work, fulfiller_id, product_id, move, products.c.stock_allocated >= quantity):
            raise StockUnavailable(
                f"product {product_id} has fewer pieces set aside than this order reserved; "
                "tillbell reconcile run --check K19 corrects that",
                product_id=product_id,
                quantity=quantity,
            )


def restock(work: UnitOfWork, fulfiller_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """Put returned pieces back."""
    for product_id, quantity in _quantities(lines):
        move = _of_order("returned", lines, on_hand=quantity)
        room = products.c.stock_quantity <= STOCK_MAX - quantity
        if not _move(work, fulfiller_id, product_id, move, room):
            raise StockUnavailable(
                f"the stock of product {product_id} cannot hold {quantity} pieces more",
                product_id=product_id,
                quantity=quantity,
            )


def sell(
    work: UnitOfWork, product: Mapping[str, Any], quantity: int, reference: tuple[str, str]
) -> None:
    """Take free pieces out of the stock at once, or raise StockUnavailable where they are not."""
    move = Move("sold", -quantity, reference_type=reference[0], reference_id=reference[1])
    there = products.c.stock_quantity - products.c.stock_allocated >= quantity
    if not _move(work, product["tenant_id"], product["id"], move, there):
        raise StockUnavailable(
            f"fewer than {quantity} free pieces of product {product['id']}",
            product_id=product["id"],
            quantity=quantity,
        )


def receive(work: UnitOfWork, product: Mapping[str, Any], quantity: int) -> None:
    """Put new pieces into the stock, or raise StockUnavailable where it cannot hold them."""
    room = products.c.stock_quantity <= STOCK_MAX - quantity
    if not _move(work, product["tenant_id"], product["id"], Move("received", quantity), room):
        raise StockUnavailable(
            f"the stock of product {product['id']} cannot hold {quantity} pieces more",
            product_id=product["id"],
            quantity=quantity,
        )


def write_move(work: UnitOfWork, row: Mapping[str, Any], move: Move) -> None:
    """Write down a move that led to ``row``, the product as it is now."""
    work.connection.execute(
        insert(stock_moves).values(
            product_id=row["id"],
            version=row["version"],
            on_hand_delta=move.on_hand,
            allocated_delta=move.allocated,
            on_hand=row["stock_quantity"],
            allocated=row["stock_allocated"],
            reason=move.reason,
            reference_type=move.reference_type,
            reference_id=move.reference_id,
            actor=work.actor,
            source=work.source,
            created_at=work.now,
        )
    )


def write_correction(work: UnitOfWork, row: Mapping[str, Any], reason: str) -> None:
    """Write down what leads from the newest move to ``row``: a drift ends with a new count."""
    [newest] = moves_of(work.connection, row["id"], limit=1)
    on_hand = row["stock_quantity"] - newest["on_hand"]
    allocated = row["stock_allocated"] - newest["allocated"]
    write_move(work, row, Move(reason, on_hand=on_hand, allocated=allocated))


def moves_of(connection: Connection, product_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """Return the newest moves of a product's stock, newest first."""
    query = select(stock_moves).where(stock_moves.c.product_id == product_id)
    newest = query.order_by(stock_moves.c.version.desc()).limit(limit)
    return [dict(row) for row in connection.execute(newest).mappings()]


def waited_for() -> Select[Any]:
    """Select ``product_id`` and ``pieces``: what accepted orders still wait for, by product.

    Only the owner's own fulfilment counts. It costs what is open.
    """
    return (
        select(products.c.id.label("product_id"), func.sum(order_lines.c.quantity).label("pieces"))
        .join_from(chain_orders, order_lines, order_lines.c.chain_order_id == chain_orders.c.id)
        .join(
            products,
            and_(
                products.c.id == order_lines.c.product_id,
                products.c.tenant_id == chain_orders.c.fulfiller_tenant_id,
            ),
        )
        .where(chain_orders.c.chain_status.in_(RESERVING))
        .group_by(products.c.id)
    )


def open_items(connection: Connection, product_id: str) -> int:
    """Return how many pieces of a product accepted orders still wait for."""
    row = connection.execute(waited_for().where(products.c.id == product_id)).first()
    return 0 if row is None else int(row.pieces)


def _quantities(lines: Iterable[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """Return the pieces per product, in the order in which every transaction locks them."""
    quantities: dict[str, int] = {}
    for line in lines:
        quantities[line["product_id"]] = quantities.get(line["product_id"], 0) + line["quantity"]
    return sorted(quantities.items())


def _of_order(reason: str, lines: Sequence[Mapping[str, Any]], **deltas: int) -> Move:
    order_id = lines[0]["chain_order_id"]
    return Move(reason, reference_type="chain_order", reference_id=order_id, **deltas)


def _move(
    work: UnitOfWork, fulfiller_id: str, product_id: str, move: Move, guard: ColumnElement[bool]
) -> bool:
    """Change the stock where ``guard`` holds; True also when there is nothing to track."""
    mine = (products.c.id == product_id) & (products.c.tenant_id == fulfiller_id)
    tracked = mine & products.c.track_inventory
    moved = work.connection.execute(
        update(products)
        .where(tracked, guard)
        .values(
            stock_quantity=products.c.stock_quantity + move.on_hand,
            stock_allocated=products.c.stock_allocated + move.allocated,
            version=products.c.version + 1,
            updated_at=work.now,
        )
        .returning(
            products.c.id,
            products.c.version,
            products.c.stock_quantity,
            products.c.stock_allocated,
        )
    )
    row = moved.mappings().first()
    if row is None:
        return work.connection.execute(select(products.c.id).where(tracked)).first() is None
    write_move(work, dict(row), move)
    if move.on_hand != move.allocated:
        mark(work, product_id)  # what can be sold has changed; what leaves was set aside before
    return True
