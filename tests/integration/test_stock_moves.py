"""Every change of a stock is a move that stays, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from engine import orders, products, stock
from engine.database import Database
from engine.errors import InvalidInput, StockUnavailable
from engine.product_tables import products as product_rows
from engine.product_tables import stock_moves
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, dump, order_of, place

SHIPPED = {"tracking_number": "T", "carrier": "c"}


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001 with ten pieces in stock."""
    return build_chain(units, stock=10)


def accepted(units: UnitsOfWork, chain: Chain, number: str, quantity: int) -> str:
    """Place an order and let the owner of the goods accept it; return its id."""
    items = [{"sku": "PROD-001", "quantity": quantity, "unit_price": 155}]
    order_id = place(units, chain, number=number, items=items)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
    return order_id


def moves(database: Database, chain: Chain) -> list[tuple[Any, ...]]:
    """Return reason, both deltas, both sums and the reference of each move, oldest first."""
    with database.read() as connection:
        rows = stock.moves_of(connection, chain.product_id)
    names = ("reason", "on_hand_delta", "allocated_delta", "on_hand", "allocated", "reference_id")
    return [tuple(row[name] for name in names) for row in reversed(rows)]


def test_an_order_leaves_a_move_at_every_step(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Reserved, shipped and returned; another reserved and freed; then a count."""
    first = accepted(units, chain, "first", 3)
    second = accepted(units, chain, "second", 2)
    with units.begin(actor="test") as work:
        orders.ship(work, first, **SHIPPED)
        orders.cancel(work, second, reason="r")
        orders.return_(work, first)
        products.update(work, chain.product_id, {"stock_quantity": 4, "name": "Counted"})
    assert [
        ("opening", 10, 0, 10, 0, None),
        ("reserved", 0, 3, 10, 3, first),
        ("reserved", 0, 2, 10, 5, second),
        ("shipped", -3, -3, 7, 2, first),
        ("freed", 0, -2, 7, 0, second),
        ("returned", 3, 0, 10, 0, first),
        ("correction", -6, 0, 4, 0, None),
    ] == moves(database, chain)


def test_a_change_without_stock_moves_nothing(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A price, a name or a status leaves the stock as it is."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 1, "status": "inactive"})
    assert ["opening"] == [move[0] for move in moves(database, chain)]


def test_an_untracked_product_moves_only_by_count(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Any number can be ordered and shipped; what its owner says is there stays."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"track_inventory": False})
    order_id = accepted(units, chain, "many", 1000)
    with units.begin(actor="test") as work:
        orders.ship(work, order_id, **SHIPPED)
        products.update(work, chain.product_id, {"stock_quantity": 11})
    assert ["opening", "correction"] == [move[0] for move in moves(database, chain)]


def test_tracking_sets_aside_what_open_orders_wait_for(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Untracked while it was accepted, an order ships from the stock all the same."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"track_inventory": False})
    order_id = accepted(units, chain, "open", 4)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"track_inventory": True})
    with units.begin(actor="test") as work:
        orders.ship(work, order_id, **SHIPPED)
    assert [
        ("opening", 10, 0, 10, 0, None),
        ("correction", 0, 4, 10, 4, None),
        ("shipped", -4, -4, 6, 0, order_id),
    ] == moves(database, chain)


def test_tracking_needs_a_stock_for_the_open_orders(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """With more waited for than there is, tracking begins with a count, or not at all."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"track_inventory": False})
    accepted(units, chain, "open", 11)
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"track_inventory": True})
    assert before == dump(database)
    with units.begin(actor="test") as work:
        changes = {"track_inventory": True, "stock_quantity": 11}
        assert 11 == products.update(work, chain.product_id, changes)["stock_allocated"]


def test_drifted_counters_refuse_to_ship_and_let_go(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Fewer set aside than an order reserved: it cannot ship before that is put right."""
    first, second = accepted(units, chain, "first", 3), accepted(units, chain, "second", 3)
    with database.write() as connection:
        connection.execute(update(product_rows).values(stock_allocated=2))
    before = dump(database)
    with pytest.raises(StockUnavailable, match="K19"), units.begin(actor="test") as work:
        orders.ship(work, first, **SHIPPED)
    assert before == dump(database)
    with units.begin(actor="test") as work:
        orders.cancel(work, second, reason="r")
        assert products.recount(work, chain.product_id)
        orders.ship(work, first, **SHIPPED)
    assert ("shipped", -3, -3, 7, 0, first) == moves(database, chain)[-1]


def test_a_full_stock_takes_nothing_back(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Where a count would leave its range, the return is refused and nothing changes."""
    order_id = accepted(units, chain, "one", 1)
    with units.begin(actor="test") as work:
        orders.ship(work, order_id, **SHIPPED)
        products.update(work, chain.product_id, {"stock_quantity": stock.STOCK_MAX})
    before = dump(database)
    with pytest.raises(StockUnavailable), units.begin(actor="test") as work:
        orders.return_(work, order_id)
    assert before == dump(database)


@pytest.mark.parametrize(
    "change", [update(stock_moves).values(on_hand_delta=0), delete(stock_moves)]
)
def test_a_move_stays(units: UnitsOfWork, database: Database, chain: Chain, change: Any) -> None:
    """The database itself refuses to change or delete one."""
    accepted(units, chain, "one", 1)
    before = dump(database)
    with pytest.raises(DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(change)
    assert before == dump(database)


def test_more_set_aside_than_there_is_cannot_be_stored(database: Database, chain: Chain) -> None:
    """The database holds on hand >= allocated >= 0 by itself."""
    before = dump(database)
    for wrong in ({"stock_allocated": 11}, {"stock_allocated": -1}, {"stock_quantity": -1}):
        mine = product_rows.c.id == chain.product_id
        with pytest.raises(DBAPIError), database.write() as connection:
            connection.execute(update(product_rows).where(mine).values(wrong))
    assert before == dump(database)


def test_a_reseller_that_fulfils_moves_no_stock_of_the_owner(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """D ships its own pieces; S's stock stays."""
    with units.begin(actor="test") as work:
        order_id = orders.place(work, chain.r, order_of("own"))["id"]
        orders.forward(work, order_id)
        orders.accept(work, order_id)
        orders.ship(work, order_id, **SHIPPED)
    assert [("opening", 10, 0, 10, 0, None)] == moves(database, chain)
