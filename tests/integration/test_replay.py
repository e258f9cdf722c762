"""Replay: what was settled is sent again, what waits is sent now, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from dispatcher import deliveries, endpoint_state, replay
from dispatcher.replay import Selection
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.ids import new_id
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def run(dispatch: Dispatching, selection: Selection) -> dict[str, Any]:
    """Replay a selection and return the last record."""
    return list(replay.replay(dispatch.units, selection, actor="test", reason="receiver mended"))[
        -1
    ]


def exhaust(dispatch: Dispatching) -> None:
    """Let every delivery use up its schedule."""
    for _ in range(4):
        dispatch.run_once()
        dispatch.clock.advance(timedelta(minutes=1))


def test_a_failed_delivery_is_sent_again_with_the_same_id_and_bytes(dispatch: Dispatching) -> None:
    """A replay is a new attempt with a new timestamp; history stays, the schedule restarts."""
    with receiving(Receiver(statuses=(500, 500, 500, 500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        exhaust(dispatch)
        assert [row.state for row in dispatch.rows()] == ["failed"]

        record = run(dispatch, Selection(state="failed"))
        assert (record["state"], record["matched"], record["armed"]) == ("completed", 1, 1)
        dispatch.run_once()
        assert [row.state for row in dispatch.rows()] == ["retrying"]
        dispatch.clock.advance(timedelta(seconds=5))
        dispatch.run_once()

    assert len({(each.headers["webhook-id"], each.body) for each in receiver.callbacks}) == 1
    assert (
        receiver.callbacks[0].headers["webhook-timestamp"]
        < (receiver.callbacks[3].headers["webhook-timestamp"])
    )
    with dispatch.database.read() as connection:
        history = deliveries.show(connection, dispatch.rows()[0].id)["history"]
    assert [each["trigger"] for each in history] == ["scheduled"] * 3 + ["manual", "scheduled"]


def test_a_waiting_delivery_is_sent_now_and_keeps_its_schedule(dispatch: Dispatching) -> None:
    """Replaying what still retries neither cancels nor doubles the automatic schedule."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        run(dispatch, Selection(ids=(dispatch.rows()[0].id,)))
        dispatch.run_once()
        [row] = dispatch.rows()
        assert row.next_attempt_at == dispatch.clock.now() + timedelta(seconds=30)
        exhaust(dispatch)

    assert len(receiver.callbacks) == 3
    assert [row.state for row in dispatch.rows()] == ["failed"]


def test_what_a_disabled_endpoint_missed_is_replayed_after_it_is_enabled(
    dispatch: Dispatching,
) -> None:
    """Cancelled deliveries stay put while disabled, and arrive by replay once enabled."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.disable(work, endpoint["id"])
        dispatch.publish(tenant_id, 3)
        dispatch.run_once()
        held = Selection(state="cancelled", endpoint_id=endpoint["id"])
        assert run(dispatch, held)["armed"] == 0
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.enable(work, endpoint["id"])
        assert run(dispatch, held)["armed"] == 3

        assert dispatch.run_once() == 3

    assert [row.state for row in dispatch.rows()] == ["succeeded"] * 3


def test_a_replay_of_many_goes_in_bounded_transactions(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every chosen delivery is armed once, a bounded number at a time, with progress in between."""
    monkeypatch.setattr(replay, "DELIVERIES_PER_TRANSACTION", 4)
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 10)
        dispatch.run_once()
        records = list(replay.replay(dispatch.units, Selection(state="succeeded"), actor="test"))
        dispatch.run_once()

    assert [record["armed"] for record in records] == [4, 8, 10]
    assert len(receiver.callbacks) == 20


@pytest.mark.parametrize(
    ("selection", "error"),
    [
        (Selection(state="lost"), InvalidInput),
        (Selection(endpoint_id="nonsense"), InvalidInput),
        (Selection(ids=(new_id(),)), NotFound),
    ],
)
def test_a_selection_that_cannot_be_is_refused(
    dispatch: Dispatching, selection: Selection, error: type[Exception]
) -> None:
    """A wrong state, a malformed id and an unknown delivery are each named; nothing is recorded."""
    with pytest.raises(error):
        run(dispatch, selection)

    with dispatch.database.read() as connection:
        assert replay.listing(connection) == []
