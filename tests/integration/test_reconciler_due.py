"""K10 on both databases: what time makes true is told once, late or early, by however many."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.hints import NoHints
from engine import remittances, wallets
from engine.database import Database
from engine.settlement_tables import milestones
from engine.tables import events
from reconciler.runner import Runner
from tests.chains import Chain, build_chain, deliver, place
from tests.conftest import START
from tests.receivers import receiving
from tests.reconciling import Reconciling, at, reconciling

#: R owes D at the end of 9 March, D owes S a day later; the reminder is three days before each.
DUE_AT = at("2026-03-10T00:00:00")
REMIND_AT = DUE_AT - timedelta(days=3)


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


def owing(scene: Reconciling, orders: int = 1) -> Chain:
    """Deliver orders on credit: two remittances each."""
    chain = build_chain(scene.dispatch.units)
    for number in range(orders):
        deliver(scene.dispatch.units, place(scene.dispatch.units, chain, number=str(number)))
    return chain


def told(scene: Reconciling) -> Counter[tuple[str, str]]:
    """Return how many events of the remittances each tenant was told, by type."""
    types = ("remittance.due", "remittance.overdue")
    query = select(events.c.tenant_id, events.c.type).where(events.c.type.in_(types))
    with scene.database.read() as connection:
        return Counter((row.tenant_id, row.type) for row in connection.execute(query))


def outcomes(scene: Reconciling) -> Counter[tuple[str, str]]:
    """Return how many milestones of each event have which outcome."""
    with scene.database.read() as connection:
        rows = connection.execute(select(milestones.c.event, milestones.c.outcome)).all()
    return Counter((row.event, row.outcome) for row in rows)


def test_a_reminder_and_an_overdue_notice_are_told_on_their_day(scene: Reconciling) -> None:
    """Nothing a second early; then the payer is reminded, then payer and payee are told."""
    chain = owing(scene)
    scene.clock.set(REMIND_AT - timedelta(seconds=1))
    scene.settled("K10")
    scene.clock.set(REMIND_AT)
    assert {"K10": (1, 1)} == scene.found("K10")
    assert {(chain.r, "remittance.due"): 1} == told(scene)
    scene.settled("K10")
    scene.clock.set(DUE_AT + timedelta(days=1))
    # D's own reminder lies behind its due date by now: superseded, not told.
    assert {"K10": (5, 5)} == scene.found("K10")
    assert {
        (chain.r, "remittance.due"): 1,
        (chain.r, "remittance.overdue"): 1,
        (chain.d, "remittance.overdue"): 2,
        (chain.s, "remittance.overdue"): 1,
    } == told(scene)
    scene.settled("K10")
    assert [] == scene.discrepancies()


@pytest.mark.fault("F19")
@pytest.mark.parametrize(
    ("downtime", "reminded", "late"),
    [(timedelta(hours=1), 2, 0), (timedelta(days=1), 2, 0), (timedelta(days=10), 0, 4)],
)
def test_catching_up_tells_only_what_still_matters(
    scene: Reconciling, downtime: timedelta, reminded: int, late: int
) -> None:
    """Down over the window for an hour, a day, ten days (F19): the newest alone, each key once."""
    owing(scene)
    scene.clock.set(REMIND_AT + timedelta(days=1) - timedelta(minutes=30) + downtime)
    scene.found("K10")
    expected = {
        ("remittance.due", "emitted"): reminded,
        ("remittance.due", "superseded"): 2 - reminded,
        ("remittance.overdue", "emitted"): late,
        ("remittance.overdue", "pending"): 4 - late,
    }
    assert {key: count for key, count in expected.items() if count} == outcomes(scene)
    assert reminded + late == told(scene).total()
    scene.settled("K10")


def test_what_is_paid_is_told_no_more(scene: Reconciling) -> None:
    """Paid before its day, a remittance has nothing due in it."""
    chain = owing(scene)
    with scene.dispatch.units.begin(actor="test") as work:
        for tenant_id in (chain.r, chain.d):
            wallets.set_credit_limit(work, tenant_id, 10**9)
        for row in remittances.listing(work.connection):
            remittances.process(work, row["id"])
    scene.clock.set(DUE_AT + timedelta(days=30))
    scene.settled("K10")
    assert {} == told(scene)


def test_asked_about_next_week_the_callbacks_leave_now(scene: Reconciling) -> None:
    """A run as of a later day emits what is due then, and it is delivered at once."""
    chain = owing(scene)
    with receiving() as receiver:
        scene.dispatch.endpoint(chain.r, receiver.url, events=["remittance.*"])
        assert {"K10": (1, 1)} == scene.found("K10", as_of=REMIND_AT)
        assert {"K10": (5, 5)} == scene.found("K10", as_of=DUE_AT + timedelta(days=2))
        scene.settled("K10", as_of=DUE_AT + timedelta(days=2))
        assert START == scene.clock.now()
        scene.dispatch.run_once()
    bodies = [orjson.loads(callback.body) for callback in receiver.callbacks]
    heard = [body for body in bodies if body["event"] in {"remittance.due", "remittance.overdue"}]
    assert ["remittance.due", "remittance.overdue"] == sorted(body["event"] for body in heard)
    assert {"2026-03-02T09:30:00Z"} == {body["timestamp"] for body in heard}
    states = {row.state for row in scene.dispatch.rows() if row.event.startswith("remittance.")}
    assert {"succeeded"} == states


@pytest.mark.fault("F18")
@pytest.mark.parametrize("runners", [2, 5])
def test_many_runners_at_once_tell_each_thing_once(scene: Reconciling, runners: int) -> None:
    """Two, then five schedulers start together (F18): one outcome and one event a milestone."""
    owing(scene, orders=20)
    scene.clock.set(DUE_AT + timedelta(days=2))
    together = threading.Barrier(runners)

    def run(_: int) -> int:
        runner = Runner(scene.dispatch.units, NoHints())
        together.wait(10)
        [row] = runner.run(["K10"], actor="scheduler", full=False)
        assert row["problem"] is None
        return int(row["healed"])

    with ThreadPoolExecutor(runners) as pool:
        assert 80 + 40 == sum(pool.map(run, range(runners)))
    decided = {("remittance.overdue", "emitted"): 80, ("remittance.due", "superseded"): 40}
    assert decided == outcomes(scene)
    assert 80 == told(scene).total()
    with scene.database.read() as connection:
        raised = connection.execute(
            select(milestones.c.event_id).where(milestones.c.outcome == "emitted")
        ).scalars()
        assert 80 == len(set(raised))
    scene.settled("K10")
