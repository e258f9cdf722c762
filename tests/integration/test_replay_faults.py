"""Replay jobs when things go wrong: crashes, failures, many workers, a pause in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from config.clock import FixedClock
from dispatcher import replay_jobs, replay_steps
from engine.unit_of_work import UnitsOfWork
from tests.replaying import Failures, armed, failures_of, look, start

SECOND = timedelta(seconds=1)


@pytest.fixture
def failures(units: UnitsOfWork) -> Failures:
    """Return an endpoint to which deliveries fail."""
    return failures_of(units)


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a step arm four deliveries at most."""
    monkeypatch.setattr(replay_steps, "DELIVERIES_PER_STEP", 4)


class _Died(BaseException):
    """The process ends here."""


def test_a_crash_in_a_step_neither_skips_nor_doubles(
    units: UnitsOfWork,
    clock: FixedClock,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Arming and cursor are one transaction; the dead one's lease runs out and another goes on."""
    failures.add(3)
    replay_id = start(units)

    def die(*_: Any) -> None:
        raise _Died

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "_advance", die)
        with pytest.raises(_Died):
            replay_steps.run_once(units, clock.now())
    assert [] == armed(units.database)
    assert 0 == replay_steps.run_once(units, clock.now())
    clock.advance(replay_steps.LEASE)
    assert 3 == replay_steps.run_once(units, clock.now())
    assert "completed" == look(units.database, replay_id)["state"]


def test_a_step_that_fails_is_written_down_and_tried_again(
    units: UnitsOfWork,
    clock: FixedClock,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The problem is shown, nothing is armed, and a later step mends it."""
    failures.add(3)
    replay_id = start(units)

    def refuse(_: Connection, *__: Any) -> None:
        raise OperationalError("UPDATE", None, Exception("disk\nfull"))

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "feed", refuse)
        assert 0 == replay_steps.run_once(units, clock.now())
    row = look(units.database, replay_id)
    assert ("running", 0) == (row["state"], row["armed"])
    assert "disk full" in row["problem"]
    assert 0 == replay_steps.run_once(units, clock.now())
    clock.advance(replay_steps.PROBLEM_WAIT)
    assert 3 == replay_steps.run_once(units, clock.now())
    row = look(units.database, replay_id)
    assert ("completed", None) == (row["state"], row["problem"])


@pytest.mark.usefixtures("small_steps")
def test_many_workers_step_one_replay_one_at_a_time(
    units: UnitsOfWork, clock: FixedClock, failures: Failures
) -> None:
    """However many step at once, each delivery is armed once and the sum is exact."""
    failures.add(40)
    replay_id = start(units)

    def work(_: int) -> int:
        count = 0
        while look(units.database, replay_id)["state"] == "running":
            count += replay_steps.run_once(units, clock.now())
        return count

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(work, range(4)))
    row = look(units.database, replay_id)
    assert (40, "completed", 40) == (sum(counts), row["state"], row["armed"])


def test_a_pause_during_a_step_undoes_the_step(
    units: UnitsOfWork,
    clock: FixedClock,
    failures: Failures,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A step that began before the pause arms nothing after it; resumed, all is armed once."""
    failures.add(3)
    replay_id = start(units)
    take = replay_steps._lease

    def take_and_pause(*given: Any) -> Any:
        job = take(*given)
        with units.begin(actor="ops") as work:
            replay_jobs.pause(work, replay_id)
        return job

    with monkeypatch.context() as patch:
        patch.setattr(replay_steps, "_lease", take_and_pause)
        assert 0 == replay_steps.run_once(units, clock.now())
    assert [] == armed(units.database)
    with units.begin(actor="ops") as work:
        replay_jobs.resume(work, replay_id)
    assert 3 == replay_steps.run_once(units, clock.now())
