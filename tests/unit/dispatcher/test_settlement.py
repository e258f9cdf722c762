"""What becomes of a delivery: every verdict, and a state that agrees with its next instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.outcome import Outcome, Verdict
from dispatcher.retry import RetryPolicy
from dispatcher.settlement import decide
from dispatcher.states import OPEN_STATES, SETTLED_STATES, DeliveryState

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
POLICY = RetryPolicy((0, 5, 30), jitter=0)


@pytest.mark.parametrize(
    ("verdict", "made", "state", "wait_seconds"),
    [
        (Verdict.SUCCEEDED, 1, DeliveryState.SUCCEEDED, None),
        (Verdict.SUCCEEDED, 3, DeliveryState.SUCCEEDED, None),
        (Verdict.PERMANENT, 1, DeliveryState.FAILED, None),
        (Verdict.RETRYABLE, 1, DeliveryState.RETRYING, 5),
        (Verdict.RETRYABLE, 2, DeliveryState.RETRYING, 30),
        (Verdict.RETRYABLE, 3, DeliveryState.FAILED, None),
        (Verdict.RETRYABLE, 9, DeliveryState.FAILED, None),
    ],
)
def test_each_verdict_leads_where_the_schedule_says(
    verdict: Verdict, made: int, state: DeliveryState, wait_seconds: int | None
) -> None:
    """Success and permanent failure end it; anything else waits until the schedule is used up."""
    at = None if wait_seconds is None else NOW + timedelta(seconds=wait_seconds)
    outcome = Outcome(verdict, 500, None)
    assert (state, at) == decide(outcome, made=made, policy=POLICY, now=NOW, spread=0.5)


@given(
    st.sampled_from(Verdict),
    st.integers(1, 60),
    st.lists(st.integers(0, 604_800), min_size=1, max_size=50),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delivery_is_closed_when_nothing_is_scheduled(
    verdict: Verdict, made: int, schedule: list[int], spread: float
) -> None:
    """Over all outcomes: closed if and only if there is no next attempt, never in the past."""
    state, at = decide(
        Outcome(verdict, None, "x"), made=made, policy=RetryPolicy(schedule), now=NOW, spread=spread
    )
    assert (state in SETTLED_STATES) == (at is None)
    assert (state in OPEN_STATES) == (at is not None)
    assert at is None or at >= NOW
