"""Order, rates and caps: who waits for whom, and how fast an endpoint is called."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.tables import mailboxes
from engine.database import Database
from engine.events import EventDraft
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def publish_about(dispatch: Dispatching, tenant_id: str, subject: str, sequences: range) -> None:
    """Publish events of one subject, in order."""
    with dispatch.units.begin(actor="test") as work:
        for sequence in sequences:
            work.raise_event(
                EventDraft(
                    tenant_id=tenant_id,
                    type="webhook.test",
                    data={"subject": subject},
                    subject_type="order",
                    subject_id=subject,
                    sequence=sequence,
                )
            )


def arrived(receiver: Receiver) -> list[tuple[str, int]]:
    """Return subject and sequence of every callback in the order of arrival."""
    bodies = [orjson.loads(each.body) for each in receiver.callbacks]
    return [(body["data"]["subject"], body["sequence"]) for body in bodies]


def test_strict_order_delivers_one_after_the_other(dispatch: Dispatching) -> None:
    """A failing head holds up the rest, unattempted; then all follow in order."""
    with receiving(Receiver(statuses=(200, 500, 500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, ordering="endpoint")
        for number in range(5):
            publish_about(dispatch, tenant_id, f"order-{number}", range(1, 2))
            dispatch.clock.advance(timedelta(milliseconds=1))
        assert dispatch.run_once() == 2
        assert dispatch.run_once() == 0
        dispatch.clock.advance(timedelta(seconds=5))
        assert dispatch.run_once() == 1
        dispatch.clock.advance(timedelta(seconds=30))
        assert dispatch.run_once() == 4

    assert [subject for subject, _ in arrived(receiver)] == [
        "order-0",
        *["order-1"] * 3,
        "order-2",
        "order-3",
        "order-4",
    ]


def test_a_head_of_line_is_skipped_after_its_time_and_the_gap_is_marked(
    dispatch: Dispatching,
) -> None:
    """Strict order blocks for the configured time at most."""
    with receiving(Receiver(statuses=(500, 500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, ordering="endpoint", head_of_line_seconds=4)
        dispatch.publish(tenant_id)
        dispatch.clock.advance(timedelta(milliseconds=1))
        dispatch.publish(tenant_id)
        dispatch.run_once()
        dispatch.clock.advance(timedelta(seconds=5))
        dispatch.run_once()

    assert {(row.attempts, row.state, row.last_error) for row in dispatch.rows()} == {
        (2, "failed", "skipped_in_order: http_5xx"),
        (1, "succeeded", None),
    }


def test_order_per_subject_lets_other_subjects_flow(dispatch: Dispatching) -> None:
    """A failing event holds up its own subject only, whose order survives the retry (F54)."""
    with receiving(Receiver(statuses=(500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, ordering="subject", max_in_flight=1)
        publish_about(dispatch, tenant_id, "A", range(1, 4))
        dispatch.clock.advance(timedelta(milliseconds=1))
        publish_about(dispatch, tenant_id, "B", range(1, 4))
        dispatch.run_once()
        assert arrived(receiver) == [("A", 1), ("B", 1), ("B", 2), ("B", 3)]
        publish_about(dispatch, tenant_id, "A", range(4, 5))
        assert dispatch.run_once() == 0
        dispatch.clock.advance(timedelta(seconds=6))
        dispatch.run_once()

    assert arrived(receiver)[4:] == [("A", 1), ("A", 2), ("A", 3), ("A", 4)]
    assert {row.state for row in dispatch.rows()} == {"succeeded"}


def test_an_ordered_mailbox_that_waits_is_asleep(dispatch: Dispatching) -> None:
    """Waiting costs nothing: the mailbox is due only when its head is."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, ordering="subject")
        publish_about(dispatch, tenant_id, "A", range(1, 50))
        dispatch.run_once()
        with dispatch.database.read() as connection:
            due_at = connection.execute(select(mailboxes.c.due_at)).scalar_one()

    assert len(receiver.callbacks) == 1
    assert due_at == dispatch.clock.now() + timedelta(seconds=5)


def test_a_host_is_called_by_no_more_than_its_cap(database: Database, clock: FixedClock) -> None:
    """Many endpoints of one host share its cap (F44)."""
    gate = threading.Event()
    with (
        receiving(Receiver(gate=gate)) as receiver,
        dispatching(database, clock, host_in_flight_max=3) as dispatch,
    ):
        for number in range(8):
            tenant_id = dispatch.tenant(f"tenant {number}")
            dispatch.endpoint(tenant_id, receiver.url)
            dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        gate.wait(0.3)
        assert receiver.in_flight_max == 3
        gate.set()
        dispatch.drainer.run_once()

    assert receiver.in_flight_max == 3
    assert len(receiver.callbacks) == 16


def test_a_rate_is_kept(dispatch: Dispatching) -> None:
    """Calls are spread over time, and a drain that must wait too long goes to sleep instead."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, rate_per_second=0.1)
        dispatch.publish(tenant_id, 3)
        assert dispatch.run_once() == 1
        assert dispatch.run_once() == 0
        dispatch.clock.advance(timedelta(seconds=10))
        assert dispatch.run_once() == 1

    assert len(receiver.callbacks) == 2
