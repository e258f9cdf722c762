"""Many schedulers, dead ones and ones with a wrong clock: each milestone has one outcome."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from sqlalchemy import func, select, update

from config.clock import FixedClock
from engine import milestones, remittances
from engine.database import Database
from engine.ladders import DEFAULT, STANDARD
from engine.settlement_tables import milestones as milestone_rows
from engine.settlement_tables import remittances as remittance_rows
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.faults.plugin import Reached
from tests.owing import outcomes, owe, owe_again

DUE_AT = datetime(2026, 3, 10, tzinfo=UTC)
REMITTANCES = 150
#: What a worker that is killed between its look and its commit does.
KILLED = """
import os, signal, sys
from datetime import UTC, datetime
from config.clock import FixedClock
from engine import milestones
from engine.database import Database
from engine.unit_of_work import UnitsOfWork

at = datetime(2026, 3, 10, tzinfo=UTC)
units = UnitsOfWork(Database(sys.argv[1]), FixedClock(at))
with units.begin(actor="doomed") as work:
    ids = [row["id"] for row in milestones.due(work.connection, at)]
    milestones.emit_many(work, ids, at)
    if sys.argv[2] == "written":
        from engine.events import record
        record(work.connection, work.drafts, at)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def told(database: Database) -> Counter[str]:
    """Return how many events there are of each type that milestones raise."""
    types = ("remittance.due", "remittance.overdue")
    query = select(events.c.type, func.count()).where(events.c.type.in_(types))
    with database.read() as connection:
        rows = connection.execute(query.group_by(events.c.type)).all()
    return Counter({row[0]: row[1] for row in rows})


@pytest.mark.fault("F18")
@pytest.mark.parametrize("schedulers", [2, 5])
def test_schedulers_that_start_together_tell_each_thing_once(
    units: UnitsOfWork, database: Database, clock: FixedClock, schedulers: int, reached: Reached
) -> None:
    """Two, then five look at once at hundreds of milestones (F18): one outcome, one event each."""
    count = reached.times(REMITTANCES, 3333)
    _, first = owe(units)
    owe_again(units, first, count - 1)
    clock.set(DUE_AT)
    together = threading.Barrier(schedulers)

    def run(_: int) -> int:
        runner = Runner(units)
        together.wait(30)
        [row] = [
            row
            for row in runner.run(["K10"], actor="scheduler", full=False)
            if row["check"] == "K10"
        ]
        assert row["problem"] is None
        return int(row["healed"])

    with ThreadPoolExecutor(schedulers) as pool:
        assert 3 * count == sum(pool.map(run, range(schedulers)))
    assert {("T-3", "superseded"): count, ("T+0", "emitted"): 2 * count} == outcomes(database)
    assert {"remittance.overdue": 2 * count} == told(database)
    with database.read() as connection:
        named = connection.execute(select(milestone_rows.c.event_id).distinct()).scalars().all()
    assert 2 * count == len([each for each in named if each is not None])
    kind = database.engine.dialect.name
    reached.says(
        "F18", f"{3 * count:,} milestones, {schedulers} at once: one outcome each ({kind})"
    )


def test_payers_and_schedulers_together_tell_nothing_of_what_was_paid_first(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Half is paid while three schedulers look: an event stands for what was owed then, or none."""
    _, first = owe(units)
    ids = [first["id"], *owe_again(units, first, 23)]
    clock.set(DUE_AT)

    def cancel(remittance_id: str) -> None:
        # As paying does it, without the money: the copies share one debt.
        with units.begin(actor="payer") as work:
            closed = {"status": "cancelled", "cancelled_at": work.now}
            work.connection.execute(
                update(remittance_rows).where(remittance_rows.c.id == remittance_id).values(closed)
            )
            milestones.cancel(work, [remittance_id])

    def look(_: int) -> None:
        for _run in Runner(units).run(["K10"], actor="scheduler", full=False):
            pass

    with ThreadPoolExecutor(5) as pool:
        looks = [pool.submit(look, number) for number in range(3)]
        list(pool.map(cancel, ids[::2]))
        for each in looks:
            each.result(60)
    look(0)
    with database.read() as connection:
        rows = connection.execute(select(milestone_rows)).mappings().all()
        status = {row["id"]: row["status"] for row in remittances.listing(connection, limit=100)}
    for row in rows:
        assert (row["outcome"] == "emitted") == (row["event_id"] is not None)
        if status[row["subject_id"]] == "pending":
            assert row["outcome"] == ("emitted" if row["code"] == "T+0" else "superseded")
        assert row["outcome"] != "pending"
    assert told(database).total() == sum(row["outcome"] == "emitted" for row in rows)


@pytest.mark.parametrize("moment", ["selected", "written"])
def test_a_scheduler_killed_before_its_commit_did_nothing(
    units: UnitsOfWork, database: Database, clock: FixedClock, moment: str
) -> None:
    """SIGKILL after the outcome, and after the event, were written: the next one does it once."""
    _, first = owe(units)
    owe_again(units, first, 9)
    before = outcomes(database)
    url = database.url.render_as_string(hide_password=False)
    done = subprocess.run(  # noqa: S603  # this interpreter, our own program
        [sys.executable, "-c", KILLED, url, moment], check=False, env=dict(os.environ)
    )
    assert -signal.SIGKILL == done.returncode
    assert (before, Counter[str]()) == (outcomes(database), told(database))
    clock.set(DUE_AT)
    for _ in range(2):
        for _run in Runner(units).run(["K10"], actor="scheduler"):
            pass
        assert {"remittance.overdue": 20} == told(database)


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    ("downtime", "newest"),
    [
        (timedelta(hours=1), {"T-3": "emitted"}),
        (timedelta(days=1), {"T-3": "emitted"}),
        (
            timedelta(days=10),
            dict.fromkeys(("T-3", "T-1", "T0"), "superseded") | {"T+1": "emitted"},
        ),
    ],
)
@pytest.mark.parametrize("catch_up", ["newest", "all"])
def test_downtime_over_the_window_is_caught_up_as_agreed(
    units: UnitsOfWork,
    database: Database,
    *,
    catch_up: str,
    downtime: timedelta,
    newest: dict[str, str],
    reached: Reached,
) -> None:
    """Down for an hour, a day, ten days from just before T-3 (F19), forty remittances each."""
    count = reached.times(40, 1000)
    clock = units.clock
    assert isinstance(clock, FixedClock)
    _, first = owe(units)
    ladder = type(STANDARD)(STANDARD.steps, catch_up=catch_up)
    ids = owe_again(units, first, count, ladder)
    clock.set(DUE_AT - timedelta(days=3, minutes=30) + downtime)
    for _run in Runner(units).run(["K10"], actor="scheduler"):
        pass
    expected = Counter[tuple[str, str]]()
    for step in STANDARD.steps:
        copies = count if step.event == "remittance.due" else 2 * count
        outcome = newest.get(step.code, "pending")
        if catch_up == "all" and outcome == "superseded":
            outcome = "emitted"
        expected[step.code, outcome] += copies
    assert expected == outcomes(database, *ids)
    reached.says("F19", f"down 1 h, 1 day, 10 days x {count:,} remittances: each key one outcome")


@pytest.mark.fault("F20")
@pytest.mark.parametrize(
    "wrong",
    [
        timedelta(minutes=5),
        timedelta(minutes=-5),
        timedelta(days=1),
        timedelta(days=-1),
        timedelta(days=400),
    ],
)
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_worker_whose_clock_is_wrong_decides_by_the_database_s(
    database: Database, wrong: timedelta
) -> None:
    """Fast or slow by minutes or days (F20): only what the database's clock says is due is told."""
    units = UnitsOfWork(database)
    _, first = owe(units)
    [late, early] = owe_again(units, first, 2, DEFAULT)
    now = database.now()
    with units.begin(actor="test") as work:
        for subject_id, fire_at in (
            (late, now - timedelta(seconds=1)),
            (early, now + timedelta(hours=1)),
        ):
            work.connection.execute(
                update(milestone_rows)
                .where(milestone_rows.c.subject_id == subject_id)
                .values(fire_at=fire_at)
            )
    with time_machine.travel(datetime.now(UTC) + wrong, tick=True):
        for _run in Runner(units).run(["K10"], actor="scheduler"):
            pass
        with time_machine.travel(datetime.now(UTC) - timedelta(hours=1), tick=True):
            for _run in Runner(units).run(["K10"], actor="scheduler"):
                pass
    assert {"emitted"} == {outcome for _, outcome in outcomes(database, late)}
    assert {"pending"} == {outcome for _, outcome in outcomes(database, early)}
    with database.read() as connection:
        stamps = connection.execute(
            select(milestone_rows.c.outcome_at).where(milestone_rows.c.subject_id == late)
        ).scalars()
        assert all(now <= at <= now + timedelta(minutes=2) for at in stamps)
