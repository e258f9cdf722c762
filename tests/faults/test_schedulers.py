"""Several schedulers cost no more than one, and what was missed comes back at a rate (F18, F19)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from config.clock import FixedClock
from engine.database import Database
from engine.ladders import STANDARD
from engine.unit_of_work import UnitsOfWork
from reconciler.leadership import lead, resign
from reconciler.runner import Runner
from reconciler.tables import leaderships
from tests.dispatching import dispatching
from tests.faults.plugin import Reached
from tests.owing import outcomes, owe, owe_again
from tests.receivers import Callback, Receiver, receiving

DUE_AT = datetime(2026, 3, 10, tzinfo=UTC)
DUTY = "milestones"
RATE = 100.0
WORK_RATIO_MAX = 1.2


@contextmanager
def counting(database: Database) -> Iterator[list[int]]:
    """Count the statements of a block, in all threads, but for asking who leads."""
    count, lock = [0], threading.Lock()

    def add(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        with lock:
            count[0] += leaderships.name not in statement

    event.listen(database.engine, "before_cursor_execute", add)
    try:
        yield count
    finally:
        event.remove(database.engine, "before_cursor_execute", add)


def work_of(units: UnitsOfWork, now: datetime, schedulers: int) -> int:
    """Let schedulers look together, as their processes do: who leads, runs. Return statements."""
    together = threading.Barrier(schedulers)
    holders = [f"scheduler-{number}" for number in range(schedulers)]

    def look(holder: str) -> None:
        runner = Runner(units)
        together.wait(30)
        for _tick in range(3):
            with units.database.write() as connection:
                leading = lead(connection, DUTY, holder, now)
            if leading:
                for _run in runner.run(["K10"], actor="scheduler", full=False):
                    pass

    with counting(units.database) as statements, ThreadPoolExecutor(schedulers) as pool:
        list(pool.map(look, holders))
    with units.database.write() as connection:
        for holder in holders:
            resign(connection, DUTY, holder)
    return statements[0]


@pytest.mark.fault("F18")
def test_more_schedulers_do_no_more_work(
    units: UnitsOfWork, database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Statements of two and of five schedulers beside those of one, over as many milestones."""
    count = reached.times(300, 3334)
    _, first = owe(units)
    work = {}
    for schedulers in (1, 2, 5):
        clock.set(DUE_AT - timedelta(days=5))
        ids = owe_again(units, first, count)
        clock.set(DUE_AT)
        work[schedulers] = work_of(units, clock.now(), schedulers)
        assert {("T-3", "superseded"): count, ("T+0", "emitted"): 2 * count} == outcomes(
            database, *ids
        )
    ratios = {schedulers: work[schedulers] / work[1] for schedulers in (2, 5)}
    assert max(ratios.values()) <= WORK_RATIO_MAX
    kind = database.engine.dialect.name
    said = ", ".join(f"{number} schedulers {ratio:.2f} x" for number, ratio in ratios.items())
    reached.says("F18", f"statements for {3 * count:,} milestones: {said} those of one ({kind})")


@dataclass
class Watched(Receiver):
    """A receiver that knows when each callback came."""

    arrivals: list[float] = field(default_factory=list)

    def take(self, callback: Callback) -> int:
        """Note the time and answer."""
        status = super().take(callback)
        with self.lock:
            self.arrivals.append(time.monotonic())
        return status

    def busiest_second(self) -> int:
        """Return the most callbacks that came within any one second."""
        arrivals = sorted(self.arrivals)
        return max(sum(at <= each < at + 1 for each in arrivals) for at in arrivals)


@pytest.mark.fault("F19")
def test_what_was_missed_comes_back_at_the_endpoints_rate(
    units: UnitsOfWork, database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Down for ten days, catching up with all of it: no second brings more than the rate."""
    count = reached.times(150, 1000)
    ladder = type(STANDARD)(STANDARD.steps, catch_up="all")
    with receiving(Watched()) as receiver, dispatching(database, clock) as dispatch:
        assert isinstance(receiver, Watched)
        chain, first = owe(units)
        endpoint = dispatch.endpoint(
            chain.r, receiver.url, events=["remittance.due"], rate_per_second=RATE
        )
        owe_again(units, first, -(-count // 3), ladder)
        clock.set(DUE_AT + timedelta(days=10))
        for _run in Runner(units).run(["K10"], actor="scheduler"):
            pass
        sent, began, down_until = 0, time.monotonic(), clock.now()
        while sent < count and time.monotonic() - began < 10 * count / RATE:
            clock.set(down_until + timedelta(seconds=time.monotonic() - began))
            sent += dispatch.run_once()
    assert endpoint["rate_per_second"] == RATE
    assert len(receiver.callbacks) >= count
    busiest = receiver.busiest_second()
    # A second of the receiver is not one of the sender: a call or two stray over its edges.
    assert busiest <= RATE * 1.1
    came, kind = len(receiver.callbacks), database.engine.dialect.name
    said = f"{came:,} missed reminders at {RATE:g}/s: {busiest} in the busiest second ({kind})"
    reached.says("F19", said)
