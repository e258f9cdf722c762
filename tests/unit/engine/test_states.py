"""The transition table of chain orders (domain.md 2.8)."""

from __future__ import annotations

import pytest

from engine import states
from engine.states import find


@pytest.mark.parametrize(
    ("source", "action", "target", "who"),
    [
        ("pending_approval", "approve", "pending_forward", "approver"),
        ("pending_approval", "reject", "cancelled", "approver"),
        ("pending_approval", "cancel", "cancelled", "origin"),
        ("pending_forward", "forward", "forwarded", "holder"),
        ("forwarded", "forward", "forwarded", "holder"),
        ("pending_forward", "accept", "accepted", "holder"),
        ("forwarded", "accept", "accepted", "holder"),
        ("accepted", "process", "processing", "fulfiller"),
        ("processing", "unprocess", "accepted", "fulfiller"),
        ("accepted", "ship", "shipped", "fulfiller"),
        ("processing", "ship", "shipped", "fulfiller"),
        ("shipped", "deliver", "delivered", "fulfiller"),
        ("forwarded", "cancel", "cancelled", "origin"),
        ("processing", "cancel", "cancelled", "fulfiller"),
        ("shipped", "return", "returned", "fulfiller"),
        ("delivered", "return", "returned", "fulfiller"),
    ],
)
def test_allowed_transition(source: str, action: str, target: str, who: str) -> None:
    """Each row of the table leads where the document says, by whom it says."""
    found = find(source, action, digital=False)
    assert found is not None
    assert (target, who) == (found.target, found.who)


@pytest.mark.parametrize("status", ["shipped", "delivered", "cancelled", "returned"])
def test_nothing_is_cancelled_after_it_left(status: str) -> None:
    """After shipping it is a return, not a cancellation."""
    assert find(status, "cancel", digital=False) is None


def test_only_digital_orders_skip_the_parcel() -> None:
    """An order with nothing to ship is delivered from accepted or processing."""
    assert find("accepted", "deliver", digital=False) is None
    found = find("accepted", "deliver", digital=True)
    assert found is not None
    assert "delivered" == found.target


def test_final_states_allow_nothing() -> None:
    """Cancelled and returned orders stay what they are."""
    assert [] == [
        action for status in states.FINAL for action in states.allowed(status, digital=True)
    ]


def test_every_state_is_reached_and_every_action_unambiguous() -> None:
    """No state is out of reach, and no state has two rows for one action."""
    reached = {"pending_approval", *(row.target for row in states.TRANSITIONS)}
    assert set(states.STATUSES) == reached
    keys = [(row.source, row.action) for row in states.TRANSITIONS]
    assert len(keys) == len(set(keys))
