"""The schedule of attempts: each wait within its jitter, in order, and an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from config.settings import RETRY_SCHEDULE_SECONDS
from dispatcher.retry import RetryPolicy

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
SCHEDULES = st.lists(st.integers(0, 604_800), min_size=1, max_size=50)
SPREADS = st.floats(0, 1, exclude_max=True)
JITTERS = st.floats(0, 0.5)


@given(SCHEDULES, JITTERS, SPREADS, st.data())
def test_each_wait_stays_within_its_jitter(
    schedule: list[int], jitter: float, spread: float, data: st.DataObject
) -> None:
    """A retry is due within ± jitter of its wait, whatever the dice say (I5)."""
    made = data.draw(st.integers(0, len(schedule) - 1))
    at = RetryPolicy(schedule, jitter).next_attempt_at(made, NOW, spread)
    assert at is not None
    seconds, rounding = schedule[made], timedelta(microseconds=1)
    assert timedelta(seconds=seconds * (1 - jitter)) - rounding <= at - NOW
    assert at - NOW <= timedelta(seconds=seconds * (1 + jitter)) + rounding


@given(SCHEDULES.map(sorted), SPREADS, JITTERS)
def test_waits_grow_with_the_schedule(schedule: list[int], spread: float, jitter: float) -> None:
    """With the same dice a growing schedule never waits less than it did before."""
    policy = RetryPolicy(schedule, jitter)
    found = [policy.next_attempt_at(made, NOW, spread) for made in range(len(schedule))]
    waits = [at for at in found if at is not None]
    assert sorted(waits) == found


@given(SCHEDULES, SPREADS, st.integers(0, 10))
def test_a_used_up_schedule_ends(schedule: list[int], spread: float, beyond: int) -> None:
    """After as many attempts as the schedule has waits there is none more."""
    assert RetryPolicy(schedule).next_attempt_at(len(schedule) + beyond, NOW, spread) is None


def test_dice_in_the_middle_wait_exactly() -> None:
    """A spread of one half is the wait itself; the edges are 20 % to either side."""
    policy = RetryPolicy((0, 100))
    expected = [NOW + timedelta(seconds=seconds) for seconds in (80, 100, 120)]
    assert expected == [policy.next_attempt_at(1, NOW, spread) for spread in (0, 0.5, 1)]
    assert NOW == policy.next_attempt_at(0, NOW, 0.9)


def test_the_default_schedule_lasts_75_hours() -> None:
    """Twelve attempts over 75 hours, the first at once (design §3)."""
    assert (12, 0) == (len(RETRY_SCHEDULE_SECONDS), RETRY_SCHEDULE_SECONDS[0])
    assert list(RETRY_SCHEDULE_SECONDS) == sorted(RETRY_SCHEDULE_SECONDS)
    assert 75 == sum(RETRY_SCHEDULE_SECONDS) // 3600
