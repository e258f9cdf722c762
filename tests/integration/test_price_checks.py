"""K20 on both databases: every defect of prices planted, found, healed as far as a run may."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import delete, update

from config.clock import FixedClock
from engine import orders, pricing, products
from engine.database import Database
from engine.product_tables import products as product_rows
from engine.product_tables import tenant_prices
from reconciler.check import Scope
from reconciler.price_checks import PRICES_CASCADED
from tests.chains import (
    Chain,
    build_chain,
    order_of,
    raised,
    tell_products,
    top_up,
)
from tests.price_oracle import expected, stored
from tests.product_defects import (
    PLANTS,
    build_open_chain,
    plant,
    require_only_reported,
    subjects,
)
from tests.product_storms import build_storm
from tests.reconciling import Reconciling, reconciling


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


@pytest.fixture
def chain(scene: Reconciling) -> Chain:
    """Return the chain of document 001 with two pieces set aside for accepted orders."""
    return build_open_chain(scene.dispatch.units)


def wrong_price(chance: random.Random) -> dict[str, Any]:
    """Return what a forgotten or half-done cascade could leave in a price row."""
    return chance.choice(
        [
            {"cost_minor": chance.randrange(1, 10**6) * 7 + 1},
            {"cost_minor": 1},
            {"is_sellable": False},
        ]
    )


def test_k20_runs_the_cascade_again(
    scene: Reconciling, clock: FixedClock, database: Database
) -> None:
    """Fifty times wrong prices, below the parent's cost or stale: found, mended, told, quiet."""
    chance, storm = random.Random(20), build_storm(scene.dispatch.units, clock, 7)  # noqa: S311
    for _ in range(PLANTS):
        sellers = chance.sample(storm.tenant_ids[1:], chance.randrange(1, 4))
        wrong = tenant_prices.c.tenant_id.in_(sellers)
        plant(scene, update(tenant_prices).where(wrong).values(wrong_price(chance)))
        [run] = scene.run("K20", full=chance.random() < 0.5)
        assert run["found"] == run["healed"] >= 1
        with database.read() as connection:
            assert expected(connection, storm.product_id) == stored(connection, storm.product_id)
        scene.settled("K20", full=chance.random() < 0.5)
    storm.tell()
    assert [[]] * 8 == storm.all_heard()
    scene.settled("K20")


def test_k20_follows_a_base_cost_that_moved_alone(scene: Reconciling, chain: Chain) -> None:
    """A new base cost behind the engine's back reaches prices, sellers and the next order."""
    plant(scene, update(product_rows).values(base_cost_minor=10500))
    assert ["prices", "sellers"] == subjects(scene, PRICES_CASCADED)
    assert {"K20": (2, 2)} == scene.found("K20", full=False)
    scene.settled("K20")
    tell_products(scene.dispatch.units)
    with scene.database.read() as connection:
        assert 14490 == raised(connection, chain.r, "product.updated")[-1]["new"]["price_minor"]
    scene.settled("K20")


def test_k20_tells_what_was_never_told(scene: Reconciling, chain: Chain) -> None:
    """A stock that was written without the engine is told to every seller, once."""
    plant(scene, update(product_rows).values(status="inactive"))
    assert ["sellers"] == subjects(scene, PRICES_CASCADED)
    assert {"K20": (1, 1)} == scene.found("K20")
    scene.settled("K20")
    tell_products(scene.dispatch.units)
    with scene.database.read() as connection:
        told = raised(connection, chain.r, "product.updated")
    assert ["active", "inactive"] == [told[-1][key]["status"] for key in ("old", "new")]


def test_k20_leaves_a_markup_to_the_one_who_set_it(scene: Reconciling, chain: Chain) -> None:
    """Below a least that was raised since: reported until it is set anew, never changed."""
    units = scene.dispatch.units
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"minimum_margin_percent": 18})
    require_only_reported(scene, "K20", 1)
    assert ["minimum"] == subjects(scene, PRICES_CASCADED)
    with units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.r, 18)
    scene.settled("K20")


def test_k20_compares_markups_as_numbers(scene: Reconciling, chain: Chain) -> None:
    """9 is below 10, and 100 is not, though as text it would be the other way."""
    with scene.dispatch.units.begin(actor="test") as work:
        pricing.set_margin(work, chain.product_id, chain.d, 100)
        pricing.set_margin(work, chain.product_id, chain.r, 9)
        products.update(work, chain.product_id, {"minimum_margin_percent": 10})
    [run] = scene.run("K20")
    with scene.database.read() as connection:
        now = scene.clock.now()
        [found] = PRICES_CASCADED.find(connection, Scope(as_of=now, now=now)).findings
    assert (1, 1) == (run["found"], run["left_open"])
    assert "1 of 2 below" == found.actual


def test_k20_says_which_prices_hang_in_the_air(scene: Reconciling, chain: Chain) -> None:
    """A price whose parent has none cannot follow from anything: people must decide."""
    with scene.database.write() as connection:
        connection.execute(delete(tenant_prices).where(tenant_prices.c.tenant_id == chain.d))
    require_only_reported(scene, "K20", 1)
    assert ["chain"] == subjects(scene, PRICES_CASCADED)


def test_looks_by_slices_see_every_product(
    scene: Reconciling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two products in a transaction, seven in all: each defect is found once."""
    monkeypatch.setattr("reconciler.stock_checks.SLICE_ROWS", 2)
    monkeypatch.setattr("reconciler.price_checks.PRODUCTS_PER_SLICE", 2)
    units = scene.dispatch.units
    for _ in range(7):
        build_chain(units, stock=5)
    plant(scene, update(product_rows).values(stock_allocated=1))
    plant(scene, update(tenant_prices).values(cost_minor=5))
    assert {"K19": (7, 7), "K20": (7, 7)} == scene.found("K19", "K20")
    scene.settled("K19")
    scene.settled("K20")


def test_quiet_on_what_the_engine_did(scene: Reconciling, chain: Chain) -> None:
    """Whatever orders and owners do by the engine is no finding, told yet or not."""
    units = scene.dispatch.units
    top_up(units, chain.r, 10**6)
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 99, "stock_quantity": 40})
        pricing.set_margin(work, chain.product_id, chain.d, 21, is_available=False)
        pricing.set_margin(work, chain.product_id, chain.d, 22)
        orders.place(work, chain.r, order_of("three", payment={"method": "prepaid"}))
    assert {} == scene.found("K19", "K20")
    tell_products(units)
    assert {} == scene.found("K19", "K20")
