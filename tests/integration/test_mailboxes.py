"""Leases, fences and wake-ups: what two workers, a relay and a crash can do to one mailbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from dispatcher.due import first_slices
from dispatcher.hints import NoHints
from dispatcher.mailboxes import Lease, feed, lease, release
from dispatcher.outcome import Outcome, Verdict
from dispatcher.poison import CRASHES_MAX
from dispatcher.settle import settle
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState
from dispatcher.sweep import Sweep
from dispatcher.tables import attempts, mailboxes
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

DURATION = timedelta(seconds=30)


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def take(dispatch: Dispatching, worker: str = "one") -> list[Lease]:
    """Lease what is due, as a worker would."""
    with dispatch.database.write() as connection:
        return lease(
            connection, worker=worker, now=dispatch.clock.now(), duration=DURATION, limit=10
        )


def settlement(dispatch: Dispatching, held: Lease, *, number: int = 1) -> Settlement:
    """Return a success of the first delivery under a lease."""
    row = dispatch.rows()[0]
    now = dispatch.clock.now()
    return Settlement(
        delivery_id=row.id,
        endpoint_id=row.endpoint_id,
        lease_token=held.token,
        number=number,
        trigger="scheduled",
        started_at=now,
        duration_ms=3,
        outcome=Outcome(Verdict.SUCCEEDED, 200, None),
        state=DeliveryState.SUCCEEDED,
        next_attempt_at=None,
        settled_at=now,
    )


def mailbox(dispatch: Dispatching) -> object:
    """Return the only mailbox row."""
    with dispatch.database.read() as connection:
        return connection.execute(select(mailboxes)).one()


def prepared(dispatch: Dispatching, url: str = "http://127.0.0.1:9/hook", count: int = 1) -> str:
    """Make one endpoint with relayed deliveries and return its id."""
    tenant_id = dispatch.tenant()
    endpoint = dispatch.endpoint(tenant_id, url)
    dispatch.publish(tenant_id, count)
    dispatch.relay.run_until_empty()
    return str(endpoint["id"])


def test_a_leased_mailbox_is_not_leased_again(dispatch: Dispatching) -> None:
    """While one worker holds a mailbox another finds nothing."""
    prepared(dispatch)

    assert len(take(dispatch)) == 1
    assert take(dispatch, "two") == []


def test_an_expired_lease_counts_as_due_and_as_a_crash(dispatch: Dispatching) -> None:
    """When a holder dies its mailbox is taken over under a new token."""
    prepared(dispatch)
    [first] = take(dispatch)
    dispatch.clock.advance(DURATION + timedelta(seconds=1))
    [second] = take(dispatch, "two")

    assert (second.token, second.crashes) == (first.token + 1, 1)


def test_a_late_worker_records_its_attempt_but_decides_nothing(dispatch: Dispatching) -> None:
    """The fencing token refuses a zombie's settle; the attempt it made is kept."""
    prepared(dispatch)
    [zombie] = take(dispatch)
    dispatch.clock.advance(DURATION + timedelta(seconds=1))
    [holder] = take(dispatch, "two")
    with dispatch.database.write() as connection:
        settle(connection, [settlement(dispatch, zombie)], dispatch.clock.now())
    assert [row.state for row in dispatch.rows()] == ["pending"]
    with dispatch.database.write() as connection:
        settle(connection, [settlement(dispatch, holder)], dispatch.clock.now())

    assert [(row.state, row.attempts) for row in dispatch.rows()] == [("succeeded", 1)]
    with dispatch.database.read() as connection:
        made = connection.execute(select(attempts).order_by(attempts.c.lease_token)).all()
    assert [(row.number, row.decided) for row in made] == [(1, False), (1, True)]


def test_a_settled_delivery_is_not_settled_again(dispatch: Dispatching) -> None:
    """Two settlements of one attempt number change the delivery once."""
    prepared(dispatch)
    [held] = take(dispatch)
    for _ in range(2):
        with dispatch.database.write() as connection:
            settle(connection, [settlement(dispatch, held)], dispatch.clock.now())

    assert [(row.state, row.attempts) for row in dispatch.rows()] == [("succeeded", 1)]


def test_a_late_release_changes_nothing(dispatch: Dispatching) -> None:
    """A worker that lost its lease cannot free the mailbox of the one that has it."""
    prepared(dispatch)
    [zombie] = take(dispatch)
    dispatch.clock.advance(DURATION + timedelta(seconds=1))
    take(dispatch, "two")
    with dispatch.database.write() as connection:
        assert {} == release(connection, [(zombie.endpoint_id, zombie.token)])

    assert take(dispatch, "three") == []


def test_a_feed_between_lease_and_read_is_seen_by_the_read(dispatch: Dispatching) -> None:
    """Deliveries relayed after the lease are read in it or wake the mailbox again: none is lost."""
    endpoint_id = prepared(dispatch)
    [held] = take(dispatch)
    dispatch.publish(dispatch.rows()[0].tenant_id)
    dispatch.relay.run_until_empty()
    with dispatch.database.read() as connection:
        now = dispatch.clock.now()
        found = first_slices(connection, [endpoint_id], now=now, rows=10)[endpoint_id]
    assert len(found) == 2
    with dispatch.database.write() as connection:
        release(connection, [(held.endpoint_id, held.token)])

    assert len(take(dispatch, "two")) == 1


def test_a_feed_between_read_and_release_wakes_the_mailbox(dispatch: Dispatching) -> None:
    """The release keeps the relay's mark even when the drain settled all it had read."""
    prepared(dispatch)
    [held] = take(dispatch)
    with dispatch.database.write() as connection:
        settle(connection, [settlement(dispatch, held)], dispatch.clock.now())
    dispatch.publish(dispatch.rows()[0].tenant_id)
    dispatch.relay.run_until_empty()
    with dispatch.database.write() as connection:
        release(connection, [(held.endpoint_id, held.token)])

    assert len(take(dispatch, "two")) == 1


def test_a_relay_that_waits_for_the_release_still_leaves_its_mark(
    dispatch: Dispatching,
) -> None:
    """With the feed held up by the release's row lock, its mark lands behind the release."""
    if dispatch.database.sqlite:
        return  # one writer: there is no in-between on SQLite
    import threading

    endpoint_id = prepared(dispatch)
    [held] = take(dispatch)
    with dispatch.database.write() as connection:
        settle(connection, [settlement(dispatch, held)], dispatch.clock.now())
    fed = threading.Event()

    def feeder() -> None:
        with dispatch.database.write() as connection:
            feed(connection, [endpoint_id], dispatch.clock.now())
        fed.set()

    thread = threading.Thread(target=feeder)
    with dispatch.database.write() as connection:
        release(connection, [(held.endpoint_id, held.token)])
        thread.start()
        assert not fed.wait(0.2)
    thread.join(5)

    assert fed.is_set()
    assert len(take(dispatch, "two")) == 1


def test_a_release_with_nothing_open_leaves_the_mailbox_asleep(dispatch: Dispatching) -> None:
    """A drained mailbox is not due until it is fed."""
    prepared(dispatch)
    [held] = take(dispatch)
    with dispatch.database.write() as connection:
        settle(connection, [settlement(dispatch, held)], dispatch.clock.now())
        release(connection, [(held.endpoint_id, held.token)])

    assert mailbox(dispatch).due_at is None  # type: ignore[attr-defined]  # a row
    assert Sweep(dispatch.database, dispatch.clock, NoHints()).run_once() == 0


def test_the_sweep_finds_what_no_hint_announced(dispatch: Dispatching) -> None:
    """Outbox rows, due mailboxes and dead holders are each found by looking."""
    tenant_id = dispatch.tenant()
    dispatch.endpoint(tenant_id, "http://127.0.0.1:9/hook")
    sweep = Sweep(dispatch.database, dispatch.clock, NoHints())
    assert sweep.run_once() == 0
    dispatch.publish(tenant_id)
    assert sweep.run_once() == 1
    dispatch.relay.run_until_empty()
    assert sweep.run_once() == 1
    take(dispatch)
    assert sweep.run_once() == 0
    dispatch.clock.advance(DURATION + timedelta(seconds=1))

    assert sweep.run_once() == 1


def test_a_delivery_that_kills_its_process_is_parked(dispatch: Dispatching) -> None:
    """After three dead holders deliveries go one by one, and the suspect is parked."""
    with receiving() as receiver:
        prepared(dispatch, receiver.url, count=3)
        suspect = dispatch.rows()[1].id
        with dispatch.database.write() as connection:
            connection.execute(
                update(mailboxes).values(
                    crashes=CRASHES_MAX - 1,
                    suspect_delivery_id=suspect,
                    lease_until=dispatch.clock.now() - timedelta(seconds=1),
                    due_at=None,
                )
            )
        dispatch.drainer.run_once()

    states = {row.id: (row.state, row.last_error) for row in dispatch.rows()}
    assert states.pop(suspect) == ("failed", "poison")
    assert list(states.values()) == [("succeeded", None)] * 2
    assert receiver.in_flight_max == 1
    assert mailbox(dispatch).crashes == 0  # type: ignore[attr-defined]  # a row


@pytest.mark.fault("F49")
def test_a_mailbox_with_unreadable_secrets_sends_nothing_and_waits(
    database: Database, clock: FixedClock
) -> None:
    """With the wrong key nothing unsigned leaves, no attempt is burned, and others go on."""
    from engine.sealing import KeyRing
    from tests.dispatching import make_drainer

    with receiving() as receiver, dispatching(database, clock) as dispatch:
        prepared(dispatch, receiver.url)
        wrong = make_drainer(database, KeyRing([b"w" * 32]), clock)
        assert wrong.run_once() == 0
        wrong.stop(5)
        assert receiver.callbacks == []
        assert [(row.state, row.attempts) for row in dispatch.rows()] == [("pending", 0)]
        clock.advance(timedelta(seconds=61))

        assert dispatch.drainer.run_once() == 1


def test_a_dead_endpoint_does_not_hold_up_its_neighbour(dispatch: Dispatching) -> None:
    """While one receiver hangs, another endpoint's backlog is delivered."""
    import threading

    gate = threading.Event()
    with receiving(Receiver(gate=gate)) as hanging, receiving() as healthy:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, hanging.url, max_in_flight=2)
        dispatch.endpoint(tenant_id, healthy.url)
        dispatch.publish(tenant_id, 30)
        dispatch.relay.run_until_empty()
        assert dispatch.drainer.take() == 2
        for _ in range(200):
            if len(healthy.callbacks) == 30:
                break
            gate.wait(0.02)

        assert len(healthy.callbacks) == 30
        assert len(hanging.callbacks) == 2
