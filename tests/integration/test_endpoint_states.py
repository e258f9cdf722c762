"""Whether an endpoint is called: paused, disabled, tested, moved and deleted, on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from config.clock import FixedClock
from dispatcher import deliveries, endpoint_state, endpoints
from engine.database import Database
from engine.errors import InvalidStatus
from tests.chains import dump
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def act(dispatch: Dispatching, action: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """Do one thing in a transaction of its own."""
    with dispatch.units.begin(actor="test") as work:
        return action(work, *given, **named)


def shown(dispatch: Dispatching, endpoint_id: str) -> dict[str, Any]:
    """Return one endpoint."""
    with dispatch.database.read() as connection:
        return endpoints.get(connection, endpoint_id)


@pytest.mark.parametrize(
    ("steps", "refused", "status"),
    [
        ([], endpoint_state.resume, "active"),
        ([], endpoint_state.enable, "active"),
        ([endpoint_state.pause], endpoint_state.pause, "paused"),
        ([endpoint_state.pause], endpoint_state.enable, "paused"),
        ([endpoint_state.disable], endpoint_state.pause, "disabled"),
        ([endpoint_state.disable], endpoint_state.resume, "disabled"),
        ([endpoint_state.disable], endpoint_state.disable, "disabled"),
        ([endpoint_state.pause, endpoint_state.disable], endpoint_state.resume, "disabled"),
    ],
)
def test_a_step_from_the_wrong_state_is_refused(
    dispatch: Dispatching,
    steps: list[Callable[..., Any]],
    refused: Callable[..., Any],
    status: str,
) -> None:
    """The refusal says where the endpoint stands; nothing moves."""
    endpoint_id = dispatch.endpoint(dispatch.tenant(), URL)["id"]
    for step in steps:
        act(dispatch, step, endpoint_id)
    before = dump(dispatch.database)
    with pytest.raises(InvalidStatus) as refusal:
        act(dispatch, refused, endpoint_id)
    assert ("INVALID_STATUS", status) == (
        refusal.value.code,
        refusal.value.details["current_status"],
    )
    assert before == dump(dispatch.database)


def test_pause_and_resume_keep_what_waits(dispatch: Dispatching, clock: FixedClock) -> None:
    """Why and until when is shown; resumed early, deliveries flow at once and whole."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(tenant_id, receiver.url)["id"]
        until = clock.now() + timedelta(days=1)
        paused = act(dispatch, endpoint_state.pause, endpoint_id, until=until, reason="moving")
        assert ("paused", "moving", until) == (
            paused["state"],
            paused["state_reason"],
            paused["paused_until"],
        )
        dispatch.publish(tenant_id, 2)
        assert 0 == dispatch.run_once()
        resumed = act(dispatch, endpoint_state.resume, endpoint_id)
        assert ("active", None, None) == (
            resumed["state"],
            resumed["state_reason"],
            resumed["paused_until"],
        )
        assert 2 == dispatch.run_once()


def test_a_pause_ends_by_itself_with_nothing_to_send(
    dispatch: Dispatching, clock: FixedClock
) -> None:
    """Past its instant a quiet endpoint is active again, as it says: nobody need resume it."""
    endpoint_id = dispatch.endpoint(dispatch.tenant(), URL)["id"]
    act(dispatch, endpoint_state.pause, endpoint_id, until=clock.now() + timedelta(hours=1))
    clock.advance(timedelta(minutes=59))
    dispatch.run_once()
    assert "paused" == shown(dispatch, endpoint_id)["state"]
    clock.advance(timedelta(minutes=1))
    dispatch.run_once()
    assert "active" == shown(dispatch, endpoint_id)["state"]
    assert "paused" == act(dispatch, endpoint_state.pause, endpoint_id)["state"]


def test_an_enabled_endpoint_is_not_disabled_by_its_next_failure(
    database: Database, clock: FixedClock
) -> None:
    """Disabled for failing and enabled again, it has its five days anew, with their notices."""
    with (
        receiving(Receiver(statuses=(500,))) as broken,
        dispatching(database, clock) as dispatch,
    ):
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(tenant_id, broken.url)["id"]
        while shown(dispatch, endpoint_id)["state"] == "active":
            dispatch.publish(tenant_id)
            dispatch.run_once()
            clock.advance(timedelta(hours=4))
        act(dispatch, endpoint_state.enable, endpoint_id)
        dispatch.publish(tenant_id)
        assert 1 == dispatch.run_once()
        row = shown(dispatch, endpoint_id)
        assert ("active", clock.now(), 1, 0) == (
            row["state"],
            row["failing_since"],
            row["failing_attempts"],
            row["failing_notices"],
        )


def test_disabling_cancels_and_tells_the_others_once(dispatch: Dispatching) -> None:
    """What is open is cancelled; one notice goes to the tenant's other endpoints."""
    with receiving() as other:
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(tenant_id, URL, events=["webhook.*"])["id"]
        dispatch.endpoint(tenant_id, other.url, events=["endpoint.*"])
        dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        disabled = act(dispatch, endpoint_state.disable, endpoint_id, reason="moved away")
        assert ("disabled", "moved away") == (disabled["state"], disabled["state_reason"])
        dispatch.run_once()
    [notice] = other.callbacks
    assert {
        "endpoint_id": endpoint_id,
        "reason": "moved away",
        "since": "2026-03-02T09:30:00Z",
    } == orjson.loads(notice.body)["data"]
    told = [(row.state, row.last_error) for row in dispatch.rows() if row.event == "webhook.test"]
    assert [("cancelled", "endpoint_disabled")] * 2 == told
    enabled = act(dispatch, endpoint_state.enable, endpoint_id)
    assert ("active", None) == (enabled["state"], enabled["state_reason"])


def test_a_test_reaches_one_endpoint_alone(dispatch: Dispatching) -> None:
    """Not the tenant's other endpoints, and also one that does not hear webhook.test."""
    with receiving() as receiver, receiving() as other:
        tenant_id = dispatch.tenant()
        tested = dispatch.endpoint(tenant_id, receiver.url, events=["wallet.*"])["id"]
        dispatch.endpoint(tenant_id, other.url)
        delivery_id = act(dispatch, endpoint_state.send_test, tested)
        assert 1 == dispatch.run_once()
    assert [] == other.callbacks
    assert tested == orjson.loads(receiver.callbacks[0].body)["data"]["endpoint_id"]
    with dispatch.database.read() as connection:
        delivery = deliveries.show(connection, delivery_id)
    assert ("succeeded", "manual") == (delivery["state"], delivery["history"][0]["trigger"])


def test_a_test_of_a_paused_endpoint_waits_with_the_rest(dispatch: Dispatching) -> None:
    """It does not lift the pause; it arrives when somebody does."""
    with receiving() as receiver:
        endpoint_id = dispatch.endpoint(dispatch.tenant(), receiver.url)["id"]
        act(dispatch, endpoint_state.pause, endpoint_id)
        act(dispatch, endpoint_state.send_test, endpoint_id)
        assert 0 == dispatch.run_once()
        dispatch.clock.advance(timedelta(days=365))
        assert (0, "paused") == (dispatch.run_once(), shown(dispatch, endpoint_id)["state"])
        act(dispatch, endpoint_state.resume, endpoint_id)
        assert 1 == dispatch.run_once()


def test_a_retry_goes_to_the_url_that_stands(dispatch: Dispatching) -> None:
    """Edited while a retry waits, the new address gets the same id and bytes (F52)."""
    with receiving(Receiver(statuses=(500,))) as old, receiving() as new:
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(tenant_id, old.url)["id"]
        dispatch.publish(tenant_id)
        dispatch.run_once()
        act(dispatch, endpoints.change, dispatch.guard, endpoint_id, url=new.url)
        dispatch.clock.advance(timedelta(seconds=5))
        assert 1 == dispatch.run_once()
    [first], [second] = old.callbacks, new.callbacks
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert ["succeeded"] == [row.state for row in dispatch.rows()]


@pytest.mark.fault("F53")
@pytest.mark.parametrize(
    ("remove", "reason"),
    [(endpoints.delete, "endpoint_deleted"), (endpoint_state.disable, "endpoint_disabled")],
)
def test_what_is_in_flight_ends_and_nothing_more_is_sent(
    dispatch: Dispatching, remove: Callable[..., Any], reason: str
) -> None:
    """Taken away while a call runs: it is recorded, its retry and the rest are cancelled (F53)."""
    gate = threading.Event()
    with receiving(Receiver(statuses=(500,), gate=gate)) as receiver:
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(
            tenant_id, receiver.url, events=["webhook.*"], max_in_flight=1
        )["id"]
        dispatch.publish(tenant_id, 1)
        dispatch.relay.run_until_empty()
        assert 1 == dispatch.drainer.take()
        while not receiver.callbacks:
            gate.wait(0.01)
        dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        act(dispatch, remove, endpoint_id)
        gate.set()
        dispatch.run_once()
        dispatch.run_once()
        dispatch.clock.advance(timedelta(days=1))
        dispatch.run_once()
    assert 1 == len(receiver.callbacks)
    found = [(row.state, row.attempts, row.last_error) for row in dispatch.rows()]
    assert [("cancelled", 1, reason), *[("cancelled", 0, reason)] * 2] == found


def test_a_deleted_endpoint_keeps_its_history(dispatch: Dispatching) -> None:
    """It is listed no more and hears nothing; what was sent to it can still be looked at."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint_id = dispatch.endpoint(tenant_id, receiver.url)["id"]
        dispatch.publish(tenant_id)
        dispatch.run_once()
        act(dispatch, endpoints.delete, endpoint_id)
        dispatch.publish(tenant_id)
        dispatch.run_once()
    with dispatch.database.read() as connection:
        assert [] == endpoints.listing(connection)
    [row] = dispatch.rows()
    with dispatch.database.read() as connection:
        assert 1 == len(deliveries.show(connection, row.id)["history"])
