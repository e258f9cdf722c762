"""Replay jobs: paced, resumable, moved on only as they may, and followed by what they did."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from dispatcher import replay_jobs, replay_steps
from dispatcher.hints import NoHints
from dispatcher.replay_selection import Selection
from dispatcher.sweep import Sweep
from dispatcher.tables import deliveries, mailboxes, replays
from engine.database import Database, DatabaseClock
from engine.errors import InvalidStatus
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from reconciler.schedule import Schedule
from tests.processes import until
from tests.replaying import Failures, armed, failures_of, look, start

SECOND = timedelta(seconds=1)


@pytest.fixture
def failures(units: UnitsOfWork) -> Failures:
    """Return an endpoint to which deliveries fail."""
    return failures_of(units)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step arm four deliveries at most."""
    monkeypatch.setattr(replay_steps, "DELIVERIES_PER_STEP", 4)


@pytest.mark.usefixtures("small_steps")
def test_a_replay_goes_in_bounded_transactions_and_says_how_far_it_is(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """Every chosen delivery is armed once, a bounded number at a time, with progress in between."""
    failures.add(10)
    replay_id = start(units, reason="receiver mended")
    rows = list(replay_steps.run_to_end(units, clock, replay_id, wait=lambda _: None))
    assert [4, 8, 10] == [row["armed"] for row in rows]
    assert [40, 80, 100] == [row["percent"] for row in rows]
    assert ("ops", "receiver mended", "completed", 10) == tuple(
        rows[-1][name] for name in ("actor", "reason", "state", "matched")
    )
    assert clock.now() == rows[-1]["finished_at"]
    assert [clock.now()] * 10 == armed(units.database)


def test_a_step_wakes_the_mailbox_in_its_own_transaction(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """What is armed is due to be drained at the moment it commits."""
    failures.add(1)
    start(units)
    assert 1 == replay_steps.run_once(units, clock.now())
    with units.database.read() as connection:
        mine = select(mailboxes.c.due_at).where(mailboxes.c.endpoint_id == failures.endpoint_id)
        assert clock.now() == connection.execute(mine).scalar_one()


def test_the_rate_is_kept_in_every_second(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """At 5 a second no window of a second holds more than 5, however often steps are tried."""
    failures.add(23)
    replay_id = start(units, rate_per_second=5)
    began = clock.now()
    while look(units.database, replay_id)["state"] == "running":
        replay_steps.run_once(units, clock.now())
        clock.advance(timedelta(milliseconds=130))
    times = armed(units.database)
    assert 23 == len(times)
    for at in times:
        assert 5 >= len([each for each in times if at <= each < at + SECOND])
    assert clock.now() - began < timedelta(seconds=6)


@pytest.mark.usefixtures("small_steps")
def test_a_replay_survives_a_restart_in_the_middle(
    database: Database, clock: FixedClock, failures: Failures
) -> None:
    """New objects on the same database go on where the old ones stopped; nothing is armed twice."""
    failures.add(10)
    replay_id = start(UnitsOfWork(database, clock))
    assert 4 == replay_steps.run_once(UnitsOfWork(database, clock), clock.now())
    reopened = Database(database.url.render_as_string(hide_password=False))
    clock.advance(SECOND)
    new_units = UnitsOfWork(reopened, clock)
    assert [4, 2, 0] == [replay_steps.run_once(new_units, clock.now()) for _ in range(3)]
    assert ("completed", 10) == tuple(
        look(reopened, replay_id)[name] for name in ("state", "armed")
    )
    reopened.dispose()


def test_what_came_or_settled_afterwards_has_no_part(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """Neither a delivery made later nor one that failed later is what was asked for."""
    failures.add(2)
    replay_id = start(units)
    clock.advance(SECOND)
    failures.add(1)
    with units.database.write() as connection:
        first = select(deliveries.c.id).order_by(deliveries.c.id).limit(1).scalar_subquery()
        again = update(deliveries).where(deliveries.c.id == first)
        connection.execute(again.values(settled_at=clock.now()))
    assert 1 == replay_steps.run_once(units, clock.now())
    row = look(units.database, replay_id)
    assert ("completed", 2, 1) == (row["state"], row["matched"], row["armed"])


MOVES = {
    "running": {"pause": "paused", "cancel": "cancelled"},
    "paused": {"resume": "running", "cancel": "cancelled"},
    "completed": {},
    "cancelled": {},
}


@pytest.mark.parametrize("state", MOVES)
@pytest.mark.parametrize("verb", ["pause", "resume", "cancel"])
def test_a_replay_moves_only_as_it_may(
    units: UnitsOfWork, failures: Failures, state: str, verb: str
) -> None:
    """A verb that does not fit the state is refused with the state and what is allowed."""
    replay_id = start(units, Selection(endpoint_id=failures.endpoint_id))
    with units.database.write() as connection:
        connection.execute(update(replays).values(state=state))
    move = getattr(replay_jobs, verb)
    target = MOVES[state].get(verb)
    if target is None:
        with pytest.raises(InvalidStatus) as refusal, units.begin(actor="ops") as work:
            move(work, replay_id)
        assert (state, list(MOVES[state])) == (
            refusal.value.details["current_status"],
            refusal.value.details["allowed"],
        )
    else:
        with units.begin(actor="ops") as work:
            assert target == move(work, replay_id)["state"]
    assert (target or state) == look(units.database, replay_id)["state"]


def test_what_retention_has_emptied_is_left_alone(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """A delivery whose event has no body any more cannot be sent, by neither kind of replay."""
    failures.add(2)
    with units.database.write() as connection:
        first = select(deliveries.c.event_id).order_by(deliveries.c.id).limit(1).scalar_subquery()
        connection.execute(update(events).where(events.c.id == first).values(body=b""))
    for new_ids in (True, False):
        replay_id = start(units, new_ids=new_ids)
        assert 1 == replay_steps.run_once(units, clock.now())
        row = look(units.database, replay_id)
        assert ("completed", 1, 1) == (row["state"], row["armed"], row["skipped"])


def test_the_schedule_carries_replays_out_at_their_pace(
    database: Database, failures: Failures
) -> None:
    """Whoever leads steps a replay each second; it goes neither faster nor much slower."""
    failures.add(25)
    units = UnitsOfWork(database)
    replay_id = start(units, rate_per_second=10)
    began = database.now()
    sweep = Sweep(database, DatabaseClock(database), NoHints())
    schedule = Schedule(database, units, sweep, hints=NoHints(), sweep_seconds=1)
    schedule.start()
    try:
        until(lambda: look(database, replay_id)["state"] == "completed")
    finally:
        schedule.stop()
    times = armed(database)
    assert 25 == len(times)
    assert all(10 >= len([each for each in times if at <= each < at + SECOND]) for at in times)
    assert timedelta(seconds=2) <= database.now() - began < timedelta(seconds=15)
