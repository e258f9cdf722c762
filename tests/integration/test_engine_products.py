"""Products and prices on both databases (documents 000 and 001)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import select

from engine import pricing, products
from engine.database import Database
from engine.errors import AlreadyExists, InvalidInput, NotFound
from engine.product_tables import tenant_prices
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, dump, raised, tell_products


def test_breakdown_reads_as_document_001_shows_it(units: UnitsOfWork, database: Database) -> None:
    """100 becomes 120 becomes 138, with each level's name, markup and margin."""
    chain = build_chain(units)
    with database.read() as connection:
        found = pricing.breakdown(connection, chain.product_id, chain.r)
    assert 13800 == found["your_cost_minor"]
    expected = [
        (0, "Super Admin", 10000, 2000, 12000),
        (1, "Distributor ABC", 12000, 1800, 13800),
    ]
    keys = ("level", "tenant_name", "cost_minor", "margin_amount_minor", "selling_price_minor")
    assert expected == [tuple(level[key] for key in keys) for level in found["breakdown"]]


def test_a_new_base_cost_reaches_every_tenant_with_its_own_price(
    units: UnitsOfWork, database: Database
) -> None:
    """100 becomes 105: D hears 120 -> 126, R hears 138 -> 144.90, and nobody another's price."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        changed = products.update(work, chain.product_id, {"base_cost": 105, "stock_quantity": 480})
    tell_products(units)
    with database.read() as connection:
        for tenant, old, new in ((chain.d, 12000, 12600), (chain.r, 13800, 14490)):
            heard = raised(connection, tenant, "product.updated")[-1]
            assert ["price", "stock"] == heard["changed"]
            assert (old, new) == (heard["old"]["price_minor"], heard["new"]["price_minor"])
            assert (500, 480) == (heard["old"]["stock"], heard["new"]["stock"])
            assert changed["version"] == heard["version"]
        prices = connection.execute(select(tenant_prices.c.tenant_id, tenant_prices.c.cost_minor))
        assert {chain.d: 12600, chain.r: 14490} == dict(map(tuple, prices))


def test_a_markup_reprices_the_subtree_only(units: UnitsOfWork, database: Database) -> None:
    """D's markup on R changes: R hears of it, D does not."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        row = pricing.set_margin(work, chain.product_id, chain.r, "12.5", parent_id=chain.d)
    tell_products(units)
    assert (Decimal("12.5"), 13500) == (row["margin_percent"], row["cost_minor"])
    with database.read() as connection:
        assert 13500 == raised(connection, chain.r, "product.updated")[-1]["new"]["price_minor"]
        assert [] == raised(connection, chain.d, "product.updated")


def test_a_closed_hop_says_so_to_those_below(units: UnitsOfWork, database: Database) -> None:
    """D loses the product: D and R hear that it is not available, once."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.d, 20, is_available=False)
    tell_products(units)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"stock_quantity": 1})
    tell_products(units)
    with database.read() as connection:
        for tenant in (chain.d, chain.r):
            heard = raised(connection, tenant, "product.updated")
            assert [["status"]] == [each["changed"] for each in heard]
            assert heard[0]["new"]["is_available"] is False


def test_an_update_without_change_is_silent(units: UnitsOfWork, database: Database) -> None:
    """The same values again keep the version and raise nothing."""
    chain = build_chain(units)
    before = dump(database)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": "100.00", "status": "active"})
    assert before == dump(database)


def test_others_cannot_touch_a_product(units: UnitsOfWork, database: Database) -> None:
    """A foreign product is not found; a markup is set by the parent, never for the owner."""
    chain = build_chain(units)
    before = dump(database)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"name": "Mine"}, tenant_id=chain.d)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, 1, parent_id=chain.s)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.s, 1)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, -100)
    assert before == dump(database)


def test_a_sku_is_its_owners_once(units: UnitsOfWork, database: Database) -> None:
    """The same tenant cannot have a sku twice, another tenant can."""
    chain = build_chain(units)
    same = {"sku": "PROD-001", "name": "Twin", "base_cost": 1}
    with pytest.raises(AlreadyExists), units.begin(actor="test") as work:
        products.create(work, chain.s, same)
    with units.begin(actor="test") as work:
        products.create(work, chain.d, same)
    with database.read() as connection:
        assert 2 == len(products.listing(connection, search="prod-001"))
        assert 1 == len(products.listing(connection, tenant_id=chain.d, status="active"))


def test_a_price_needs_the_one_above(units: UnitsOfWork) -> None:
    """A tenant whose parent has no price cannot be given one."""
    chain: Chain = build_chain(units)
    with units.begin(actor="test") as work:
        other = products.create(work, chain.s, {"sku": "B", "name": "B", "base_cost": 1})
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        pricing.set_margin(work, other["id"], chain.r, 10)
