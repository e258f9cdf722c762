"""How fast a replay goes: no second holds more than its rate, and it is not much slower."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.replay_jobs import RATE_MAX, RATE_MIN
from dispatcher.replay_steps import DELIVERIES_PER_STEP, pace

SECOND = timedelta(seconds=1)


@given(rate=st.floats(RATE_MIN, RATE_MAX, allow_nan=False))
def test_no_second_holds_more_than_the_rate(rate: float) -> None:
    """However the second is cut, the steps that begin in it arm at most the rate together."""
    quota, wait = pace(rate)
    steps_in_a_second = -(-SECOND // wait)
    assert 1 <= quota <= DELIVERIES_PER_STEP
    assert quota * steps_in_a_second <= max(rate, 1)
    assert wait >= timedelta(seconds=1 / rate) * quota or steps_in_a_second * quota <= rate


@given(rate=st.floats(RATE_MIN, RATE_MAX, allow_nan=False))
def test_the_rate_is_used_but_for_a_fraction(rate: float) -> None:
    """A rate of 50 a second arms 50, and one below 1 arms one delivery each 1/rate seconds."""
    quota, wait = pace(rate)
    reached = quota / wait.total_seconds()
    assert reached >= rate * 0.5
    assert reached <= rate * 1.000001


def test_without_a_rate_a_step_follows_the_other() -> None:
    """A thousand deliveries a transaction, and no wait."""
    assert (DELIVERIES_PER_STEP, timedelta()) == pace(None)


def test_fifty_a_second_is_a_step_of_fifty_each_second() -> None:
    """A moderate rate is one step a second."""
    assert (50, SECOND) == pace(50)
