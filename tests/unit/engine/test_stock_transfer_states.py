"""The table of a stock transfer's states says what document 002 says, and nothing else."""

from __future__ import annotations

import pytest

from engine import stock_transfer_states as states

FINAL = {states.DELIVERED, states.CANCELLED, states.EXPIRED}


def test_every_row_is_reached_once() -> None:
    """Of one state an action leads to one place, and ``find`` finds every row."""
    assert len(states.TRANSITIONS) == len({(row.source, row.action) for row in states.TRANSITIONS})
    for row in states.TRANSITIONS:
        assert row == states.find(row.source, row.action)
        assert row.action in states.allowed(row.source)


def test_every_status_is_reached_and_only_ends_are_final() -> None:
    """From ``requested`` every status can come about; what is final allows nothing."""
    reached = {states.REQUESTED}
    while True:
        more = {row.target for row in states.TRANSITIONS if row.source in reached} - reached
        if not more:
            break
        reached |= more
    assert set(states.STATUSES) == reached
    assert {status for status in states.STATUSES if not states.allowed(status)} == FINAL


def test_nothing_is_allocated_before_it_is_paid() -> None:
    """The only way to ``allocated`` is from ``paid``."""
    assert {states.PAID} == {
        row.source for row in states.TRANSITIONS if row.target == states.ALLOCATED
    }


def test_what_is_paid_is_not_called_off() -> None:
    """Only unpaid purchases are cancelled or expire."""
    closing = {states.CANCELLED, states.EXPIRED}
    assert set(states.UNPAID) == {row.source for row in states.TRANSITIONS if row.target in closing}


@pytest.mark.parametrize(
    ("action", "who"),
    [
        ("pay", states.RESELLER),
        ("confirm_payment", states.OPERATOR),
        ("mark_paid", states.MERCHANT),
        ("allocate", states.MERCHANT),
        ("expire", states.OPERATOR),
        ("deliver", states.EITHER),
    ],
)
def test_who_may_do_what(action: str, who: str) -> None:
    """Each action is one side's, either's, or the operator's."""
    assert {who} == {row.who for row in states.TRANSITIONS if row.action == action}
