"""Product storms that are cut short or race, on both databases: nothing is lost or doubled."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from config.clock import FixedClock
from engine import product_expander, products
from engine.database import Database
from engine.product_tables import told_offers
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump
from tests.product_storms import (
    Stopped,
    Storm,
    build_storm,
    count,
    require_settled,
    stopping_at,
)

SELLERS = 7


@pytest.fixture
def storm(units: UnitsOfWork, clock: FixedClock) -> Storm:
    """Return a product with seven sellers, three levels deep."""
    return build_storm(units, clock, SELLERS)


def test_stopped_at_any_point_it_loses_and_doubles_nothing(
    storm: Storm, clock: FixedClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ended at every statement and at the commit of every chunk, it goes on where it was."""
    monkeypatch.setattr(product_expander, "TENANTS_PER_CHUNK", 2)
    stops = 0
    for cost in (105, 110, 115):
        storm.change(base_cost=cost)
        clock.advance(timedelta(seconds=5))
        while storm.waiting():
            stops += stop_everywhere(storm, database)
        require_settled(storm)
    assert {3} == {len(each) for each in storm.all_heard()}
    assert stops >= 90


def stop_everywhere(storm: Storm, database: Database) -> int:
    """End the next chunk at each of its points, then let it be; return how often it was ended."""
    before = told(database)
    for number in range(1, 100):
        with stopping_at(database, number):
            try:
                assert storm.expander.run_once()
            except Stopped:
                assert before == told(database)
            else:
                return number - 1
    raise AssertionError


def told(database: Database) -> dict[str, Any]:
    """Return every row but those that say what waits: a window may be closed and not yet told."""
    return {name: rows for name, rows in dump(database).items() if name != "product_changes"}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_change_waits_for_no_chunk(storm: Storm, clock: FixedClock, database: Database) -> None:
    """While a chunk is in the middle of telling, the product changes on, and is told of that."""
    storm.change(base_cost=105)
    clock.advance(timedelta(seconds=5))
    telling, go_on = threading.Event(), threading.Event()

    def pause(*given: Any) -> None:
        if "INSERT INTO events" in given[2]:
            telling.set()
            assert go_on.wait(30)

    event.listen(database.engine, "before_cursor_execute", pause)
    beside = threading.Thread(target=storm.expander.run_once)
    try:
        beside.start()
        assert telling.wait(30)
        with storm.units.begin(actor="test") as work:
            work.connection.execute(text("SET LOCAL lock_timeout = '1s'"))
            products.update(work, storm.product_id, {"base_cost": 110})
    finally:
        go_on.set()
        beside.join(30)
        event.remove(database.engine, "before_cursor_execute", pause)
    storm.tell()
    heard = storm.heard(storm.tenant_ids[0])
    assert [10500, 11000] == [each["new"]["price_minor"] for each in heard]
    require_settled(storm)


def test_a_change_that_is_undone_leaves_nothing_to_tell(storm: Storm, database: Database) -> None:
    """The row that waits comes and goes with the caller's own transaction."""
    before = dump(database)
    for number in range(1, 100):
        with stopping_at(database, number) as done:
            try:
                storm.change(base_cost=105)
            except Stopped:
                assert before == dump(database)
            else:
                break
    assert len(done) >= 5
    storm.tell()
    require_settled(storm)
    assert {1} == {len(each) for each in storm.all_heard()}


def test_expanders_side_by_side_tell_each_once(
    units: UnitsOfWork, clock: FixedClock, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of them race over four products while these change on: every step is told once."""
    monkeypatch.setattr(product_expander, "TENANTS_PER_CHUNK", 3)
    storms = [build_storm(units, clock, SELLERS) for _ in range(4)]
    told_before = count(database, told_offers)
    with expanding(units, clock, 3) as failures:
        for cost in range(101, 116):
            for storm in storms:
                storm.change(base_cost=cost)
    assert [] == failures
    for storm in storms:
        storm.tell()
        require_settled(storm)
        assert 11500 == storm.heard(storm.tenant_ids[0])[-1]["new"]["price_minor"]
    assert told_before == count(database, told_offers)


@contextmanager
def expanding(units: UnitsOfWork, clock: FixedClock, number: int) -> Iterator[list[BaseException]]:
    """Let expanders without a window race while the block runs; yields what went wrong."""
    stop, failures = threading.Event(), list[BaseException]()

    def expand() -> None:
        expander = product_expander.ProductExpander(units, clock, window=timedelta())
        try:
            while not stop.is_set():
                expander.run_once()
        except BaseException as failure:  # noqa: BLE001  # shown by the test's own thread
            failures.append(failure)

    workers = [threading.Thread(target=expand) for _ in range(number)]
    for worker in workers:
        worker.start()
    yield failures
    stop.set()
    for worker in workers:
        worker.join(30)


def test_what_is_not_committed_is_told_afterwards(
    storm: Storm, clock: FixedClock, database: Database
) -> None:
    """A change in an open transaction is not told, and not forgotten by a walk that passed it."""
    storm.change(base_cost=105)
    clock.advance(timedelta(seconds=5))
    beside = threading.Thread(target=storm.expander.run_once)
    with storm.units.begin(actor="test") as work:
        products.update(work, storm.product_id, {"base_cost": 110})
        beside.start()
        beside.join(0.5)
        assert 0 == count(database, events)
    beside.join(30)
    assert not beside.is_alive()
    storm.tell()
    assert 11000 == storm.heard(storm.tenant_ids[0])[-1]["new"]["price_minor"]
    require_settled(storm)
