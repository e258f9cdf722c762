"""What becomes of a delivery after an attempt. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from dispatcher.outcome import Outcome, Verdict
from dispatcher.retry import RetryPolicy
from dispatcher.states import DeliveryState


class Settlement(NamedTuple):
    """One attempt and what it led to: a row for ``attempts`` and a change of one delivery.

    ``lease_token`` and ``number`` are the fence: the delivery changes only while the lease stands
    and no other attempt was counted in between.
    """

    delivery_id: str
    endpoint_id: str
    lease_token: int
    number: int
    trigger: str
    started_at: datetime
    duration_ms: int
    outcome: Outcome
    state: DeliveryState
    next_attempt_at: datetime | None
    settled_at: datetime | None


def decide(
    outcome: Outcome, *, made: int, policy: RetryPolicy, now: datetime, spread: float
) -> tuple[DeliveryState, datetime | None]:
    """Return the delivery's next state and, while it stays open, when it is due again.

    ``made`` counts the attempts of the running schedule, this one included.
    """
    if outcome.verdict is Verdict.SUCCEEDED:
        return DeliveryState.SUCCEEDED, None
    if outcome.verdict is Verdict.PERMANENT:
        return DeliveryState.FAILED, None
    next_attempt_at = policy.next_attempt_at(made, now, spread)
    state = DeliveryState.FAILED if next_attempt_at is None else DeliveryState.RETRYING
    return state, next_attempt_at
