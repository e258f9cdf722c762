"""Chain orders on both databases: placing, the state machine, stock and who may do what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.errors import TillbellError
from engine import order_views, orders, pricing, products
from engine.database import Database
from engine.errors import (
    Forbidden,
    InvalidInput,
    InvalidStatus,
    NotFound,
    OrderExists,
    StockUnavailable,
)
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import accept_at_top, build_chain, dump, order_of, place


def stock_of(database: Database, product_id: str) -> tuple[int, int]:
    """Return what is there and what is reserved."""
    with database.read() as connection:
        row = products.get(connection, product_id)
    return row["stock_quantity"], row["stock_allocated"]


def test_the_same_order_twice_is_one_order(units: UnitsOfWork, database: Database) -> None:
    """A repetition returns the first order and writes nothing; other content is refused."""
    chain = build_chain(units)
    first = place(units, chain)
    before = dump(database)
    assert first == place(units, chain)
    with pytest.raises(OrderExists) as refused:
        place(units, chain, customer={"name": "Other"})
    assert first == refused.value.details["chain_order_id"]
    assert before == dump(database)


@pytest.mark.parametrize(
    "changes",
    [
        {"items": [{"sku": "NONE", "quantity": 1, "unit_price": 1}]},
        {"items": [{"sku": "PROD-001", "quantity": 0, "unit_price": 1}]},
        {"items": [{"sku": "PROD-001", "quantity": 1, "unit_price": "0.001"}]},
        {"payment": {"method": "cod", "collector": "0195f3a0-0000-7000-8000-000000000001"}},
    ],
)
def test_a_bad_order_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, Any]
) -> None:
    """An unknown sku, no quantity, a fraction of a paisa, a foreign collector: refused whole."""
    chain = build_chain(units)
    before = dump(database)
    with pytest.raises(InvalidInput):
        place(units, chain, **changes)
    assert before == dump(database)


def test_what_is_not_sold_cannot_be_ordered(units: UnitsOfWork) -> None:
    """A hop that is closed, or a product that is inactive, is refused."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.d, 20, is_available=False)
    with pytest.raises(InvalidInput, match="has no price"):
        place(units, chain)
    with units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.d, 20)
        products.update(work, chain.product_id, {"status": "inactive"})
    with pytest.raises(InvalidInput, match="no product"):
        place(units, chain)


def test_prices_are_fixed_when_the_order_is_placed(units: UnitsOfWork, database: Database) -> None:
    """A later price changes nothing in an order."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 200})
    with database.read() as connection:
        pricing_view = order_views.show(connection, order_id, chain.r)["pricing"]
    assert (15500, 13800, 1700) == tuple(
        pricing_view[f"{name}_minor"] for name in ("origin_total", "your_cost", "your_margin")
    )


def test_the_whole_way_of_an_order(units: UnitsOfWork, database: Database) -> None:
    """Forwarded, accepted, picked, put back, picked, shipped, delivered: each step is kept."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.process(work, order_id, tenant_id=chain.s)
        orders.unprocess(work, order_id, tenant_id=chain.s)
        orders.process(work, order_id, tenant_id=chain.s)
        orders.ship(work, order_id, tracking_number="T", carrier="c", tenant_id=chain.s)
        done = orders.deliver(work, order_id, tenant_id=chain.s)
    assert (9, "delivered", "collected") == tuple(
        done[name] for name in ("version", "chain_status", "payment_status")
    )
    with database.read() as connection:
        steps = order_views.timeline(connection, order_id)
        assert list(range(1, 10)) == [step["seq"] for step in steps]
        assert 7 == len(order_views.timeline(connection, order_id, tenant_id=chain.s))
        assert 1 == order_views.stats(connection, chain.d)["delivered"]


def test_stock_is_reserved_freed_and_consumed(units: UnitsOfWork, database: Database) -> None:
    """Accept reserves, cancel frees, shipping takes, a return brings back."""
    chain = build_chain(units, stock=10)
    items = [{"sku": "PROD-001", "quantity": 4, "unit_price": 155}]
    first, second = place(units, chain, items=items), place(units, chain, number="2", items=items)
    with units.begin(actor="test") as work:
        accept_at_top(work, first)
        accept_at_top(work, second)
    assert (10, 8) == stock_of(database, chain.product_id)
    with units.begin(actor="test") as work:
        orders.cancel(work, second, reason="changed")
        orders.ship(work, first, tracking_number="T", carrier="c")
    assert (6, 0) == stock_of(database, chain.product_id)
    with units.begin(actor="test") as work:
        orders.return_(work, first, reason="refused")
    assert (10, 0) == stock_of(database, chain.product_id)


def test_what_is_not_there_cannot_be_accepted(units: UnitsOfWork, database: Database) -> None:
    """More pieces than are free: refused, and the order stays where it was."""
    chain = build_chain(units, stock=3)
    order_id = place(units, chain, items=[{"sku": "PROD-001", "quantity": 4, "unit_price": 1}])
    with units.begin(actor="test") as work:
        orders.forward(work, order_id)
        orders.forward(work, order_id)
    before = dump(database)
    with pytest.raises(StockUnavailable), units.begin(actor="test") as work:
        orders.accept(work, order_id)
    assert before == dump(database)


ACTIONS: dict[str, Callable[[UnitOfWork, str, str | None], Any]] = {
    "forward": lambda work, order, tenant: orders.forward(work, order, tenant_id=tenant),
    "accept": lambda work, order, tenant: orders.accept(work, order, tenant_id=tenant),
    "process": lambda work, order, tenant: orders.process(work, order, tenant_id=tenant),
    "unprocess": lambda work, order, tenant: orders.unprocess(work, order, tenant_id=tenant),
    "ship": lambda work, order, tenant: orders.ship(
        work, order, tracking_number="T", carrier="c", tenant_id=tenant
    ),
    "deliver": lambda work, order, tenant: orders.deliver(work, order, tenant_id=tenant),
    "cancel": lambda work, order, tenant: orders.cancel(work, order, reason="r", tenant_id=tenant),
    "return": lambda work, order, tenant: orders.return_(work, order, tenant_id=tenant),
}


@pytest.mark.parametrize("action", ["process", "unprocess", "ship", "deliver", "return"])
def test_a_wrong_state_is_named_and_changes_nothing(
    units: UnitsOfWork, database: Database, action: str
) -> None:
    """INVALID_STATUS says what the status is and what it allows."""
    chain = build_chain(units)
    order_id = place(units, chain)
    before = dump(database)
    with pytest.raises(InvalidStatus) as refused, units.begin(actor="test") as work:
        ACTIONS[action](work, order_id, None)
    expected = {"current_status": "pending_forward", "allowed": ["forward", "accept", "cancel"]}
    assert expected == refused.value.details
    assert before == dump(database)


def test_nobody_is_above_the_owner(units: UnitsOfWork) -> None:
    """At the top an order can be accepted or cancelled, not forwarded."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        orders.forward(work, order_id)
        orders.forward(work, order_id)
    with pytest.raises(InvalidStatus) as refused, units.begin(actor="test") as work:
        orders.forward(work, order_id)
    assert ["accept", "cancel"] == refused.value.details["allowed"]


@pytest.mark.parametrize(
    ("action", "who", "error"),
    [
        ("forward", "r", Forbidden),  # the holder is D now
        ("accept", "r", Forbidden),
        ("cancel", "d", Forbidden),  # before it is accepted only the origin may
        ("accept", "s", NotFound),  # S has not seen the order
        ("cancel", "s", NotFound),
    ],
)
def test_only_whose_turn_it_is(
    units: UnitsOfWork, database: Database, action: str, who: str, error: type[TillbellError]
) -> None:
    """A participant at the wrong moment is forbidden; who has not seen it finds nothing."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        orders.forward(work, order_id, tenant_id=chain.r)
    before = dump(database)
    with pytest.raises(error), units.begin(actor="test") as work:
        ACTIONS[action](work, order_id, getattr(chain, who))
    assert before == dump(database)


def test_unknown_orders_are_not_found(units: UnitsOfWork) -> None:
    """An id that is none, or nobody's, is refused alike."""
    for order_id in ("7", "0195f3a0-0000-7000-8000-000000000001"):
        with pytest.raises(NotFound), units.begin(actor="test") as work:
            orders.forward(work, order_id)


def test_each_sees_what_is_its_own(units: UnitsOfWork, database: Database) -> None:
    """D sees its cost and margin and no customer; S sees nothing before it is forwarded to."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        orders.forward(work, order_id)
    with database.read() as connection:
        seen = order_views.show(connection, order_id, chain.d)
        assert (12000, 1800, 15500) == tuple(
            seen["pricing"][f"{name}_minor"] for name in ("your_cost", "your_margin", "cod_amount")
        )
        assert ({}, {}) == (seen["customer"], seen["shipping_address"])
        assert "Asha" == order_views.show(connection, order_id, chain.r)["customer"]["name"]
        with pytest.raises(NotFound):
            order_views.show(connection, order_id, chain.s)
        found = order_views.listing(connection, tenant_id=chain.d, scope="incoming")
        assert [order_id] == [row["id"] for row in found]
        assert [] == order_views.listing(connection, tenant_id=chain.d, search="Asha")
        assert 1 == len(order_views.listing(connection, tenant_id=chain.r, search="asha"))
        assert 1 == len(order_views.listing(connection, tenant_id=chain.r, scope="forwarded"))
        assert [] == order_views.listing(connection, tenant_id=chain.s)


def test_two_products_of_one_owner(units: UnitsOfWork, database: Database) -> None:
    """Each line keeps its own costs; the hops add them up."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        other = products.create(work, chain.s, {"sku": "B", "name": "B", "base_cost": "0.10"})
        pricing.set_margin(work, other["id"], chain.d, 5)
        pricing.set_margin(work, other["id"], chain.r, 5)
        items = [
            {"sku": "B", "quantity": 3, "unit_price": "0.20"},
            {"product_id": chain.product_id, "quantity": 2, "unit_price": 155},
        ]
        order = orders.place(work, chain.r, order_of(items=items))
    with database.read() as connection:
        seen = order_views.show(connection, order["id"], chain.r)
    assert (31060, 27636) == tuple(
        seen["pricing"][f"{name}_minor"] for name in ("origin_total", "your_cost")
    )
