"""K19 on both databases: every defect of stock planted, found, healed as far as a run may."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from config.clock import FixedClock
from engine import orders, products, stock
from engine.database import Database
from engine.order_tables import chain_orders
from engine.product_tables import products as product_rows
from engine.product_tables import stock_moves
from reconciler.stock_checks import STOCK_COUNTED
from tests.chains import (
    Chain,
    raised,
    tell_products,
)
from tests.product_defects import (
    PLANTS,
    build_open_chain,
    plant,
    require_only_reported,
    subjects,
)
from tests.reconciling import Reconciling, reconciling
from tests.tampering import tampering


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


@pytest.fixture
def chain(scene: Reconciling) -> Chain:
    """Return the chain of document 001 with two pieces set aside for accepted orders."""
    return build_open_chain(scene.dispatch.units)


def product(scene: Reconciling, chain: Chain) -> dict[str, Any]:
    """Return the product's row."""
    with scene.database.read() as connection:
        return products.get(connection, chain.product_id)


def test_k19_corrects_what_is_set_aside(scene: Reconciling, chain: Chain) -> None:
    """Fifty times a wrong number, too few or too many, at once found and corrected by a move."""
    chance = random.Random(19)  # noqa: S311  # the same plants each time
    for _ in range(PLANTS):
        wrong = chance.choice([0, 1, *range(3, 11)])
        plant(scene, update(product_rows).values(stock_allocated=wrong))
        assert {"K19": (1, 1)} == scene.found("K19", full=chance.random() < 0.5)
        assert 2 == product(scene, chain)["stock_allocated"]
        scene.settled("K19", full=chance.random() < 0.5)
    with scene.database.read() as connection:
        moves = stock.moves_of(connection, chain.product_id, limit=1000)
    assert {("K19", "healed")} == set(scene.discrepancies())
    assert PLANTS == sum(move["reason"] == "recounted" for move in moves)


def test_k19_tells_sellers_of_the_stock_it_found(scene: Reconciling, chain: Chain) -> None:
    """A seller that was told of too few free pieces hears of the true number."""
    with scene.dispatch.units.begin(actor="test") as work:
        row = products.lock(work, chain.product_id)
        products.change(work, row, {"stock_allocated": 9})
    tell_products(scene.dispatch.units)
    assert {"K19": (1, 1)} == scene.found("K19")
    tell_products(scene.dispatch.units)
    with scene.database.read() as connection:
        told = raised(connection, chain.r, "product.updated")
    assert [1, 8] == [each["new"]["stock"] for each in told[-2:]]


@pytest.mark.parametrize("wrong", [9, 11, 2, 2**31 - 1])
def test_k19_leaves_counting_to_people(scene: Reconciling, chain: Chain, wrong: int) -> None:
    """What is on hand without a move stays found, changes nothing, and ends with a new count."""
    plant(scene, update(product_rows).values(stock_quantity=wrong))
    require_only_reported(scene, "K19", 1)
    with scene.dispatch.units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"stock_quantity": 7})
    scene.settled("K19")
    assert 7 == product(scene, chain)["stock_quantity"]


def test_k19_adds_up_all_moves_in_a_sweep(scene: Reconciling, chain: Chain) -> None:
    """A tampered move of long ago is found by a full look, a missing newest one by any."""
    with scene.dispatch.units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"stock_quantity": 12})
        products.update(work, chain.product_id, {"stock_quantity": 13})
    scene.settled("K19")
    scene.clock.advance(timedelta(minutes=20))
    oldest = stock_moves.c.reason == "opening"
    tamper(scene, update(stock_moves).where(oldest).values(on_hand_delta=3))
    assert [] == subjects(scene, STOCK_COUNTED, since=scene.clock.now())
    assert ["on hand"] == subjects(scene, STOCK_COUNTED)
    tamper(scene, update(stock_moves).where(oldest).values(on_hand_delta=10))
    tamper(scene, delete(stock_moves).where(stock_moves.c.on_hand == 13))
    assert ["on hand"] == subjects(scene, STOCK_COUNTED)
    assert ["on hand"] == subjects(scene, STOCK_COUNTED, since=scene.clock.now())


def tamper(scene: Reconciling, defect: Any) -> None:
    """Change moves, which the database refuses to anybody but its owner."""
    with tampering(scene.database) as connection:
        assert connection.execute(defect).rowcount


@pytest.mark.usefixtures("chain")
def test_k19_says_what_is_oversold(scene: Reconciling) -> None:
    """More waited for than there is: reported, and nothing set aside that is not there."""
    plant(scene, update(product_rows).values(stock_quantity=1, stock_allocated=1))
    require_only_reported(scene, "K19", 2)
    assert ["on hand", "oversold"] == subjects(scene, STOCK_COUNTED)


def test_k19_sees_orders_that_moved_without_their_stock(scene: Reconciling, chain: Chain) -> None:
    """An order that was cancelled behind the engine's back no longer holds its piece."""
    scene.settled("K19")
    scene.clock.advance(timedelta(hours=2))
    plant(scene, update(chain_orders).where(_number("one")).values(chain_status="cancelled"))
    assert {"K19": (1, 1)} == scene.found("K19", full=False)
    assert 1 == product(scene, chain)["stock_allocated"]


def _number(number: str) -> Any:
    return chain_orders.c.origin_order_number == number


def test_k19_is_quiet_while_tracking_begins_and_ends(scene: Reconciling, chain: Chain) -> None:
    """Untracked, nothing is set aside; tracked again, what open orders wait for is; they ship."""
    units = scene.dispatch.units
    for tracked, allocated in ((False, 0), (True, 2)):
        with units.begin(actor="test") as work:
            products.update(work, chain.product_id, {"track_inventory": tracked})
        assert allocated == product(scene, chain)["stock_allocated"]
        scene.settled("K19")
    with scene.database.read() as connection:
        ids = connection.execute(select(chain_orders.c.id)).scalars().all()
    for order_id in ids:
        with units.begin(actor="test") as work:
            orders.ship(work, order_id, tracking_number="T", carrier="c")
    assert (8, 0) == tuple(
        product(scene, chain)[name] for name in ("stock_quantity", "stock_allocated")
    )
    scene.settled("K19")
