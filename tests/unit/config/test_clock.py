"""Clocks: aware, in UTC, and the one for tests moves only when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from config.clock import FixedClock, SystemClock

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def test_the_system_clock_is_aware_and_moves_on() -> None:
    """Its instants are UTC and never go back within a moment."""
    clock = SystemClock()
    first = clock.now()
    clock.sync()
    assert UTC == first.tzinfo
    assert first <= clock.now()


def test_a_fixed_clock_stands_still_until_told() -> None:
    """Looking and syncing change nothing; steps and jumps are exact."""
    clock = FixedClock(START)
    clock.sync()
    assert [START, START] == [clock.now(), clock.now()]
    clock.advance(timedelta(minutes=5))
    assert START + timedelta(minutes=5) == clock.now()
    clock.advance(timedelta(minutes=-10))
    assert START - timedelta(minutes=5) == clock.now()


def test_a_fixed_clock_speaks_utc() -> None:
    """An instant of another zone is the same instant, read in UTC."""
    local = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    clock = FixedClock(local)
    assert (START, UTC) == (clock.now(), clock.now().tzinfo)
    clock.set(local + timedelta(days=1))
    assert (START + timedelta(days=1), UTC) == (clock.now(), clock.now().tzinfo)


def test_an_instant_without_a_zone_is_refused() -> None:
    """A naive time would mean another instant on every machine."""
    naive = START.replace(tzinfo=None)
    with pytest.raises(ValueError, match="aware"):
        FixedClock(naive)
    clock = FixedClock(START)
    with pytest.raises(ValueError, match="aware"):
        clock.set(naive)
    assert START == clock.now()
