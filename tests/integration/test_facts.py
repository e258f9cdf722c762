"""What a dispatcher tells whoever watches it: each happening once, after it is committed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from dispatcher.endpoint_state import disable
from dispatcher.facts import (
    CircuitMoved,
    DeliveryAttempted,
    DeliveryParked,
    EndpointDisabled,
    Fact,
    LeaseLost,
    RelayExpanded,
    SettleCommitted,
    of_settlement,
)
from dispatcher.settlement import Settlement
from dispatcher.tables import mailboxes
from engine.database import Database
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

F = TypeVar("F", bound=Fact)


class Told:
    """Keeps every fact it is told."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []

    def emit(self, fact: Fact, /) -> None:
        """Keep a fact."""
        self.facts.append(fact)

    def observe(self, settlement: Settlement, /) -> None:
        """Keep what an attempt says."""
        self.facts += of_settlement(settlement)

    def of(self, kind: type[F]) -> list[F]:
        """Return the facts of one kind, in the order they were told."""
        return [fact for fact in self.facts if isinstance(fact, kind)]


@pytest.fixture
def told() -> Told:
    """Return an empty notebook."""
    return Told()


@pytest.fixture
def dispatch(database: Database, clock: FixedClock, told: Told) -> Iterator[Dispatching]:
    """Return a dispatcher that is watched."""
    with dispatching(database, clock, told) as it:
        yield it


def test_one_delivery_tells_its_way(dispatch: Dispatching, told: Told) -> None:
    """Expanded, attempted after the wait it had since its commit, settled in one commit."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 3)
        dispatch.clock.advance(timedelta(seconds=7))
        dispatch.run_once()

    [expanded] = told.of(RelayExpanded)
    assert (expanded.events, expanded.mailboxes) == (3, 1)
    assert [7.0] * 3 == [each.waited_seconds for each in told.of(DeliveryAttempted)]
    commits = told.of(SettleCommitted)
    assert (3, 1) == (sum(each.rows for each in commits), sum(each.releases for each in commits))


def test_an_idle_relay_tells_nothing(dispatch: Dispatching, told: Told) -> None:
    """Looking and finding nothing is no happening."""
    assert 0 == dispatch.run_once()
    assert [] == told.of(RelayExpanded)


def test_a_circuit_tells_each_move(dispatch: Dispatching, told: Told) -> None:
    """Opened by the tenth failure, probed, opened again, probed, closed."""
    with receiving(Receiver(statuses=[500] * 11 + [200])) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1)
        dispatch.publish(tenant_id, 12)
        dispatch.run_once()
        for wait in (30, 60):
            dispatch.clock.advance(timedelta(seconds=wait))
            dispatch.run_once()

    moves = told.of(CircuitMoved)
    assert ["open", "half_open", "open", "half_open", "closed"] == [each.circuit for each in moves]
    assert {endpoint["id"]} == {each.endpoint_id for each in moves}


def test_a_receiver_that_is_gone_is_told_once(dispatch: Dispatching, told: Told) -> None:
    """Many answers of 410 disable the endpoint once."""
    with receiving(Receiver(statuses=(410,))) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, max_in_flight=5)
        dispatch.publish(tenant_id, 5)
        dispatch.run_once()

    assert [EndpointDisabled(endpoint_id=endpoint["id"], reason="gone")] == told.of(
        EndpointDisabled
    )


def test_five_days_of_failures_are_told(dispatch: Dispatching, told: Told) -> None:
    """An endpoint that the dispatcher gives up is a fact, with the reason."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        for _ in range(25):
            dispatch.publish(tenant_id)
            dispatch.run_once()
            dispatch.clock.advance(timedelta(hours=6))

    expected = [EndpointDisabled(endpoint_id=endpoint["id"], reason="failing")]
    assert expected == told.of(EndpointDisabled)


def test_a_parked_delivery_is_told(dispatch: Dispatching, told: Told) -> None:
    """A delivery without its body is a fact with its reason; one that failed is not."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        [emptied] = dispatch.publish(tenant_id)
        with dispatch.database.write() as connection:
            connection.execute(update(events).where(events.c.id == emptied).values(body=b""))
        dispatch.run_once()

    [parked] = told.of(DeliveryParked)
    by_event = {row.event_id: row.id for row in dispatch.rows()}
    assert (by_event[emptied], "body_pruned") == (parked.delivery_id, parked.reason)


def test_a_lost_lease_is_told(dispatch: Dispatching, told: Told) -> None:
    """A drain that comes back to a mailbox which is another's says so."""
    gated = Receiver()

    with receiving(gated) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        taken = gated.take

        def take_while_another_leases(callback: object) -> int:
            with dispatch.database.write() as connection:
                token = mailboxes.c.lease_token + 1
                connection.execute(update(mailboxes).values(lease_token=token, lease_until=None))
            return taken(callback)  # type: ignore[arg-type]  # handed through as it came

        gated.take = take_while_another_leases  # type: ignore[method-assign]  # the moment between
        dispatch.publish(tenant_id)
        dispatch.run_once()

    [lost] = told.of(LeaseLost)
    assert endpoint["id"] == lost.endpoint_id


def test_what_is_disabled_by_hand_is_no_fact_of_a_worker(dispatch: Dispatching, told: Told) -> None:
    """The worker that cancels the rest did not disable it."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        with dispatch.units.begin(actor="test") as work:
            disable(work, endpoint["id"])
        dispatch.run_once()

    assert [] == told.of(EndpointDisabled)
