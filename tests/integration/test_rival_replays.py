"""Where others' replays cut short, forget, refuse or stop: each test names whose defect it was.

docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher import endpoint_state, endpoints, replay_jobs, replay_steps
from dispatcher.replay_selection import Selection
from dispatcher.tables import deliveries
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving
from tests.replaying import failures_of, look, start


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def send_again(dispatch: Dispatching, selection: Selection) -> dict[str, Any]:
    """Replay a selection to its end and return its record."""
    replay_id = start(dispatch.units, selection)
    job = (dispatch.units, dispatch.clock, replay_id)
    return list(replay_steps.run_to_end(*job, wait=lambda _: None))[-1]


def test_sending_again_by_hand_costs_the_schedule_nothing(dispatch: Dispatching) -> None:
    """However often somebody asks, every automatic retry still comes (Svix drops the schedule)."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        [row] = dispatch.rows()
        for _ in range(4):
            assert 1 == send_again(dispatch, Selection(ids=(row.id,)))["armed"]
            assert 1 == dispatch.run_once()
        for wait_seconds in (5, 30):
            assert ["retrying"] == [each.state for each in dispatch.rows()]
            dispatch.clock.advance(timedelta(seconds=wait_seconds))
            assert 1 == dispatch.run_once()
    assert ["failed"] == [each.state for each in dispatch.rows()]
    assert 1 + 4 + 2 == len(receiver.callbacks)


def test_a_resend_that_is_asked_for_twice_at_once_is_one_call(dispatch: Dispatching) -> None:
    """Two replays that meet before the attempt neither double it nor lengthen the schedule."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        [row] = dispatch.rows()
        for _ in range(2):
            send_again(dispatch, Selection(ids=(row.id,)))
        for _ in range(5):
            dispatch.run_once()
            dispatch.clock.advance(timedelta(minutes=1))
    assert 1 + 1 + 2 == len(receiver.callbacks)


def test_what_was_just_sent_again_can_be_sent_again(dispatch: Dispatching) -> None:
    """No idempotency key of ours swallows the second request (Outpost PR #670: for 24 hours)."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        [event_id] = dispatch.publish(tenant_id)
        dispatch.run_once()
        for _ in range(3):
            assert 1 == send_again(dispatch, Selection(state="succeeded"))["armed"]
            assert 1 == dispatch.run_once()
    assert [event_id] * 4 == [each.headers["webhook-id"] for each in receiver.callbacks]


def test_a_replay_goes_to_the_end_however_long(database: Database, clock: FixedClock) -> None:
    """It arms 10,100 of 10,100 and says so (Svix stops at 10,000 without a word)."""
    with dispatching(database, clock) as dispatch:
        failures_of(dispatch.units).add(10_100)
        record = send_again(dispatch, Selection(state="failed"))
    assert ("completed", 10_100, 10_100, 100) == tuple(
        record[name] for name in ("state", "matched", "armed", "percent")
    )


def test_what_was_never_attempted_is_found(dispatch: Dispatching) -> None:
    """A replay looks at deliveries, not at attempts: what never went out is there (Svix)."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])
        dispatch.publish(tenant_id)
        dispatch.run_once()
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.disable(work, endpoint["id"])
        missed = dispatch.publish(tenant_id, 3)
        dispatch.run_once()
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.enable(work, endpoint["id"])
        assert 3 == send_again(dispatch, Selection(never_attempted=True))["armed"]
        dispatch.run_once()
    assert set(missed) == {each.headers["webhook-id"] for each in receiver.callbacks[1:]}


def test_what_an_endpoint_no_longer_hears_is_not_retried(dispatch: Dispatching) -> None:
    """Retries of a type that was taken out stop; somebody may still ask for one (Polar #6706)."""
    with receiving(Receiver(statuses=(500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.test"])
        dispatch.publish(tenant_id)
        dispatch.run_once()
        with dispatch.units.begin(actor="test") as work:
            heard = ["remittance.*"]
            endpoints.change(work, dispatch.guard, endpoint["id"], events=heard)
        dispatch.clock.advance(timedelta(seconds=5))
        assert 0 == dispatch.run_once()
        [row] = dispatch.rows()
        assert ("cancelled", "unsubscribed") == (row.state, row.last_error)
        assert 1 == len(receiver.callbacks)
        send_again(dispatch, Selection(state="cancelled"))
        dispatch.run_once()
    assert Counter(succeeded=1) == Counter(row.state for row in dispatch.rows())
    assert 2 == len(receiver.callbacks)


class Listening:
    """Keeps the drain hints, and how many deliveries were due when each came."""

    def __init__(self, database: Database) -> None:
        self.heard: list[tuple[Sequence[str], int]] = []
        self._database = database

    def relay(self) -> None:
        """Refuse: a replay puts nothing into the outbox."""
        raise AssertionError

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Look at what is committed now."""
        with self._database.read() as connection:
            due = select(deliveries.c.id).where(deliveries.c.next_attempt_at.is_not(None))
            self.heard.append((endpoint_ids, len(connection.execute(due).all())))


def test_what_a_replay_arms_waits_for_no_sweep(dispatch: Dispatching) -> None:
    """Each step says so after its commit; one that arms nothing says nothing."""
    failures, hints = failures_of(dispatch.units), Listening(dispatch.database)
    failures.add(3)
    replay_id = start(dispatch.units, rate_per_second=2)
    now = dispatch.clock.now()
    assert 2 == replay_steps.run_once(dispatch.units, now, hints)
    assert [([failures.endpoint_id], 2)] == hints.heard
    assert 1 == replay_steps.run_once(dispatch.units, now + timedelta(seconds=1), hints)
    assert 0 == replay_steps.run_once(dispatch.units, now + timedelta(seconds=2), hints)
    assert [([failures.endpoint_id], 2), ([failures.endpoint_id], 3)] == hints.heard
    assert "completed" == look(dispatch.database, replay_id)["state"]


def test_who_changed_a_replay_stands_on_it(dispatch: Dispatching) -> None:
    """Every pause, resumption and cancellation is kept with its author and its time."""
    failures_of(dispatch.units).add(1)
    replay_id = start(dispatch.units)
    steps = ((replay_jobs.pause, "ann"), (replay_jobs.resume, "bob"), (replay_jobs.cancel, "cy"))
    for change, actor in steps:
        dispatch.clock.advance(timedelta(minutes=1))
        with dispatch.units.begin(actor=actor) as work:
            change(work, replay_id)
    told = look(dispatch.database, replay_id)["changes"]
    assert [("pause", "ann"), ("resume", "bob"), ("cancel", "cy")] == [
        (each["verb"], each["actor"]) for each in told
    ]
    assert dispatch.clock.now().isoformat() == told[-1]["at"]
