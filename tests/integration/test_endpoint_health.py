"""What receivers' answers do to their endpoint: pauses, the circuit, notices, limits and order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, true, update

from config.clock import FixedClock
from dispatcher import endpoints
from dispatcher.mailboxes import feed
from dispatcher.policies import set_event_policy
from dispatcher.replay import arm
from dispatcher.tables import deliveries, mailboxes
from dispatcher.tables import endpoints as endpoint_table
from engine.database import Database
from engine.errors import InvalidInput, UnknownEventType
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def circuit(dispatch: Dispatching) -> tuple[str, int]:
    """Return the circuit of the only mailbox and its failures in a row."""
    with dispatch.database.read() as connection:
        row = connection.execute(select(mailboxes.c.circuit, mailboxes.c.failures_in_row)).one()
    return row.circuit, row.failures_in_row


def test_retry_after_holds_the_whole_endpoint_back(dispatch: Dispatching) -> None:
    """One 429 pauses every delivery of the endpoint until the receiver's own time."""
    receiver = Receiver(statuses=(429, 200), headers={"retry-after": "120"})
    with receiving(receiver):
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1)
        dispatch.publish(tenant_id, 5)
        assert dispatch.run_once() == 1
        dispatch.clock.advance(timedelta(seconds=119))
        assert dispatch.run_once() == 0
        dispatch.publish(tenant_id)
        assert dispatch.run_once() == 0
        dispatch.clock.advance(timedelta(seconds=1))

        assert dispatch.run_once() == 6

    assert [row.state for row in dispatch.rows()] == ["succeeded"] * 6


def test_a_dead_endpoint_opens_its_circuit_and_burns_no_attempts(dispatch: Dispatching) -> None:
    """After ten failures the rest waits unattempted; each probe is one call, and waits double."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1)
        dispatch.publish(tenant_id, 30)
        assert dispatch.run_once() == 10
        assert circuit(dispatch) == ("open", 10)
        assert sum(row.attempts == 0 for row in dispatch.rows()) == 20
        for wait in (30, 60, 120):
            dispatch.clock.advance(timedelta(seconds=wait - 1))
            assert dispatch.run_once() == 0
            dispatch.clock.advance(timedelta(seconds=1))
            assert dispatch.run_once() == 1


def test_a_recovering_endpoint_is_ramped_up(dispatch: Dispatching) -> None:
    """When a probe succeeds the backlog follows, never more at once than the ramp allows."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=10)
        dispatch.publish(tenant_id, 60)
        dispatch.run_once()
        assert circuit(dispatch)[0] == "open"
        receiver.statuses, receiver.in_flight_max = (200,), 0
        dispatch.clock.advance(timedelta(seconds=30))
        dispatch.run_once()
        dispatch.clock.advance(timedelta(hours=1))
        dispatch.run_once()

    assert {row.state for row in dispatch.rows()} == {"succeeded"}
    assert circuit(dispatch) == ("closed", 0)
    assert receiver.in_flight_max <= 10


def test_an_endpoint_that_only_fails_is_told_of_twice_then_disabled(
    database: Database, clock: FixedClock
) -> None:
    """At 24 h, 72 h and 5 days: three notices, once each, to another endpoint."""
    with (
        receiving(Receiver(statuses=(500,))) as broken,
        receiving() as other,
        dispatching(database, clock) as dispatch,
    ):
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, broken.url, events=["webhook.test"])
        dispatch.endpoint(tenant_id, other.url, events=["endpoint.*"])
        for _ in range(6 * 24 // 4):
            dispatch.publish(tenant_id, 2)
            dispatch.run_once()
            clock.advance(timedelta(hours=4))
            dispatch.run_once()
        with database.read() as connection:
            row = connection.execute(
                select(endpoint_table).where(endpoint_table.c.id == endpoint["id"])
            ).one()

    assert (row.state, row.state_reason) == ("disabled", "failing")
    told = [orjson.loads(each.body)["event"] for each in other.callbacks]
    assert told == ["endpoint.failing", "endpoint.failing", "endpoint.disabled"]


def test_a_type_may_be_worth_half_an_hour_only(dispatch: Dispatching) -> None:
    """Past its type's deadline a delivery is given up, attempted or not."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1, retry_schedule=[0, 1200, 1200])
        with dispatch.units.begin(actor="test") as work:
            set_event_policy(work, "webhook.test", deliver_within_seconds=1800)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        dispatch.clock.advance(timedelta(seconds=1200))
        dispatch.run_once()
        assert [(row.state, row.attempts) for row in dispatch.rows()] == [("failed", 2)]
        dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        dispatch.clock.advance(timedelta(seconds=1801))
        dispatch.run_once()

    assert [(row.state, row.attempts, row.last_error) for row in dispatch.rows()][1] == (
        "failed",
        0,
        "expired",
    )


def test_a_replay_of_what_expired_is_sent(dispatch: Dispatching) -> None:
    """Whoever asks for it again wants it, however old it is."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, deliver_within_seconds=60)
        dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        dispatch.clock.advance(timedelta(seconds=61))
        dispatch.run_once()
        [row] = dispatch.rows()
        assert (row.state, row.last_error) == ("failed", "expired")
        with dispatch.units.begin(actor="test") as work:
            arm(work.connection, [row.id], work.now, wanted=true())
            feed(work.connection, [row.endpoint_id], work.now)
        dispatch.run_once()

    assert [each.state for each in dispatch.rows()] == ["succeeded"]


def test_a_replay_of_what_expired_is_one_attempt(dispatch: Dispatching) -> None:
    """If it fails there is no retry: the next would come when nobody wants it, by the policy."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, deliver_within_seconds=60)
        dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        dispatch.clock.advance(timedelta(seconds=61))
        dispatch.run_once()
        [row] = dispatch.rows()
        with dispatch.units.begin(actor="test") as work:
            feed(work.connection, [row.endpoint_id], work.now)
            arm(work.connection, [row.id], work.now, wanted=true())
        dispatch.run_once()

    assert [("failed", "http_5xx")] == [(each.state, each.last_error) for each in dispatch.rows()]
    assert 1 == len(receiver.callbacks)


def test_an_endpoint_may_have_a_schedule_of_its_own(dispatch: Dispatching) -> None:
    """The endpoint's schedule goes before the default."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, retry_schedule=[0, 77])
        dispatch.publish(tenant_id)
        dispatch.run_once()

        [row] = dispatch.rows()
        assert row.next_attempt_at == dispatch.clock.now() + timedelta(seconds=77)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_in_flight": 0}, "max_in_flight"),
        ({"rate_per_second": -1}, "rate_per_second"),
        ({"ordering": "sometimes"}, "ordering"),
        ({"head_of_line_seconds": 0}, "head_of_line_seconds"),
        ({"deadline_seconds": 61}, "deadline_seconds"),
        ({"retry_schedule": []}, "retry_schedule"),
        ({"retry_schedule": [-1]}, "retry_schedule"),
        ({"deliver_within_seconds": 0}, "deliver_within_seconds"),
        ({"permanent_statuses": [200]}, "permanent_statuses"),
        ({"permanent_statuses": [410]}, "permanent_statuses"),
    ],
)
def test_a_malformed_option_is_named(
    dispatch: Dispatching, options: dict[str, Any], field: str
) -> None:
    """Each wrong option is one error that names its field, and nothing is stored."""
    tenant_id = dispatch.tenant()
    with pytest.raises(InvalidInput) as refused:
        dispatch.endpoint(tenant_id, "http://127.0.0.1:9/hook", **options)
    assert refused.value.details["field"] == field
    with dispatch.database.read() as connection:
        assert endpoints.listing(connection) == []


def test_a_policy_for_an_unknown_type_is_refused(dispatch: Dispatching) -> None:
    """Only what can be published can have a policy."""
    with pytest.raises(UnknownEventType), dispatch.units.begin(actor="test") as work:
        set_event_policy(work, "no.such", deliver_within_seconds=60)


def test_a_delivery_whose_body_is_gone_is_parked_not_sent_empty(dispatch: Dispatching) -> None:
    """Nothing without its bytes leaves the house; the delivery says why, and others go on."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        [gone, kept] = dispatch.publish(tenant_id, 2)
        with dispatch.database.write() as connection:
            connection.execute(update(events).where(events.c.id == gone).values(body=b""))
        dispatch.run_once()

    assert [each.headers["webhook-id"] for each in receiver.callbacks] == [kept]
    assert {row.event_id: row.last_error for row in dispatch.rows()} == {
        gone: "body_pruned",
        kept: None,
    }


def test_a_row_the_database_refuses_stops_nobody(dispatch: Dispatching) -> None:
    """A group with one impossible row is written item by item, and that row is parked."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 5)
        dispatch.relay.run_until_empty()
        bad = dispatch.rows()[2].id
        with dispatch.database.write() as connection:
            # PostgreSQL cannot count beyond this, so its settlement is refused; SQLite can.
            connection.execute(
                update(deliveries).where(deliveries.c.id == bad).values(attempts=2**31 - 1)
            )
        dispatch.drainer.run_once()

    states = {row.id: row.state for row in dispatch.rows()}
    del states[bad]
    assert list(states.values()) == ["succeeded"] * 4
    with dispatch.database.read() as connection:
        assert connection.execute(select(mailboxes.c.lease_until)).scalar_one() is None
    assert len(receiver.callbacks) == 5
