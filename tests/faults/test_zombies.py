"""F04 and F05: a process that stands still past its lease, and a delivery that kills its worker."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import select

from dispatcher.poison import CRASHES_MAX
from dispatcher.tables import attempts, deliveries
from tests.faults import oracle
from tests.faults.fleet import fleet
from tests.faults.plugin import Reached
from tests.faults.stage import Listener, Stage, eventually, production, within
from tests.receivers import Callback, receiving

STANDSTILL_SECONDS = 60
LONGEST_SECONDS = 300.0


@pytest.mark.fault("F04")
@pytest.mark.timeout(0)
def test_a_zombie_is_refused(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """What a worker learns after its lease ran out is recorded, and decides nothing.

    In the long form the first standstill lasts 60 s of real time; in the others the lease is moved.
    """
    zombies, met = reached.times(1, 50), 0
    with (
        production(postgresql_url, redis_url, tmp_path, delivery_deadline_seconds=5) as application,
        receiving(Listener()) as listener,
        fleet(application, tmp_path) as processes,
    ):
        assert isinstance(listener, Listener)
        stage = Stage(application, listener)
        zombie, processes_alive = processes.serving("worker"), processes.serving("scheduler")
        for number in within(LONGEST_SECONDS, range(zombies)):
            met = number + 1
            listener.gate = threading.Event()
            tenant_id, _ = stage.endpoint()
            [event_id] = stage.publish(tenant_id)
            eventually(lambda: listener.everything()[-1:] != [] and _last(listener) == event_id)  # noqa: B023  # called at once
            zombie.stand_still()
            listener.gate.set()
            if reached.full and number == 0:
                time.sleep(STANDSTILL_SECONDS)
            else:
                stage.let_leases_run_out()
            other = processes.serving("worker")
            eventually(stage.settled)
            zombie.signal(signal.SIGCONT)
            eventually(lambda: len(made(stage, event_id)) == 2, what="the late attempt")  # noqa: B023  # called at once
            assert [False, True] == sorted(made(stage, event_id))
            assert stage.settled()
            zombie.kill()
            zombie = other
        assert processes_alive.alive
        heard = listener.everything()
        assert [] == oracle.broken(stage.database, heard, repeats_max=met)
        assert {(each.endpoint_id, each.event_id) for each in heard} == stage.succeeded()
    reached.says("F04", f"{met} standstills: each late result refused, one final state each")


def _last(listener: Listener) -> str:
    return listener.everything()[-1].event_id


def made(stage: Stage, event_id: str) -> list[bool]:
    """Return the attempts at an event: whether each decided anything."""
    mine = select(attempts.c.decided).join(deliveries, deliveries.c.id == attempts.c.delivery_id)
    with stage.database.read() as connection:
        return list(connection.execute(mine.where(deliveries.c.event_id == event_id)).scalars())


class Deadly(Listener):
    """A listener of which one path kills whoever calls it, as a system without memory would."""

    deadly: str = ""
    pid: int = 0
    kills: int = 0

    def take(self, callback: Callback) -> int:
        """Kill, or answer."""
        if callback.path == self.deadly and b'"number":1' in callback.body:
            self.kills += 1
            os.kill(self.pid, signal.SIGKILL)
        return super().take(callback)


@pytest.mark.fault("F05")
@pytest.mark.timeout(0)
def test_what_kills_its_process_is_parked(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """A delivery whose answer has the process killed is parked alone; all others arrive."""
    rounds, kills = 0, 0
    with (
        production(postgresql_url, redis_url, tmp_path) as application,
        receiving(Deadly()) as listener,
        fleet(application, tmp_path) as processes,
    ):
        assert isinstance(listener, Deadly)
        stage = Stage(application, listener)
        for _ in within(LONGEST_SECONDS, range(reached.times(1, 20))):
            rounds += 1
            before = listener.kills
            tenant_id, endpoint_id = stage.endpoint()
            listener.deadly = next(p for p, e in listener.endpoint_of.items() if e == endpoint_id)
            stage.publish(tenant_id, 3)
            stage.publish(stage.endpoint()[0], 3)
            while not stage.settled():
                stage.let_leases_run_out()
                process = processes.serving("serve")
                listener.pid = process.pid
                eventually(lambda process=process: stage.settled() or not process.alive)  # type: ignore[misc]  # a lambda's default has no type
            process.kill()
            kills = max(kills, listener.kills - before)
            with stage.database.read() as connection:
                parked = deliveries.c.endpoint_id == endpoint_id, deliveries.c.state == "failed"
                rows = connection.execute(select(deliveries).where(*parked)).all()
            assert ["poison"] == [row.last_error for row in rows]
        heard = listener.everything()
        assert [] == oracle.broken(stage.database, heard, repeats_max=len(heard))
    # Three leases run out; the fourth death happens with the delivery named, and parks it.
    assert kills <= CRASHES_MAX + 1
    reached.says(
        "F05",
        f"{rounds} deliveries that had their process killed by SIGKILL at each call: parked after"
        f" {kills} deaths each, others flow",
    )
