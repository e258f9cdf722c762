"""Prices down the tree on both databases: markup on cost, rounded half up at each hop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from engine import pricing, products, tenants
from engine.database import Database
from engine.errors import InvalidAmount
from engine.money import AMOUNT_MINOR_MAX
from engine.order_rows import hops_of
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, dump, place
from tests.price_oracle import expected, stored

PERCENTS = st.decimals(Decimal("-99.99"), Decimal(900), places=4) | st.sampled_from(
    [Decimal(0), Decimal("0.0001"), Decimal(5), Decimal(15), Decimal(20), Decimal(-50)]
)
STEPS = st.lists(
    st.tuples(st.just("base"), st.integers(0, 10**9))
    | st.tuples(st.just("margin"), st.integers(0, 6), PERCENTS, st.booleans()),
    min_size=1,
    max_size=6,
)


def build_tree(units: UnitsOfWork, parents: list[int]) -> tuple[str, list[str]]:
    """Create a product whose owner has a tenant below it for each entry; return its id and them."""
    with units.begin(actor="test") as work:
        ids = [tenants.create(work, name="0")["id"]]
        for number, parent in enumerate(parents, 1):
            ids.append(tenants.create(work, name=str(number), parent_id=ids[parent])["id"])
        product = products.create(
            work,
            ids[0],
            {"sku": "A", "name": "A", "base_cost": 100, "minimum_margin_percent": "-99.99"},
        )
        for tenant_id in ids[1:]:
            pricing.set_margin(work, product["id"], tenant_id, 10)
    return product["id"], ids


def take(units: UnitsOfWork, product_id: str, ids: list[str], step: tuple[Any, ...]) -> None:
    """Change the base cost or one tenant's markup."""
    with units.begin(actor="test") as work:
        if step[0] == "base":
            cost = Decimal(step[1]).scaleb(-2)
            products.update(work, product_id, {"base_cost": cost})
        else:
            tenant_id = ids[1 + step[1] % (len(ids) - 1)]
            pricing.set_margin(work, product_id, tenant_id, step[2], is_available=step[3])


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shape=st.lists(st.integers(0, 100), min_size=1, max_size=7), steps=STEPS)
def test_every_change_leaves_the_whole_tree_right(
    units: UnitsOfWork, shape: list[int], steps: list[tuple[Any, ...]]
) -> None:
    """One statement stores what a walk in Python finds; a refusal stores nothing."""
    parents = [parent % number for number, parent in enumerate(shape, 1)]
    product_id, ids = build_tree(units, parents)
    for step in steps:
        with units.database.read() as connection:
            before = stored(connection, product_id)
        try:
            take(units, product_id, ids, step)
        except InvalidAmount:
            with units.database.read() as connection:
                assert before == stored(connection, product_id)
        with units.database.read() as connection:
            assert expected(connection, product_id) == stored(connection, product_id)


@pytest.mark.parametrize(
    ("base", "percents", "costs"),
    [
        ("0.10", ("5", "5"), (11, 12)),
        ("100", ("20", "15"), (12000, 13800)),
        ("90071992547409.91", ("0", "-50"), (AMOUNT_MINOR_MAX, 4503599627370496)),
        ("45035996273704.95", ("100", "0"), (AMOUNT_MINOR_MAX - 1, AMOUNT_MINOR_MAX - 1)),
        # A division would round to .5 here, and then up.
        ("70000000001612.87", ("14.0777", "-14.0777"), (7985439000183992, 6861272854055090)),
        ("0.01", ("49.9999", "50"), (1, 2)),
    ],
)
def test_half_a_unit_goes_up_at_each_hop(
    units: UnitsOfWork, base: str, percents: tuple[str, str], costs: tuple[int, int]
) -> None:
    """Exact up to 2**53 - 1 minor units: nothing is lost to floating point or to a division."""
    product_id, ids = build_tree(units, [0, 1])
    for tenant_id, percent in zip(ids[1:], percents, strict=True):
        with units.begin(actor="test") as work:
            pricing.set_margin(work, product_id, tenant_id, percent)
    with units.begin(actor="test") as work:
        products.update(work, product_id, {"base_cost": base})
    with units.database.read() as connection:
        found = stored(connection, product_id)
    assert costs == tuple(found[tenant_id][0] for tenant_id in ids[1:])


@pytest.mark.parametrize("percent", ["0.0001", "100", "999.9999"])
def test_a_price_beyond_exact_amounts_is_refused(
    units: UnitsOfWork, database: Database, percent: str
) -> None:
    """A base cost or a markup that makes any price too large changes no row of any table."""
    product_id, ids = build_tree(units, [0, 1, 2])
    with units.begin(actor="test") as work:
        pricing.set_margin(work, product_id, ids[2], percent)
    before = dump(database)
    with pytest.raises(InvalidAmount) as refusal, units.begin(actor="test") as work:
        products.update(work, product_id, {"base_cost": "90071992547409.91"})
    assert "base_cost" == refusal.value.details["field"]
    assert before == dump(database)
    with units.begin(actor="test") as work:
        for tenant_id in ids[1:]:
            pricing.set_margin(work, product_id, tenant_id, 0)
        products.update(work, product_id, {"base_cost": "11000000000000"})
    before = dump(database)
    with pytest.raises(InvalidAmount) as refusal, units.begin(actor="test") as work:
        pricing.set_margin(work, product_id, ids[1], "999.9999")
    assert "margin_percent" == refusal.value.details["field"]
    assert before == dump(database)


def test_an_order_right_after_the_change_has_the_new_cost(
    units: UnitsOfWork, database: Database
) -> None:
    """What is told later is stored at once: the next order pays the new price at every hop."""
    chain: Chain = build_chain(units)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 105})
    order_id = place(units, chain)
    assert [10500, 12600, 14490] == _costs(database, order_id)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(base=st.integers(1, 300), percents=st.tuples(PERCENTS, PERCENTS), pieces=st.integers(2, 7))
def test_rounding_is_nobodys_to_farm(
    units: UnitsOfWork, base: int, percents: tuple[Decimal, Decimal], pieces: int
) -> None:
    """Many orders of one piece cost exactly what one order of many does, at every hop."""
    product_id, ids = build_tree(units, [0, 1])
    take(units, product_id, ids, ("base", base))
    for number, percent in enumerate(percents):
        take(units, product_id, ids, ("margin", number, percent, True))
    chain = Chain(ids[0], ids[1], ids[2], product_id)

    def total(number: str, quantity: int) -> list[int]:
        items = [{"product_id": product_id, "quantity": quantity, "unit_price": 1}]
        return _costs(units.database, place(units, chain, number=number, items=items))

    together = total("together", pieces)
    apart = [total(f"apart {number}", 1) for number in range(pieces)]
    assert together == [sum(costs) for costs in zip(*apart, strict=True)]


def _costs(database: Database, order_id: str) -> list[int]:
    with database.read() as connection:
        return [hop["cost_minor"] for hop in hops_of(connection, order_id)]
