"""What the customer pays, hidden from the levels above on both databases: the origin's choice."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from sqlalchemy import select

from engine import order_views, tenants
from engine.database import Database
from engine.errors import NotFound
from engine.ids import new_id
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, place, raised, top_up

COURIER = {"method": "cod", "collector": "fulfiller"}
TOTALS = ("origin_total", "origin_total_minor", "cod_amount", "cod_amount_minor")


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001, whose retailer hides what its customers pay."""
    chain = build_chain(units)
    top_up(units, chain.r, 10**6)
    hide(units, chain, hidden=True)
    return chain


def hide(units: UnitsOfWork, chain: Chain, *, hidden: bool) -> None:
    """Let the retailer choose."""
    with units.begin(actor="test") as work:
        tenants.hide_origin_total(work, chain.r, hidden=hidden)


def seen(database: Database, order_id: str, tenant_id: str) -> dict[str, Any]:
    """Return the prices of an order as a tenant sees them."""
    with database.read() as connection:
        found: dict[str, Any] = order_views.show(connection, order_id, tenant_id)["pricing"]
    return found


def bodies(database: Database, tenant_id: str) -> list[bytes]:
    """Return everything that was raised for a tenant."""
    with database.read() as connection:
        query = select(events.c.body).where(events.c.tenant_id == tenant_id)
        return list(connection.execute(query).scalars())


@pytest.mark.parametrize("payment", [{"method": "cod"}, {"method": "prepaid"}])
def test_it_is_hidden_from_the_levels_above(
    units: UnitsOfWork, database: Database, chain: Chain, payment: dict[str, Any]
) -> None:
    """In views and in every event D and S find null, and their own cost and margin as ever."""
    paid = {**payment, "collector": "origin"} if payment["method"] == "cod" else payment
    order_id = place(units, chain, payment=paid)
    deliver(units, order_id)
    for tenant_id, cost, margin in ((chain.d, 12000, 1800), (chain.s, 10000, 2000)):
        prices = seen(database, order_id, tenant_id)
        assert {prices[name] for name in TOTALS} == {None}
        assert (cost, margin) == (prices["your_cost_minor"], prices["your_margin_minor"])
        written = b"".join(bodies(database, tenant_id))
        assert b"155.00" not in written
        assert b"15500" not in written
    assert 15500 == seen(database, order_id, chain.r)["origin_total_minor"]
    assert any(b"15500" in body for body in bodies(database, chain.r))


def test_who_collects_the_cash_knows_how_much(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """S delivers and collects 155.00 once it has accepted, and not before; D never knows."""
    order_id = place(units, chain, payment=COURIER)
    deliver(units, order_id)
    assert 15500 == seen(database, order_id, chain.s)["cod_amount_minor"]
    assert seen(database, order_id, chain.d)["cod_amount_minor"] is None
    with database.read() as connection:
        [created] = raised(connection, chain.s, "chain_order.created")
        [told] = raised(connection, chain.s, "chain_order.delivered")
        [hidden] = raised(connection, chain.d, "chain_order.delivered")
    assert created["pricing"]["origin_total"] is None
    assert (15500, None) == (told["cod_amount_minor"], hidden["cod_amount_minor"])


def test_an_order_keeps_the_choice_it_was_placed_with(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Shown again, it is the next order that is seen; off is what a new tenant has."""
    hidden = place(units, chain, number="hidden")
    hide(units, chain, hidden=False)
    shown = place(units, chain, number="shown")
    for order_id in (hidden, shown):
        deliver(units, order_id)
    assert [None, 15500] == [
        seen(database, order_id, chain.d)["origin_total_minor"] for order_id in (hidden, shown)
    ]
    with units.begin(actor="test") as work:
        assert not tenants.create(work, name="New")["hide_origin_total"]


def test_totals_of_many_orders_tell_no_more(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Statistics count a hidden order at what the tenant sells it for: 138.00 for D, not 155.00."""
    for number in "12":
        deliver(units, place(units, chain, number=number, payment=COURIER))
    with database.read() as connection:
        values = [
            order_views.stats(connection, tenant_id)["total_value_minor"]
            for tenant_id in (chain.r, chain.d, chain.s)
        ]
    assert [31000, 27600, 31000] == values


def test_a_tenant_that_is_not_there_changes_nothing(units: UnitsOfWork, database: Database) -> None:
    """An unknown tenant is refused."""
    before = dump(database)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        tenants.hide_origin_total(work, new_id(), hidden=True)
    assert before == dump(database)


def test_a_body_shows_null_and_keeps_its_keys(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A receiver that reads the keys of document 001 still finds them all."""
    deliver(units, place(units, chain))
    for body in bodies(database, chain.d):
        data = orjson.loads(body)["data"]
        if "pricing" in data:
            assert set(TOTALS) <= set(data["pricing"])
