"""From a committed event to a settled attempt, on both databases, with a real receiver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook

from config.clock import FixedClock
from dispatcher import deliveries, endpoint_secrets, endpoint_state
from dispatcher.tables import attempts
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def test_an_event_arrives_signed_with_its_exact_bytes(dispatch: Dispatching) -> None:
    """A receiver gets the stored bytes, and the public verifier accepts the signature."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        [event_id] = dispatch.publish(tenant_id)
        dispatch.clock.set(dispatch.database.now())  # the verifier compares with the real time

        assert dispatch.run_once() == 1

        [callback] = receiver.callbacks
    verified = Webhook(endpoint["secret"]).verify(callback.body.decode(), dict(callback.headers))
    assert verified["id"] == event_id == callback.headers["webhook-id"]
    assert list(verified) == [
        "event",
        "timestamp",
        "tenant_id",
        "data",
        "id",
        "version",
        "sequence",
    ]
    [row] = dispatch.rows()
    assert (row.state, row.attempts, row.next_attempt_at) == ("succeeded", 1, None)


def test_a_failed_attempt_is_retried_on_schedule(dispatch: Dispatching) -> None:
    """500 leads to the next wait of the schedule; id and bytes stay the same over attempts."""
    with receiving(Receiver(statuses=(500, 500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)

        assert dispatch.run_once() == 1
        [row] = dispatch.rows()
        assert row.state == "retrying"
        assert row.next_attempt_at == dispatch.clock.now() + timedelta(seconds=5)
        assert dispatch.run_once() == 0
        dispatch.clock.advance(timedelta(seconds=5))
        assert dispatch.run_once() == 1
        dispatch.clock.advance(timedelta(seconds=30))
        assert dispatch.run_once() == 1

    assert len({(each.headers["webhook-id"], each.body) for each in receiver.callbacks}) == 1
    with dispatch.database.read() as connection:
        shown = deliveries.show(connection, dispatch.rows()[0].id)
    assert shown["state"] == "succeeded"
    assert [each["status_code"] for each in shown["history"]] == [500, 500, 200]
    assert [each["number"] for each in shown["history"]] == [1, 2, 3]


def test_a_used_up_schedule_fails_the_delivery(dispatch: Dispatching) -> None:
    """After the last attempt of the schedule the delivery is failed and nothing more is sent."""
    with receiving(Receiver(statuses=(503,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        for _ in range(5):
            dispatch.run_once()
            dispatch.clock.advance(timedelta(minutes=5))

    assert len(receiver.callbacks) == 3
    assert [(row.state, row.last_error) for row in dispatch.rows()] == [("failed", "http_5xx")]


def test_a_gone_receiver_disables_its_endpoint_once(dispatch: Dispatching) -> None:
    """410 fails the delivery, disables the endpoint with one notice, cancels the rest."""
    with receiving(Receiver(statuses=(410,))) as gone, receiving() as other:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, gone.url, max_in_flight=1)
        dispatch.endpoint(tenant_id, other.url, events=["endpoint.disabled"])
        dispatch.publish(tenant_id, 3)
        dispatch.run_once()
        dispatch.run_once()

    assert len(gone.callbacks) == 1
    [notice] = other.callbacks
    assert orjson.loads(notice.body)["data"]["reason"] == "gone"
    states = sorted(row.state for row in dispatch.rows() if row.event == "webhook.test")
    assert states == ["cancelled", "cancelled", "failed"]


def test_a_redirect_is_a_failure_and_not_followed(dispatch: Dispatching) -> None:
    """3xx is retried like any failure; its target is never called."""
    with receiving() as target, receiving(Receiver(statuses=(302,))) as receiver:
        receiver.headers = {"location": target.url}
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()

    assert target.callbacks == []
    assert [(row.state, row.last_error) for row in dispatch.rows()] == [("retrying", "http_3xx")]


def test_no_more_than_max_in_flight_calls_run_at_once(dispatch: Dispatching) -> None:
    """An endpoint's limit holds while its backlog drains."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=2)
        dispatch.publish(tenant_id, 40)

        assert dispatch.run_once() == 40

    assert receiver.in_flight_max <= 2


def test_a_deep_mailbox_is_drained_slice_by_slice(database: Database, clock: FixedClock) -> None:
    """A backlog of many slices is delivered whole, nothing twice."""
    with receiving() as receiver, dispatching(database, clock, slice_rows=7) as dispatch:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        ids = dispatch.publish(tenant_id, 100)

        assert dispatch.run_once() == 100

    assert sorted(each.headers["webhook-id"] for each in receiver.callbacks) == sorted(ids)


def test_a_paused_endpoint_waits_without_burning_attempts(dispatch: Dispatching) -> None:
    """Deliveries wait through a pause and flow when it ends by itself."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        until = dispatch.clock.now() + timedelta(minutes=10)
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.pause(work, endpoint["id"], until=until)
        dispatch.publish(tenant_id, 2)
        assert dispatch.run_once() == 0
        assert [row.attempts for row in dispatch.rows()] == [0, 0]
        dispatch.clock.advance(timedelta(minutes=10))

        assert dispatch.run_once() == 2

    assert len(receiver.callbacks) == 2


def test_events_for_a_disabled_endpoint_are_kept_as_cancelled(dispatch: Dispatching) -> None:
    """A disabled endpoint is not called; what it missed can be found and replayed."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.disable(work, endpoint["id"])
        dispatch.publish(tenant_id)
        assert dispatch.run_once() == 0

    assert [(row.state, row.last_error) for row in dispatch.rows()] == [
        ("cancelled", "endpoint_disabled")
    ]


def test_only_subscribed_endpoints_of_the_tenant_hear(dispatch: Dispatching) -> None:
    """Another tenant, and another pattern, hear nothing."""
    with receiving() as receiver:
        mine, other = dispatch.tenant("mine"), dispatch.tenant("other")
        heard = dispatch.endpoint(mine, receiver.url, events=["webhook.*"])
        dispatch.endpoint(mine, receiver.url, events=["chain_order.*"])
        dispatch.endpoint(other, receiver.url)
        dispatch.publish(mine)
        dispatch.run_once()

    assert [row.endpoint_id for row in dispatch.rows()] == [heard["id"]]


def test_rotation_signs_with_both_secrets_for_a_day(dispatch: Dispatching) -> None:
    """A receiver that knows only the old secret, or only the new one, can verify."""
    with receiving() as receiver:
        dispatch.clock.set(dispatch.database.now())
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        with dispatch.units.begin(actor="test") as work:
            renewed = endpoint_secrets.rotate(
                work, dispatch.guard.keyring, endpoint["id"], tenant_id
            )
        dispatch.publish(tenant_id)
        dispatch.run_once()
        [callback] = receiver.callbacks
        for secret in (endpoint["secret"], renewed):
            Webhook(secret).verify(callback.body.decode(), dict(callback.headers))
        dispatch.clock.advance(timedelta(hours=25))
        dispatch.publish(tenant_id)
        dispatch.run_once()

    assert len(receiver.callbacks[1].headers["webhook-signature"].split()) == 1


def test_a_connection_refused_is_a_named_failure(dispatch: Dispatching) -> None:
    """Nobody listening is recorded as an attempt with a coarse class and retried."""
    with receiving() as receiver:
        url = receiver.url
    tenant_id = dispatch.tenant()
    dispatch.endpoint(tenant_id, url)
    dispatch.publish(tenant_id)

    assert dispatch.run_once() == 1

    [row] = dispatch.rows()
    assert (row.state, row.last_error) == ("retrying", "connect")
    with dispatch.database.read() as connection:
        [attempt] = connection.execute(select(attempts)).all()
    assert (attempt.number, attempt.status_code, attempt.error, attempt.decided) == (
        1,
        None,
        "connect",
        True,
    )


def test_the_flat_profile_sends_document_000_bodies(dispatch: Dispatching) -> None:
    """An order line reaches a flat endpoint in its own shape, and retries send the same bytes."""
    data = {
        "deliver_id": "D-1",
        "order_detail_id": 55501,
        "status": 1,
        "delivery_data": ["code-1"],
        "delivery_note": None,
        "chain_order_id": "x",
    }
    with receiving(Receiver(statuses=(500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, profile="flat")
        from engine.events import EventDraft

        with dispatch.units.begin(actor="test") as work:
            work.raise_event(EventDraft(tenant_id=tenant_id, type="order.line_updated", data=data))
        dispatch.run_once()
        dispatch.clock.advance(timedelta(seconds=5))
        dispatch.run_once()

    first, second = receiver.callbacks
    assert first.body == second.body
    assert orjson.loads(first.body) == {
        "DeliverID": "D-1",
        "OrderDetailID": 55501,
        "Status": 1,
        "DeliveryData": ["code-1"],
        "DeliveryNote": None,
    }
