"""What becomes of a delivery after an attempt. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from dispatcher.outcome import Outcome, Verdict
from dispatcher.retry import RetryPolicy
from dispatcher.states import DeliveryState

#: Why a delivery ends without an attempt: nobody wants it any more, or its endpoint does not.
EXPIRED, UNSUBSCRIBED = "expired", "unsubscribed"


class Settlement(NamedTuple):
    """One attempt and what it led to: a row for ``attempts`` and a change of one delivery.

    ``lease_token`` and ``number`` are the fence: the delivery changes only while the lease stands
    and no other attempt was counted in between. ``holds_line`` is for ordered mailboxes: whether
    the others wait for this delivery from now on. ``due_at`` is when the attempt could have
    been made at the earliest: for the first one the event's commit.
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
    holds_line: bool | None = None
    due_at: datetime | None = None


class Deferral(NamedTuple):
    """A delivery moved without an attempt: later behind its head, or given up.

    ``next_attempt_at`` None ends it in ``ends_as`` with ``error``; the fence is the lease and
    ``attempts``.
    """

    delivery_id: str
    endpoint_id: str
    lease_token: int
    attempts: int
    next_attempt_at: datetime | None
    error: str | None
    at: datetime
    ends_as: DeliveryState = DeliveryState.FAILED


def decide(
    outcome: Outcome,
    *,
    made: int,
    policy: RetryPolicy,
    now: datetime,
    spread: float,
    give_up_at: datetime | None = None,
) -> tuple[DeliveryState, datetime | None]:
    """Return the delivery's next state and, while it stays open, when it is due again.

    ``made`` counts the attempts of the running schedule, this one included. No attempt comes before
    the receiver's own ``Retry-After``, and none after ``give_up_at``.
    """
    if outcome.verdict is Verdict.SUCCEEDED:
        return DeliveryState.SUCCEEDED, None
    if outcome.verdict is Verdict.PERMANENT:
        return DeliveryState.FAILED, None
    next_attempt_at = policy.next_attempt_at(made, now, spread)
    if next_attempt_at is not None and outcome.pause_until is not None:
        next_attempt_at = max(next_attempt_at, outcome.pause_until)
    if next_attempt_at is None or (give_up_at is not None and next_attempt_at > give_up_at):
        return DeliveryState.FAILED, None
    return DeliveryState.RETRYING, next_attempt_at


def skip_the_line(
    outcome: Outcome,
    state: DeliveryState,
    *,
    created_at: datetime,
    now: datetime,
    patience: timedelta,
) -> tuple[Outcome, DeliveryState]:
    """Give up the head of an order that has held up the others for too long, and mark the gap."""
    if state is not DeliveryState.RETRYING or now - created_at < patience:
        return outcome, state
    return outcome._replace(error=f"skipped_in_order: {outcome.error}"), DeliveryState.FAILED
