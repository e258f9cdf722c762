"""Where others hold everybody up: slow neighbours, first failures, shared pools, open transactions.

Each test names whose defect it was; docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from config.clock import FixedClock
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.processes import free_port, until
from tests.receivers import Callback, Receiver, receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


class Picky(Receiver):
    """Refuses the first event that comes, for ever, and takes all others."""

    def take(self, callback: Callback) -> int:
        """Answer 500 to the one."""
        super().take(callback)
        refused = self.callbacks[0].headers["webhook-id"]
        return 500 if callback.headers["webhook-id"] == refused else 200


@pytest.mark.fault("F43")
def test_hanging_neighbours_delay_nobody(dispatch: Dispatching) -> None:
    """Six receivers that never answer cost a healthy one nothing (Svix #1717; Hook0; 45 s, once).

    Of the best Python rival one such neighbour took 45 s at the median.
    """
    gate = threading.Event()
    with receiving(Receiver(gate=gate)) as hanging, receiving() as healthy:
        tenant_id = dispatch.tenant()
        for _ in range(6):
            dispatch.endpoint(tenant_id, hanging.url)
        dispatch.endpoint(tenant_id, healthy.url)
        dispatch.publish(tenant_id, 40)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: len(healthy.callbacks) == 40)
        assert 60 == hanging.in_flight
        gate.set()


def test_a_process_never_has_more_calls_out_than_it_may(
    database: Database, clock: FixedClock
) -> None:
    """The cap holds over all mailboxes at any moment, not between two batches (Svix #1717)."""
    gate = threading.Event()
    with (
        receiving(Receiver(gate=gate)) as receiver,
        dispatching(database, clock, in_flight_max=7) as dispatch,
    ):
        tenant_id = dispatch.tenant()
        for _ in range(4):
            dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 10)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: receiver.in_flight == 7)
        gate.set()
        dispatch.drainer.run_once()
    assert 7 == receiver.in_flight_max
    assert 40 == len(receiver.callbacks)


def test_the_first_failure_does_not_stop_the_mailbox(dispatch: Dispatching) -> None:
    """What fails waits for its own retry; all behind it go on (Sentry stops at the first)."""
    with receiving(Picky()) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1)
        dispatch.publish(tenant_id, 5)
        dispatch.run_once()
    refused = receiver.callbacks[0].headers["webhook-id"]
    states = {row.event_id: row.state for row in dispatch.rows()}
    assert "retrying" == states.pop(refused)
    assert ["succeeded"] * 4 == list(states.values())


def test_no_transaction_is_open_while_a_receiver_is_called(dispatch: Dispatching) -> None:
    """No row lock, snapshot or writer is held for a stranger's answer (Hook0, Polar, pretix)."""
    gate = threading.Event()
    with receiving(Receiver(gate=gate)) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 3)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: receiver.in_flight == 3)
        until(lambda: not in_transaction(dispatch.database))
        gate.set()
        dispatch.drainer.run_once()


def in_transaction(database: Database) -> bool:
    """Tell whether anybody holds a transaction open on this database."""
    if database.sqlite:
        with sqlite3.connect(str(database.url.database), timeout=0) as other:
            try:
                other.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                return True
            return False
    open_elsewhere = text(
        """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"""
    )
    with database.read() as connection:
        return bool(connection.execute(open_elsewhere).scalar_one())


def test_retries_that_fall_due_together_go_out_together(dispatch: Dispatching) -> None:
    """Nothing promotes them fifty at a time: one look drains all that is due (Svix's ZSET)."""
    with receiving(Receiver(statuses=[500] * 540 + [200])) as receiver:
        tenant_id = dispatch.tenant()
        for _ in range(60):
            # Nine failures open no circuit.
            dispatch.endpoint(tenant_id, receiver.url, max_in_flight=9)
        dispatch.publish(tenant_id, 9)
        dispatch.run_once()
        waiting = [row.next_attempt_at for row in dispatch.rows()]
        assert {dispatch.clock.now() + timedelta(seconds=5)} == set(waiting)
        dispatch.clock.advance(timedelta(seconds=5))
        assert 540 == dispatch.drainer.run_once()


def test_proxies_of_the_environment_are_not_for_callbacks(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the machine's shell uses for itself redirects no callback (Svix #2119, PR #793)."""
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nobody)
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
    assert 1 == len(receiver.callbacks)


def test_a_receiver_s_failure_is_no_alarm_of_ours(dispatch: Dispatching) -> None:
    """500s end in the attempts and nowhere else: no warning, no dead letter (Outpost #571)."""
    with receiving(Receiver(statuses=(500,))) as receiver, capture_logs() as logs:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 3)
        for _ in range(4):
            dispatch.run_once()
            dispatch.clock.advance(timedelta(minutes=1))
    assert ["failed"] * 3 == [row.state for row in dispatch.rows()]
    assert [] == [line for line in logs if line["log_level"] not in {"debug", "info"}]
