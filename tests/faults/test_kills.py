"""F02 and F03: processes killed and stopped at any moment while callbacks are in the air."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults import figures, oracle
from tests.faults.fleet import Fleet, Living, fleet
from tests.faults.plugin import Reached
from tests.faults.stage import Listener, Stage, eventually, production, within
from tests.receivers import receiving

VERBS = ("worker", "worker", "scheduler")
IN_FLIGHT = 4
#: Answers that one process may hold unsettled: a group being gathered and one being written.
UNSETTLED_MAX = 500
#: What a process must be given before it is killed, so that it is killed at its work.
PAUSE_SECONDS = (0.05, 1.2)
STOP_SECONDS = 30
LONGEST_SECONDS = 420.0


@contextmanager
def standing(
    postgresql_url: str, redis_url: str, folder: Path, endpoints: int
) -> Iterator[tuple[Stage, Fleet, Sequence[str]]]:
    """Yield an installation with endpoints that take their time, and the tenants that have them."""
    with (
        production(postgresql_url, redis_url, folder) as application,
        receiving(Listener(delay_seconds=0.005)) as listener,
        fleet(application, folder) as processes,
    ):
        assert isinstance(listener, Listener)
        stage = Stage(application, listener)
        made = [stage.endpoint(max_in_flight=IN_FLIGHT)[0] for _ in range(endpoints)]
        yield stage, processes, made


@pytest.mark.fault("F02")
@pytest.mark.timeout(0)
def test_killing_any_process_at_any_time_loses_nothing(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """Workers and schedulers are killed in turn under load; every event arrives, settled once."""
    kills, events = reached.times(3, 200), reached.times(500, 20_000)
    seed = random.randrange(10**6)  # noqa: S311  # said with the result, so it can be repeated
    chance = random.Random(seed)  # noqa: S311  # as above
    endpoints, killed = reached.times(10, 50), 0
    with standing(postgresql_url, redis_url, tmp_path, endpoints) as (stage, processes, tenants):
        living = [processes.serving(verb) for verb in VERBS]
        for number in within(LONGEST_SECONDS, range(kills)):
            killed = number + 1
            for tenant_id in tenants:
                stage.publish(tenant_id, events // kills // endpoints + 1)
            time.sleep(chance.uniform(*PAUSE_SECONDS))
            place = chance.randrange(len(living))
            living[place].kill()
            if not reached.full:
                stage.let_leases_run_out(living[place].pid)
            living[place] = processes.start(VERBS[place])
        ended = eventually(stage.settled, 120, f"everything settled (seed {seed})")
        heard = stage.listener.everything()
        assert [] == oracle.broken(stage.database, heard, repeats_max=killed * UNSETTLED_MAX)
        assert {(each.endpoint_id, each.event_id) for each in heard} == stage.succeeded()
    twice = oracle.repeats(heard)
    reached.says(
        "F02",
        f"{killed} kills, {len(heard) - twice:,} events, {endpoints} endpoints: lost 0, twice"
        f" {twice}, settled {ended:.0f} s after the last",
        seed=seed,
    )


@pytest.mark.fault("F03")
@pytest.mark.timeout(0)
def test_a_stop_under_load_finishes_or_releases(
    postgresql_url: str, redis_url: str, tmp_path: Path, reached: Reached
) -> None:
    """SIGTERM at any moment: a clean end within 30 s, no mailbox held, no callback again."""
    stops, longest = 0, 0.0
    seed = random.randrange(10**6)  # noqa: S311  # said with the result, so it can be repeated
    chance = random.Random(seed)  # noqa: S311  # as above
    with standing(postgresql_url, redis_url, tmp_path, 5) as (stage, processes, tenants):
        for _ in within(LONGEST_SECONDS, range(reached.times(2, 100))):
            stops += 1
            worker = processes.serving("worker")
            for tenant_id in tenants:
                stage.publish(tenant_id, 40)
            before = len(stage.listener.everything())
            eventually(lambda before=before: len(stage.listener.everything()) > before)  # type: ignore[misc]  # a lambda's default has no type
            time.sleep(chance.uniform(0, 0.2))
            longest = max(longest, stopped(worker))
            assert 0 == stage.held()
            arrived = {(each.endpoint_id, each.event_id) for each in stage.listener.everything()}
            assert arrived == stage.succeeded()
        processes.serving("serve")
        eventually(stage.settled, 120, "everything settled")
        heard = stage.listener.everything()
        assert [] == oracle.broken(stage.database, heard, repeats_max=0)
    said = f"{stops} stops, {len(heard):,} callbacks: lost 0, twice 0, longest {longest:.1f} s"
    reached.says("F03", said, seed=seed)


def stopped(worker: Living) -> float:
    """End a process with SIGTERM, require that it ends in order, and return how long it took."""
    began = time.monotonic()
    worker.signal(signal.SIGTERM)
    assert 0 == worker.ended(STOP_SECONDS), worker.said()
    assert "everything_settled=True" in worker.said()
    return time.monotonic() - began


@pytest.mark.fault("F02")
def test_a_process_that_worked_gives_back_what_it_took(
    postgresql_url: str, redis_url: str, tmp_path: Path
) -> None:
    """R1 and I7: memory, files and sockets come back, and no socket leads where none may."""
    with standing(postgresql_url, redis_url, tmp_path, 5) as (stage, processes, tenants):
        everything = processes.serving("serve")
        # Connections of the first load are kept for a while: they are the start.
        before, connected = figures.of(everything.pid), set[tuple[str, int]]()
        for _ in range(2):
            before = figures.of(everything.pid)
            for tenant_id in tenants:
                stage.publish(tenant_id, 30)
            while not stage.settled():
                connected |= figures.remotes(everything.pid)
        policy = stage.application.guard.policy
        assert [] == list(figures.forbidden(connected, policy, ()))
        after = figures.of(everything.pid)
        assert [] == list(figures.grown(before, after)), (before, after)
