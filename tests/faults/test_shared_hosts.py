"""Many endpoints on one host, and many that come back at once: neither is stormed."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from config.clock import FixedClock
from engine.database import Database
from tests.dispatching import dispatching
from tests.faults.load import exactly_once
from tests.faults.plugin import Reached
from tests.processes import until
from tests.receivers import Receiver, receiving

served_by_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@served_by_postgresql
@pytest.mark.fault("F44")
def test_a_host_of_many_endpoints_is_called_by_ten_at_most(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Endpoints of many tenants share one host and its cap of ten; all are served."""
    count, gate = reached.times(60, 1000), threading.Event()
    with (
        receiving(Receiver(gate=gate)) as receiver,
        dispatching(database, clock, host_in_flight_max=10) as dispatch,
    ):
        ids = list[str]()
        for number in range(count):
            tenant_id = dispatch.tenant(f"tenant {number}")
            dispatch.endpoint(tenant_id, receiver.url)
            ids += dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: receiver.in_flight == 10)
        gate.set()
        until(lambda: dispatch.drainer.run_once() == 0 and len(receiver.callbacks) >= count)
    exactly_once(receiver, ids)
    assert 10 == receiver.in_flight_max
    reached.says("F44", f"{count} endpoints, at most {receiver.in_flight_max} calls at once")


@served_by_postgresql
@pytest.mark.fault("F45")
def test_a_herd_of_endpoints_that_come_back_is_ramped(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Each begins with one probe and widens by one a success; nothing is lost, none is stormed."""
    count, each, gate = reached.times(15, 100), 24, threading.Event()
    gate.set()
    with (
        receiving(Receiver(statuses=(500,), gate=gate)) as receiver,
        dispatching(database, clock, host_in_flight_max=2000) as dispatch,
    ):
        ids = list[str]()
        for number in range(count):
            tenant_id = dispatch.tenant(f"tenant {number}")
            dispatch.endpoint(tenant_id, receiver.url, retry_schedule=[0, *[60] * 40])
            ids += dispatch.publish(tenant_id, each)
        dispatch.run_once()
        failed = len(receiver.callbacks)
        receiver.statuses, receiver.callbacks[:], receiver.in_flight_max = (200,), [], 0
        gate.clear()
        clock.advance(timedelta(minutes=2))
        dispatch.drainer.take()
        until(lambda: receiver.in_flight >= count)
        probes = receiver.in_flight_max
        gate.set()
        until(lambda: dispatch.drainer.active == 0)
        while {"succeeded"} != {row.state for row in dispatch.rows()}:
            clock.advance(timedelta(minutes=2))
            dispatch.run_once()
    exactly_once(receiver, ids)
    assert count == probes
    reached.says(
        "F45",
        f"{count} endpoints down at once ({failed} calls opened their circuits), {count * each} "
        f"events waiting: {probes} probes, one each, before any second call; lost 0, sent twice 0",
    )
