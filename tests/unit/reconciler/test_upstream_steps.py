"""From our state of an order to its upstream's: the missing transitions, or none at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import states
from reconciler.upstream_steps import block, is_hot, next_check_at, steps

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ("pending_forward", "shipped", ["accept", "ship"]),
        ("accepted", "delivered", ["ship", "deliver"]),
        ("accepted", "processing", ["process"]),
        ("processing", "accepted", ["unprocess"]),
        ("forwarded", "cancelled", ["cancel"]),
        ("processing", "cancelled", ["cancel"]),
        ("shipped", "returned", ["return"]),
        ("accepted", "returned", ["ship", "return"]),
        ("shipped", "shipped", []),
        ("pending_forward", "forwarded", []),
        ("pending_approval", "forwarded", []),
        ("pending_approval", "accepted", None),
        ("pending_approval", "cancelled", ["cancel"]),
        ("shipped", "processing", None),
        ("delivered", "shipped", None),
        ("delivered", "cancelled", None),
        ("shipped", "cancelled", None),
        ("cancelled", "delivered", None),
        ("accepted", "pending_forward", None),
    ],
)
def test_the_missing_transitions_are_found(
    ours: str, theirs: str, expected: list[str] | None
) -> None:
    """The shortest way by the table, and none where the upstream is behind or contradicts us."""
    assert expected == steps(ours, theirs, digital=False)


def test_what_has_nothing_to_ship_is_delivered_at_once() -> None:
    """A digital order skips shipping, as the table lets it."""
    assert ["deliver"] == steps("accepted", "delivered", digital=True)


@pytest.mark.parametrize("digital", [False, True])
@given(ours=st.sampled_from(states.STATUSES), theirs=st.sampled_from(states.STATUSES))
def test_every_way_is_one_the_state_machine_allows(
    ours: str, theirs: str, *, digital: bool
) -> None:
    """Each step is a row of the table, and the last one ends where the upstream is."""
    way = steps(ours, theirs, digital=digital)
    status = ours
    for action in way or []:
        row = states.find(status, action, digital=digital)
        assert row is not None
        status = row.target
    if way:
        assert theirs == status


@pytest.mark.parametrize(
    ("status", "still", "wait"),
    [
        ("accepted", timedelta(hours=1), timedelta(minutes=1)),
        ("accepted", timedelta(hours=24), timedelta(minutes=15)),
        ("accepted", timedelta(days=8), timedelta(hours=6)),
        ("delivered", timedelta(days=1), timedelta(hours=6)),
        ("cancelled", timedelta(days=7), None),
    ],
)
def test_an_order_is_looked_at_as_often_as_it_moves(
    status: str, still: timedelta, wait: timedelta | None
) -> None:
    """Hot, warm and cold; a week after its end never again."""
    found = next_check_at(status, NOW - still, NOW)
    assert (None if wait is None else NOW + wait) == found
    assert is_hot(NOW - still, NOW) == (still < timedelta(hours=24))


def test_a_failing_upstream_is_left_alone_for_longer_and_longer() -> None:
    """Five failures in a row open its circuit; the wait doubles up to a quarter of an hour."""
    assert block(4, 0, NOW) is None
    waits = [block(5, openings, NOW) for openings in range(8)]
    seconds = [(each - NOW).total_seconds() for each in waits if each is not None]
    assert [30, 60, 120, 240, 480, 900, 900, 900] == seconds
