"""Replay jobs: paced, resumable, one step at a time, and never twice whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import OperationalError

from config.clock import FixedClock
from dispatcher import endpoints, replay_jobs, replay_steps
from dispatcher.endpoints import EndpointGuard
from dispatcher.replay_selection import Selection
from dispatcher.secrets import KeyRing
from dispatcher.tables import deliveries, mailboxes, replays
from engine import tenants
from engine.database import Database
from engine.errors import InvalidStatus
from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from tests.dispatching import POLICY

SECOND = timedelta(seconds=1)
FAILED = Selection(state="failed")


@pytest.fixture
def endpoint_id(units: UnitsOfWork) -> str:
    """Return an endpoint that may be called."""
    guard = EndpointGuard(POLICY, KeyRing([b"k" * 32]))
    with units.begin(actor="test") as work:
        tenant_id = tenants.create(work, name="Reseller")["id"]
        made = endpoints.create(work, guard, tenant_id=tenant_id, url="http://127.0.0.1:9/")
    return str(made["id"])


@pytest.fixture
def fail(units: UnitsOfWork, endpoint_id: str) -> Callable[[int], None]:
    """Return what adds failed deliveries."""

    def add(count: int) -> None:
        with units.begin(actor="test") as work:
            tenant_id = endpoints.get(work.connection, endpoint_id)["tenant_id"]
            rows = [_failed(endpoint_id, tenant_id, work.now) for _ in range(count)]
            work.connection.execute(insert(deliveries), rows)

    return add


def _failed(endpoint_id: str, tenant_id: str, at: datetime) -> dict[str, Any]:
    return {
        "id": new_id(),
        "event_id": new_id(),
        "endpoint_id": endpoint_id,
        "tenant_id": tenant_id,
        "event": "webhook.test",
        "state": "failed",
        "attempts": 3,
        "created_at": at,
        "settled_at": at,
    }


def start(units: UnitsOfWork, selection: Selection = FAILED, **options: Any) -> str:
    """Create a replay and return its id."""
    with units.begin(actor="ops") as work:
        return str(replay_jobs.create(work, selection, **options)["id"])


def look(database: Database, replay_id: str) -> dict[str, Any]:
    """Return how far a replay is."""
    with database.read() as connection:
        return replay_jobs.get(connection, replay_id)


def armed(database: Database) -> list[datetime]:
    """Return when each armed delivery became due."""
    query = select(deliveries.c.next_attempt_at).where(deliveries.c.next_attempt_at.is_not(None))
    with database.read() as connection:
        return sorted(connection.execute(query).scalars())


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step arm four deliveries at most."""
    monkeypatch.setattr(replay_steps, "DELIVERIES_PER_STEP", 4)


@pytest.mark.usefixtures("small_steps")
def test_a_replay_goes_in_bounded_transactions_and_says_how_far_it_is(
    units: UnitsOfWork, clock: FixedClock, fail: Callable[[int], None]
) -> None:
    """Every chosen delivery is armed once, a bounded number at a time, with progress in between."""
    fail(10)
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
    units: UnitsOfWork, clock: FixedClock, endpoint_id: str, fail: Callable[[int], None]
) -> None:
    """What is armed is due to be drained at the moment it commits."""
    fail(1)
    start(units)
    assert 1 == replay_steps.run_once(units, clock.now())
    with units.database.read() as connection:
        mine = select(mailboxes.c.due_at).where(mailboxes.c.endpoint_id == endpoint_id)
        assert clock.now() == connection.execute(mine).scalar_one()


def test_the_rate_is_kept_in_every_second(
    units: UnitsOfWork, clock: FixedClock, fail: Callable[[int], None]
) -> None:
    """At 5 a second no window of a second holds more than 5, however often steps are tried."""
    fail(23)
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
    database: Database, clock: FixedClock, fail: Callable[[int], None]
) -> None:
    """New objects on the same database go on where the old ones stopped; nothing is armed twice."""
    fail(10)
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


class _Died(BaseException):
    """The process ends here."""


def test_a_crash_in_a_step_neither_skips_nor_doubles(
    units: UnitsOfWork,
    clock: FixedClock,
    fail: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arming and cursor are one transaction; the dead one's lease runs out and another goes on."""
    fail(3)
    replay_id = start(units)

    def die(*_: Any) -> None:
        raise _Died

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "_advance", die)
        with pytest.raises(_Died):
            replay_steps.run_once(units, clock.now())
    assert [] == armed(units.database)
    assert 0 == replay_steps.run_once(units, clock.now())
    clock.advance(replay_steps.LEASE)
    assert 3 == replay_steps.run_once(units, clock.now())
    assert "completed" == look(units.database, replay_id)["state"]


def test_a_step_that_fails_is_written_down_and_tried_again(
    units: UnitsOfWork,
    clock: FixedClock,
    fail: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The problem is shown, nothing is armed, and a later step mends it."""
    fail(3)
    replay_id = start(units)

    def refuse(_: Connection, *__: Any) -> None:
        raise OperationalError("UPDATE", None, Exception("disk\nfull"))

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "feed", refuse)
        assert 0 == replay_steps.run_once(units, clock.now())
    row = look(units.database, replay_id)
    assert ("running", 0) == (row["state"], row["armed"])
    assert "disk full" in row["problem"]
    assert 0 == replay_steps.run_once(units, clock.now())
    clock.advance(replay_steps.PROBLEM_WAIT)
    assert 3 == replay_steps.run_once(units, clock.now())
    row = look(units.database, replay_id)
    assert ("completed", None) == (row["state"], row["problem"])


@pytest.mark.usefixtures("small_steps")
def test_many_workers_step_one_replay_one_at_a_time(
    units: UnitsOfWork, clock: FixedClock, fail: Callable[[int], None]
) -> None:
    """However many step at once, each delivery is armed once and the sum is exact."""
    fail(40)
    replay_id = start(units)

    def work(_: int) -> int:
        return sum(replay_steps.run_once(units, clock.now()) for _ in range(30))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(4)))
    row = look(units.database, replay_id)
    assert (40, "completed", 40) == (sum(counts), row["state"], row["armed"])


def test_a_pause_during_a_step_undoes_the_step(
    units: UnitsOfWork,
    clock: FixedClock,
    fail: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step that began before the pause arms nothing after it; resumed, all is armed once."""
    fail(3)
    replay_id = start(units)
    take = replay_steps._lease

    def take_and_pause(*given: Any) -> Any:
        job = take(*given)
        with units.begin(actor="ops") as work:
            replay_jobs.pause(work, replay_id)
        return job

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "_lease", take_and_pause)
        assert 0 == replay_steps.run_once(units, clock.now())
    assert [] == armed(units.database)
    with units.begin(actor="ops") as work:
        replay_jobs.resume(work, replay_id)
    assert 3 == replay_steps.run_once(units, clock.now())


def test_what_came_or_settled_afterwards_has_no_part(
    units: UnitsOfWork, clock: FixedClock, fail: Callable[[int], None]
) -> None:
    """Neither a delivery made later nor one that failed later is what was asked for."""
    fail(2)
    replay_id = start(units)
    clock.advance(SECOND)
    fail(1)
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
    units: UnitsOfWork, endpoint_id: str, state: str, verb: str
) -> None:
    """A verb that does not fit the state is refused with the state and what is allowed."""
    replay_id = start(units, Selection(endpoint_id=endpoint_id))
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
