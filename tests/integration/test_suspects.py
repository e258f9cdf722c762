"""Mailboxes under suspicion: one delivery is tried at a time, so a death points at it alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from config.clock import FixedClock
from dispatcher.poison import CRASHES_MAX
from dispatcher.tables import mailboxes
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

COUNT = 3


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def suspect_all(dispatch: Dispatching) -> None:
    """Let the process that held every mailbox have died once too often."""
    died_at = dispatch.clock.now() - timedelta(seconds=1)
    with dispatch.database.write() as connection:
        connection.execute(
            update(mailboxes).values(crashes=CRASHES_MAX, lease_until=died_at, due_at=None)
        )


def named(dispatch: Dispatching) -> Sequence[str]:
    """Return the deliveries that a death would point at now."""
    with dispatch.database.read() as connection:
        found = connection.execute(select(mailboxes.c.suspect_delivery_id)).scalars()
        return [each for each in found if each is not None]


def test_a_death_points_at_one_delivery_of_all_mailboxes(dispatch: Dispatching) -> None:
    """Three mailboxes were held when the process died: of theirs one is in the air, and named.

    Found by the simulation: each death parked an innocent delivery in every other mailbox.
    """
    seen: list[tuple[int, int]] = []

    class Looking(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            seen.append((len(named(dispatch)), receiver.in_flight))
            return timeout is not None

    with receiving(Receiver(gate=Looking())) as receiver:
        tenant_id = dispatch.tenant()
        for number in range(COUNT):
            dispatch.endpoint(tenant_id, f"{receiver.url}/{number}")
        dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        suspect_all(dispatch)
        dispatch.drainer.run_once()

    assert seen == [(1, 1)] * COUNT * 2
    assert {row.state for row in dispatch.rows()} == {"succeeded"}
    assert named(dispatch) == []
