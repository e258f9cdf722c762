"""Product storms on both databases: one row per change, told later, once, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from config.clock import FixedClock
from engine import orders, product_expander
from engine.database import Database
from engine.product_tables import product_changes
from engine.tables import events, outbox
from engine.unit_of_work import UnitsOfWork
from tests.chains import accept_at_top, build_chain, order_of, raised, tell_products
from tests.product_storms import Storm, build_storm, count, require_settled

SELLERS = 7


@pytest.fixture
def storm(units: UnitsOfWork, clock: FixedClock) -> Storm:
    """Return a product with seven sellers, three levels deep."""
    return build_storm(units, clock, SELLERS)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at two tenants in a transaction."""
    monkeypatch.setattr(product_expander, "TENANTS_PER_CHUNK", 2)


def statements(database: Database, call: Callable[[], Any]) -> int:
    """Return how many statements a call sends."""
    sent: list[Any] = []

    def note(*given: Any) -> None:
        sent.append(given[2])

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    return len(sent)


def test_a_change_costs_its_caller_the_same_for_any_number_of_tenants(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """Three sellers or forty: as many statements, one row that waits, and no event yet."""
    few, many = build_storm(units, clock, 3), build_storm(units, clock, 40, 7)
    for changes in ({"base_cost": 105}, {"stock_quantity": 7}, {"status": "inactive"}):
        costs = {statements(database, partial(it.change, **changes)) for it in (few, many)}
        assert 1 == len(costs)
    assert 2 == count(database, product_changes)
    assert (0, 0) == (count(database, events), count(database, outbox))
    assert few.tell()
    assert 4 + 41 == count(database, events) == count(database, outbox)


def test_nothing_is_told_before_the_window_is_over(storm: Storm, clock: FixedClock) -> None:
    """The first change opens it; at five seconds each hears once, from the first to the last."""
    storm.change(base_cost=105)
    clock.advance(timedelta(seconds=3))
    storm.change(stock_quantity=8)
    storm.change(base_cost=110)
    clock.advance(timedelta(seconds=2) - timedelta(microseconds=1))
    assert 0 == storm.expander.run_once()
    assert [[]] * (SELLERS + 1) == storm.all_heard()
    clock.advance(timedelta(microseconds=1))
    assert 1 == storm.expander.run_once()
    for tenant_id, [told] in zip(storm.tenant_ids, storm.all_heard(), strict=True):
        assert (["price", "stock"], 3) == (told["changed"], told["coalesced_count"])
        assert storm.seen(tenant_id) == told["new"]
        assert (10, "active", True) == tuple(
            told["old"][key] for key in ("stock", "status", "is_available")
        )
    owner, child = storm.heard(storm.tenant_ids[0])[0], storm.heard(storm.tenant_ids[1])[0]
    assert (10000, 11000) == tuple(owner[key]["price_minor"] for key in ("old", "new"))
    assert (11000, 12100) == tuple(child[key]["price_minor"] for key in ("old", "new"))
    assert storm.change(name="Other")["version"] == owner["version"] + 1
    assert 0 == storm.tell()
    require_settled(storm)


def test_what_is_undone_within_the_window_is_not_told(storm: Storm) -> None:
    """There and back again differs in nothing: no event; the next change tells from the start."""
    storm.change(base_cost=105)
    storm.change(base_cost=100)
    storm.price(2, 50)
    storm.price(2, 10)
    storm.price(1, 10, is_available=False)
    storm.price(1, 10)
    assert storm.tell()
    assert [[]] * (SELLERS + 1) == storm.all_heard()
    storm.change(base_cost=200)
    storm.tell()
    assert [10000, 20000] == [
        storm.heard(storm.tenant_ids[0])[0][key]["price_minor"] for key in ("old", "new")
    ]
    require_settled(storm)


def test_only_those_who_see_a_change_hear_of_it(storm: Storm) -> None:
    """A markup is told to its seller and those below it, to nobody beside or above."""
    storm.price(1, 25)
    storm.tell()
    below = {1, 3, 4, 7}
    told = {number for number, each in enumerate(storm.all_heard()) if each}
    assert below == told
    assert ["price"] == storm.heard(storm.tenant_ids[7])[0]["changed"]


def test_who_cannot_sell_it_is_told_when_it_can(storm: Storm) -> None:
    """While it is not available prices move unheard; opened again, one event tells it all."""
    storm.price(1, 10, is_available=False)
    storm.tell()
    storm.change(base_cost=300)
    storm.tell()
    closed = storm.tenant_ids[3]
    assert [["status"]] == [each["changed"] for each in storm.heard(closed)]
    storm.price(1, 10)
    storm.tell()
    [_, opened] = storm.heard(closed)
    assert (["price", "status"], 12100, 36300) == (
        opened["changed"],
        opened["old"]["price_minor"],
        opened["new"]["price_minor"],
    )
    require_settled(storm)


def test_orders_tell_of_the_stock_they_take_and_give_back(
    units: UnitsOfWork, database: Database
) -> None:
    """Accepted, a piece less is free; shipped, nothing changes; cancelled, it is back."""
    chain = build_chain(units, stock=5)
    with units.begin(actor="test") as work:
        first = orders.place(work, chain.r, order_of("1"))["id"]
        second = orders.place(work, chain.r, order_of("2"))["id"]
    told: list[list[int]] = []

    def look() -> None:
        tell_products(units)
        with database.read() as connection:
            heard = raised(connection, chain.r, "product.updated")
        told.append([each["new"]["stock"] for each in heard])

    with units.begin(actor="test") as work:
        accept_at_top(work, first)
        accept_at_top(work, second)
    look()
    with units.begin(actor="test") as work:
        orders.ship(work, first, tracking_number="T", carrier="c")
    look()
    with units.begin(actor="test") as work:
        orders.cancel(work, second, reason="r")
    look()
    assert [[3], [3], [3, 4]] == told


@pytest.mark.usefixtures("small_chunks")
def test_a_change_behind_the_walk_is_told_by_the_next(storm: Storm, clock: FixedClock) -> None:
    """What changes while half of the tenants are told reaches everyone, and no one twice."""
    storm.change(base_cost=105)
    clock.advance(timedelta(seconds=5))
    assert 1 == storm.expander.run_once()
    storm.change(base_cost=110)
    assert 2 == storm.waiting()
    clock.advance(timedelta(seconds=5))
    while storm.expander.run_once():
        assert storm.waiting() <= 2
    told = [[each["new"]["price_minor"] for each in heard] for heard in storm.all_heard()]
    assert [10500, 11000] == told[0]
    assert [1] * (SELLERS - 1) == [len(each) for each in told[2:]]
    require_settled(storm)


@pytest.mark.usefixtures("small_chunks")
def test_a_long_walk_lets_others_in(units: UnitsOfWork, clock: FixedClock) -> None:
    """A product with few sellers does not wait until one with many is told."""
    many, few = build_storm(units, clock, 30, 6), build_storm(units, clock, 1)
    many.change(base_cost=105)
    clock.advance(timedelta(seconds=1))
    few.change(base_cost=105)
    clock.advance(timedelta(seconds=5))
    for _ in range(5):
        many.expander.run_once()
        clock.advance(timedelta(seconds=1))
    require_settled(few)
    assert many.waiting()
    many.tell()
    require_settled(many)
