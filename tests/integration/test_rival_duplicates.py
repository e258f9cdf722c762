"""Where others send twice: a long call, a long wait, two workers, a neighbour's failure, a race.

Each test names whose defect it was; docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from config.clock import FixedClock
from dispatcher.hints import NoHints
from dispatcher.relay import Relay
from dispatcher.tables import endpoint_secrets, mailboxes
from engine.database import Database
from engine.events import EventDraft, publish
from engine.tables import events, outbox
from tests.dispatching import Dispatching, dispatching, make_drainer
from tests.processes import until
from tests.receivers import Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def mailbox(dispatch: Dispatching, endpoint: dict[str, Any]) -> Any:
    """Return the mailbox row of an endpoint."""
    with dispatch.database.read() as connection:
        mine = mailboxes.c.endpoint_id == endpoint["id"]
        return connection.execute(select(mailboxes).where(mine)).one()


def arrived(*receivers: Receiver) -> Counter[str]:
    """Return how often each event came to any of the receivers."""
    return Counter(each.headers["webhook-id"] for one in receivers for each in one.callbacks)


def test_a_call_as_long_as_its_endpoint_allows_is_made_once(dispatch: Dispatching) -> None:
    """A call that outlasts the usual lease is not taken over and sent again (Svix, Outpost)."""
    gate = threading.Event()
    with receiving(Receiver(gate=gate)) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, deadline_seconds=60)
        [event_id] = dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        assert 1 == dispatch.drainer.take()
        until(lambda: len(receiver.callbacks) == 1)
        # The usual lease of this test lasts 20 s, this endpoint's call may last 60 s.
        dispatch.clock.advance(timedelta(seconds=60))
        second = make_drainer(dispatch.database, dispatch.guard.keyring, dispatch.clock)
        assert 0 == second.take()
        second.stop(5)
        gate.set()
        dispatch.drainer.run_once()

    assert {event_id: 1} == arrived(receiver)
    assert ["succeeded"] == [row.state for row in dispatch.rows()]
    assert 0 == mailbox(dispatch, endpoint).crashes


def test_no_delivery_waits_for_a_place_longer_than_its_lease(
    database: Database, clock: FixedClock
) -> None:
    """Behind a host that is called to its cap a mailbox goes back before its lease ends (Svix)."""
    gate = threading.Event()
    with (
        receiving(Receiver(gate=gate)) as receiver,
        dispatching(database, clock, host_in_flight_max=1, slice_seconds=0.1) as dispatch,
    ):
        tenant_id = dispatch.tenant()
        first, second = (dispatch.endpoint(tenant_id, receiver.url) for _ in range(2))
        [event_id] = dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take([first["id"]])
        until(lambda: len(receiver.callbacks) == 1)
        dispatch.drainer.take([second["id"]])
        # Given back and taken again while the call in front of it still hangs.
        until(lambda: mailbox(dispatch, second).lease_token > 1)
        assert 1 == len(receiver.callbacks)
        gate.set()
        dispatch.drainer.run_once()

        assert {event_id: 2} == arrived(receiver)
        assert 1 == receiver.in_flight_max
        assert ["succeeded"] * 2 == [row.state for row in dispatch.rows()]


def test_many_workers_on_one_database_send_each_event_once(
    database: Database, clock: FixedClock
) -> None:
    """Three relays and three drains at once make no delivery twice (mycelium, dramatiq #431)."""
    with (
        receiving() as one,
        receiving() as two,
        dispatching(database, clock) as dispatch,
        ThreadPoolExecutor(6) as pool,
    ):
        tenant_id = dispatch.tenant()
        for receiver in (one, two):
            dispatch.endpoint(tenant_id, receiver.url)
        ids = dispatch.publish(tenant_id, 200)
        drainers = [make_drainer(database, dispatch.guard.keyring, clock) for _ in range(3)]
        relays = [Relay(database, clock, NoHints()) for _ in range(3)]
        for _ in range(5):
            working = [pool.submit(relay.run_once, 40) for relay in relays]
            working += [pool.submit(drainer.run_once) for drainer in drainers]
            assert all(each.result() >= 0 for each in working)
        dispatch.run_once()
        for drainer in drainers:
            drainer.stop(5)

    assert dict.fromkeys(ids, 1) == arrived(one) == arrived(two)


def test_one_endpoint_that_cannot_be_served_repeats_nobody_s_delivery(
    dispatch: Dispatching,
) -> None:
    """An internal failure for one of three receivers sends the others nothing again (Svix)."""
    with receiving() as one, receiving() as two, receiving() as broken:
        tenant_id = dispatch.tenant()
        for receiver in (one, two):
            dispatch.endpoint(tenant_id, receiver.url)
        damaged = dispatch.endpoint(tenant_id, broken.url)
        with dispatch.database.write() as connection:
            its = endpoint_secrets.c.endpoint_id == damaged["id"]
            connection.execute(update(endpoint_secrets).where(its).values(ciphertext=b"damaged"))
        [event_id] = dispatch.publish(tenant_id)
        for _ in range(3):
            dispatch.run_once()
            dispatch.clock.advance(timedelta(minutes=2))

    assert {event_id: 1} == arrived(one) == arrived(two)
    assert [] == broken.callbacks
    assert Counter(succeeded=2, pending=1) == Counter(row.state for row in dispatch.rows())


def test_an_event_relayed_again_makes_no_second_delivery(dispatch: Dispatching) -> None:
    """An outbox row that comes back, as from a backup, finds its deliveries made (dograh)."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        [event_id] = dispatch.publish(tenant_id)
        dispatch.run_once()
        row = {
            "event_id": event_id,
            "tenant_id": tenant_id,
            "event_type": "webhook.test",
            "created_at": dispatch.clock.now(),
        }
        with dispatch.database.write() as connection:
            connection.execute(insert(outbox).values(row))
        assert 0 == dispatch.run_once()

    assert {event_id: 1} == arrived(receiver)
    assert 1 == len(dispatch.rows())


def test_one_key_raised_by_many_at_once_is_one_event(dispatch: Dispatching) -> None:
    """Twelve publishers race with one dedupe key: one id, one delivery (Convoy #1262, #2747)."""
    ready = threading.Barrier(12)
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)

        def raise_once(number: int) -> str:
            draft = EventDraft(
                tenant_id=tenant_id,
                type="webhook.test",
                data={"number": number},
                dedupe_key="invoice-1",
            )
            ready.wait(10)
            with dispatch.database.write() as connection:
                return publish(connection, draft)

        with ThreadPoolExecutor(12) as pool:
            ids = set(pool.map(raise_once, range(12)))
        dispatch.clock.advance(timedelta(days=400))  # rows carry the database's own time
        dispatch.run_once()

    [event_id] = ids
    assert {event_id: 1} == arrived(receiver)
    with dispatch.database.read() as connection:
        assert [event_id] == connection.execute(select(events.c.id)).scalars().all()


def test_an_endpoint_is_switched_off_once_however_many_calls_end(dispatch: Dispatching) -> None:
    """Ten calls in the air all answered 410 are one transition and one notice (Polar #11607)."""
    gate = threading.Event()
    with receiving(Receiver(statuses=(410,), gate=gate)) as gone, receiving() as other:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, gone.url, events=["webhook.*"], max_in_flight=10)
        dispatch.endpoint(tenant_id, other.url, events=["endpoint.disabled"])
        dispatch.publish(tenant_id, 30)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: gone.in_flight == 10)
        gate.set()
        dispatch.drainer.run_once()
        dispatch.run_once()

    assert 10 == len(gone.callbacks)
    assert 1 == len(other.callbacks)
    assert Counter(failed=10, cancelled=20, succeeded=1) == Counter(
        row.state for row in dispatch.rows()
    )
