"""Who leads, and the schedule: real ticks that look, survive a failure, and end when told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from config.clock import FixedClock
from dispatcher.hints import NoHints
from dispatcher.sweep import Sweep
from engine import products
from engine.database import Database, DatabaseClock
from engine.errors import DatabaseUnavailable
from engine.events import EventDraft
from engine.product_expander import ProductExpander
from engine.unit_of_work import UnitsOfWork
from reconciler import runs
from reconciler.check import Check, Found, Policy, Severity
from reconciler.checks import CHECKS
from reconciler.leadership import LEASE, lead, resign
from reconciler.runner import Runner
from reconciler.schedule import DUTY, Schedule
from reconciler.tables import leaderships
from tests.chains import build_chain, raised
from tests.conftest import START

PATIENCE_SECONDS = 20


class Bell:
    """Hints that ring when the sweep sends one."""

    def __init__(self) -> None:
        self.rung = threading.Event()

    def relay(self) -> None:
        """Ring."""
        self.rung.set()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Stay silent: no mailbox is due in these tests."""


class Looking(Sweep):
    """A sweep that does what a test says at each look."""

    def __init__(self, looks: Callable[[], int]) -> None:
        self.run_once = looks  # type: ignore[method-assign]  # the test's own look


@contextmanager
def scheduled(
    database: Database, sweep: Sweep, products: ProductExpander | None = None
) -> Iterator[None]:
    """Run a schedule that sweeps 50 times a second while the block runs."""
    units = UnitsOfWork(database)
    schedule = Schedule(
        database, units, sweep, hints=NoHints(), sweep_seconds=0.02, products=products
    )
    schedule.start()
    try:
        yield
    finally:
        schedule.stop()


def may_lead(database: Database, holder: str, clock: FixedClock) -> bool:
    """Try to lead at the test's time."""
    with database.write() as connection:
        return lead(connection, DUTY, holder, clock.now())


def holders(database: Database) -> list[str]:
    """Return who leads."""
    with database.read() as connection:
        return list(connection.execute(select(leaderships.c.holder)).scalars())


def looked(patch: pytest.MonkeyPatch, rings: threading.Event) -> Check:
    """Register a check that rings when it is run; it is due each second."""

    def find(*_: object) -> Found:
        rings.set()
        return Found(1)

    check = Check(
        id="T01",
        title="Rings",
        compares="nothing",
        remedy="nothing",
        severity=Severity.WARNING,
        policy=Policy.SUGGEST,
        every_seconds=1,
        find=find,
    )
    patch.setitem(CHECKS, check.id, check)
    return check


def test_one_of_two_leads_until_its_lease_ends(database: Database, clock: FixedClock) -> None:
    """The first keeps the lead by asking again; the second has it once the first was silent."""
    assert may_lead(database, "one", clock)
    assert not may_lead(database, "two", clock)
    clock.advance(LEASE - timedelta(seconds=1))
    assert may_lead(database, "one", clock)
    clock.advance(LEASE)
    assert not may_lead(database, "two", clock)
    clock.advance(timedelta(seconds=1))
    assert may_lead(database, "two", clock)
    assert not may_lead(database, "one", clock)
    assert ["two"] == holders(database)


def test_who_resigns_need_not_be_waited_for(database: Database, clock: FixedClock) -> None:
    """Another leads at once; who does not lead resigns nothing; duties are apart."""
    assert may_lead(database, "one", clock)
    with database.write() as connection:
        resign(connection, DUTY, "two")
        assert lead(connection, "another duty", "two", clock.now())
    assert not may_lead(database, "two", clock)
    with database.write() as connection:
        resign(connection, DUTY, "one")
    assert may_lead(database, "two", clock)


def test_of_many_that_start_at_once_one_leads(database: Database, clock: FixedClock) -> None:
    """Eight ask together: one row, one leader."""
    together, leading = threading.Barrier(8), list[str]()

    def ask(holder: str) -> None:
        together.wait(10)
        if may_lead(database, holder, clock):
            leading.append(holder)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert 1 == len(leading)
    assert leading == holders(database)


def test_a_schedule_sweeps_and_stops(database: Database) -> None:
    """What waits is hinted without a word from anybody; stopped, it ticks and leads no more."""
    tenant_id, bell = build_chain(UnitsOfWork(database)).r, Bell()
    with UnitsOfWork(database).begin(actor="test") as work:
        work.raise_event(EventDraft(tenant_id=tenant_id, type="webhook.test", data={}))
    with scheduled(database, Sweep(database, DatabaseClock(database), bell)):
        assert bell.rung.wait(PATIENCE_SECONDS)
        assert 1 == len(holders(database))
    assert [] == holders(database)
    bell.rung.clear()
    assert not bell.rung.wait(0.1)


def test_a_schedule_tells_of_changed_products(database: Database) -> None:
    """Who sells a product hears of its new price, and the relay is hinted then."""
    bell, clock = Bell(), DatabaseClock(database)
    chain = build_chain(UnitsOfWork(database))
    with UnitsOfWork(database).begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 105})
    expander = ProductExpander(UnitsOfWork(database, hint=bell.relay), clock, window=timedelta())
    with scheduled(database, Looking(lambda: 0), expander):
        assert bell.rung.wait(PATIENCE_SECONDS)
    with database.read() as connection:
        [told] = raised(connection, chain.r, "product.updated")
    assert 14490 == told["new"]["price_minor"]


def test_a_failing_tick_does_not_end_the_schedule(database: Database) -> None:
    """Whatever one look runs into, the next one looks again."""
    looked_again = threading.Event()
    failures: list[Exception] = [
        DatabaseUnavailable("gone"),
        OperationalError("SELECT 1", {}, Exception("cut off")),
        ZeroDivisionError("a defect"),
    ]

    def look() -> int:
        if failures:
            raise failures.pop()
        looked_again.set()
        return 0

    with scheduled(database, Looking(look)):
        assert looked_again.wait(PATIENCE_SECONDS)
    assert [] == failures


def test_the_leader_runs_the_checks(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check is run on its tick, by the scheduler, and written down."""
    rung = threading.Event()
    check = looked(monkeypatch, rung)
    with scheduled(database, Looking(lambda: 0)):
        assert rung.wait(PATIENCE_SECONDS)
    with database.read() as connection:
        [*_, row] = runs.listing(connection, check=check.id)
    assert ("scheduler", "completed", False) == (row["actor"], row["state"], row["dry_run"])


def test_who_does_not_lead_looks_at_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a leader a second schedule sweeps, and runs no check."""
    rung, swept = threading.Event(), threading.Event()
    looked(monkeypatch, rung)
    with database.write() as connection:
        lead(connection, DUTY, "somebody else", database.now())

    def sweep() -> int:
        swept.set()
        return 0

    with scheduled(database, Looking(sweep)):
        assert swept.wait(PATIENCE_SECONDS)
        assert not rung.wait(1.5)
        assert ["somebody else"] == holders(database)


def test_the_database_decides_when_a_check_is_due(units: UnitsOfWork, clock: FixedClock) -> None:
    """Never run, or longer ago than its interval: due, whoever ran it and whenever we started."""
    runner, check = Runner(units), CHECKS["K17"]
    assert runner.is_due(check)

    def run(**options: Any) -> None:
        assert 1 == len(list(runner.run([check.id], actor="test", **options)))

    run(dry_run=True)
    assert runner.is_due(check)
    run()
    assert not runner.is_due(check)
    assert runner.is_due(CHECKS["K12"])
    clock.advance(timedelta(hours=23))
    assert not Runner(units).is_due(check)
    clock.advance(timedelta(hours=1))
    assert Runner(units).is_due(check)
    run(as_of=START + timedelta(days=400))
    assert runner.is_due(check)


def test_ticks_a_little_early_do_not_halve_the_pace(
    units: UnitsOfWork, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tick of the check's own interval finds it due although the last run began behind its."""
    check = looked(monkeypatch, threading.Event())
    runner = Runner(units)
    list(runner.run([check.id], actor="test"))
    clock.advance(timedelta(milliseconds=400))
    assert not runner.is_due(check)
    clock.advance(timedelta(milliseconds=550))
    assert runner.is_due(check)
