"""Bad prices, stocks, states and quantities on both databases: refused by name, nothing changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine import orders, pricing, products
from engine.database import Database
from engine.errors import InvalidInput, MarginTooLow, StockUnavailable
from engine.money import AMOUNT_MINOR_MAX
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, dump, order_of, tell_products

NUMBERS: list[object] = [
    *(float("nan"), float("inf"), float("-inf"), "NaN", "Infinity", "1e400"),
    *("", " ", "ten", "1,50", "0x10", None, True, False, [], {}, [1], b"1", "\x00", "\ud800"),
]
#: What is no amount of rupees: also finer than a paisa, and beyond what JSON carries exactly.
AMOUNTS: list[object] = [
    *NUMBERS,
    *("-0.01", -1, "0.001", "1.005", 0.1 + 0.2, Decimal("0.009"), "1e-3"),
    *(Decimal(AMOUNT_MINOR_MAX + 1) / 100, 2**63, 10**30),
]
PERCENTS: list[object] = [
    *NUMBERS,
    *("-100", "-99.991", 1000, "999.99991", "12.34567", 1e-9),
]
PIECES: list[object] = [*NUMBERS, -1, 1.5, "7", 2**31, -(2**31), 10**30, Decimal(7)]
WORDS: list[object] = ["gone", "ACTIVE", "", None, 1, True, ["active"], "active\x00"]
FLAGS: list[object] = [0, 1, "true", None, [], "yes"]
NAMES: list[object] = ["", "  ", None, 7, "a\x00b", "\ud800", "x" * 301, ["a"]]
DOCUMENTS: list[object] = ["url", 7, None, {1, 2}, object()]

BAD_FIELDS: dict[str, list[object]] = {
    "base_cost": AMOUNTS,
    "recommended_retail_price": [amount for amount in AMOUNTS if amount is not None],
    "minimum_margin_percent": PERCENTS,
    "stock_quantity": PIECES,
    "status": WORDS,
    "track_inventory": FLAGS,
    "sku": NAMES,
    "name": NAMES,
    "images": [*DOCUMENTS, {}],
    "attributes": [*DOCUMENTS, []],
    "colour": ["blue"],
}


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001 with one of three pieces set aside for an order."""
    chain = build_chain(units, stock=3)
    with units.begin(actor="test") as work:
        accept_at_top(work, orders.place(work, chain.r, order_of("standing"))["id"])
    return chain


@pytest.mark.parametrize("field", BAD_FIELDS)
def test_a_bad_field_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, field: str
) -> None:
    """Neither an update nor a new product takes it, alone or among good ones; every row stays."""
    before = dump(database)
    good = {"sku": "NEW", "name": "New", "base_cost": 5, "stock_quantity": 9}
    for value in BAD_FIELDS[field]:
        for given in ({field: value}, {"base_cost": 77, "stock_quantity": 9, field: value}):
            with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
                products.update(work, chain.product_id, given)
            assert field == refusal.value.details["field"], value
        with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
            products.create(work, chain.s, {**good, field: value})
        assert field == refusal.value.details["field"], value
    assert before == dump(database)


def test_a_stock_below_what_is_set_aside_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Pieces that accepted orders wait for cannot be counted away; all others can."""
    before = dump(database)
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"name": "Other", "stock_quantity": 0})
    assert "stock_quantity" == refusal.value.details["field"]
    assert before == dump(database)
    with units.begin(actor="test") as work:
        assert 1 == products.update(work, chain.product_id, {"stock_quantity": 1})["stock_quantity"]


@pytest.mark.parametrize("percent", PERCENTS)
def test_a_bad_markup_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, percent: object
) -> None:
    """No price, no version, no row that waits: the refusal names the field."""
    before = dump(database)
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, percent)
    assert "margin_percent" == refusal.value.details["field"]
    assert before == dump(database)


@pytest.mark.parametrize("available", FLAGS)
def test_a_bad_availability_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, available: Any
) -> None:
    """Only true and false are taken."""
    before = dump(database)
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, 1, is_available=available)
    assert "is_available" == refusal.value.details["field"]
    assert before == dump(database)


def test_a_markup_below_the_least_is_refused_with_the_figures(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The owner's least holds at every hop; at it and above, a markup is taken."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"minimum_margin_percent": "12.5"})
    before = dump(database)
    for tenant_id in (chain.d, chain.r):
        with pytest.raises(MarginTooLow) as refusal, units.begin(actor="test") as work:
            pricing.set_margin(work, chain.product_id, tenant_id, "12.4999")
        assert "MARGIN_TOO_LOW" == refusal.value.code
        assert {
            "field": "margin_percent",
            "value": "12.4999",
            "minimum_margin_percent": "12.5000",
            "product_id": chain.product_id,
            "tenant_id": tenant_id,
        } == refusal.value.details
    assert before == dump(database)
    with units.begin(actor="test") as work:
        assert 11250 == pricing.set_margin(work, chain.product_id, chain.d, 12.5)["cost_minor"]


def test_without_a_least_of_its_own_nothing_sells_below_cost(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A markup below zero needs an owner that allows it in so many words."""
    before = dump(database)
    with pytest.raises(MarginTooLow), units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, "-0.0001")
    assert before == dump(database)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"minimum_margin_percent": -5})
        assert 11400 == pricing.set_margin(work, chain.product_id, chain.r, -5)["cost_minor"]


def test_the_same_markup_again_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """What is as asked already keeps its version, and nobody is told."""
    tell_products(units)
    before = dump(database)
    with units.begin(actor="test") as work:
        assert 13800 == pricing.set_margin(work, chain.product_id, chain.r, "15.0")["cost_minor"]
    assert before == dump(database)


@pytest.mark.parametrize("quantity", [*PIECES, 0, 1_000_001])
def test_a_bad_quantity_orders_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, quantity: object
) -> None:
    """Negative, none, a fraction or too many: no order, no hop, no hold."""
    before = dump(database)
    items = [{"sku": "PROD-001", "quantity": quantity, "unit_price": 155}]
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        orders.place(work, chain.r, order_of("bad", items=items))
    assert "items[0].quantity" == refusal.value.details["field"]
    assert before == dump(database)


@pytest.mark.parametrize(
    "items",
    [
        [{"sku": "PROD-001", "quantity": 1_000_000, "unit_price": "90071992547.41"}],
        [{"sku": "PROD-001", "quantity": 1, "unit_price": "90071992547409.91"}] * 2,
    ],
)
def test_a_total_beyond_exact_amounts_orders_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, items: list[dict[str, Any]]
) -> None:
    """Each amount is one, their sum is none."""
    before = dump(database)
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        orders.place(work, chain.r, order_of("bad", items=items))
    assert "items" == refusal.value.details["field"]
    assert before == dump(database)


def test_a_cost_beyond_exact_amounts_orders_nothing(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A million pieces of something dear cost more than can be said."""
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": "60000000000"})
    before = dump(database)
    items = [{"sku": "PROD-001", "quantity": 10**6, "unit_price": 1}]
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        orders.place(work, chain.r, order_of("bad", items=items))
    assert "items" == refusal.value.details["field"]
    assert before == dump(database)


def test_more_than_is_free_is_not_set_aside(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Two are free: three are refused with the figures, and the order stays where it was."""
    items = [
        {"sku": "PROD-001", "quantity": 1, "unit_price": 155},
        {"product_id": chain.product_id, "quantity": 2, "unit_price": 155},
    ]
    with units.begin(actor="test") as work:
        order_id = orders.place(work, chain.r, order_of("three", items=items))["id"]
        orders.forward(work, order_id)
        orders.forward(work, order_id)
    before = dump(database)
    with pytest.raises(StockUnavailable) as refusal, units.begin(actor="test") as work:
        orders.accept(work, order_id)
    assert {"product_id": chain.product_id, "quantity": 3} == refusal.value.details
    assert before == dump(database)
