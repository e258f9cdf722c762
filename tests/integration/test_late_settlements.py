"""What a worker brings home that stood still longer than its lease: kept, not believed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from dispatcher.mailboxes import Lease, lease
from dispatcher.outcome import Outcome, Verdict
from dispatcher.poison import CRASHES_MAX
from dispatcher.settle import settle
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState
from dispatcher.tables import attempts, mailboxes
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import receiving

DURATION = timedelta(seconds=30)


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def prepared(dispatch: Dispatching, url: str) -> None:
    """Have one delivery wait for an endpoint."""
    tenant_id = dispatch.tenant()
    dispatch.endpoint(tenant_id, url)
    dispatch.publish(tenant_id)
    dispatch.relay.run_until_empty()


def take(dispatch: Dispatching) -> Lease:
    """Lease the mailbox, due or left by a holder whose time is up."""
    now = dispatch.clock.now()
    with dispatch.database.write() as connection:
        found = lease(connection, worker="one", now=now, duration=DURATION, limit=1)
    dispatch.clock.advance(DURATION + timedelta(seconds=1))
    return found[0]


def success(dispatch: Dispatching, token: int) -> Settlement:
    """Return a success of the delivery's first attempt under a lease."""
    row, now = dispatch.rows()[0], dispatch.clock.now()
    return Settlement(
        delivery_id=row.id,
        endpoint_id=row.endpoint_id,
        lease_token=token,
        number=1,
        trigger="scheduled",
        started_at=now,
        duration_ms=3,
        outcome=Outcome(Verdict.SUCCEEDED, 200, None),
        state=DeliveryState.SUCCEEDED,
        next_attempt_at=None,
        settled_at=now,
    )


def test_of_two_attempts_written_together_one_decides(dispatch: Dispatching) -> None:
    """A worker that holds a mailbox anew and writes its late attempt beside the new one.

    Found by the simulation on PostgreSQL, seed 500000: both were said to have decided.
    """
    prepared(dispatch, "http://127.0.0.1:9/hook")
    both = [success(dispatch, take(dispatch).token) for _ in range(2)]
    with dispatch.database.write() as connection:
        settle(connection, both, dispatch.clock.now())
    with dispatch.database.read() as connection:
        rows = connection.execute(select(attempts).order_by(attempts.c.lease_token)).all()

    assert [row.decided for row in rows] == [False, True]
    assert [(row.state, row.attempts) for row in dispatch.rows()] == [("succeeded", 1)]


def test_a_process_that_stood_still_condemns_nothing(dispatch: Dispatching) -> None:
    """An attempt written down behind its lease shows that its delivery killed nobody.

    Found by the simulation: what its receiver had accepted was parked as poison.
    """
    with receiving() as receiver:
        prepared(dispatch, receiver.url)
        late = success(dispatch, take(dispatch).token)
        with dispatch.database.write() as connection:
            connection.execute(
                update(mailboxes).values(
                    crashes=CRASHES_MAX - 1, suspect_delivery_id=late.delivery_id
                )
            )
            settle(connection, [late._replace(lease_token=0)], dispatch.clock.now())
        dispatch.drainer.run_once()

    assert [(row.state, row.attempts) for row in dispatch.rows()] == [("succeeded", 1)]
