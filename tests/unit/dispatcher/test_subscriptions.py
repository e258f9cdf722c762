"""Patterns of event types: what they cover, and that one covering nothing is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.subscriptions import PATTERNS_MAX, expand, matches
from engine.catalogue import CATALOGUE, TYPE_PATTERN
from engine.errors import InvalidInput

KNOWN = sorted(CATALOGUE)
TYPES = st.sampled_from(KNOWN)
PATTERNS = TYPES | st.just("*") | TYPES.map(lambda name: name.rpartition(".")[0] + ".*")
NAMES = st.from_regex(TYPE_PATTERN, fullmatch=True)


@pytest.mark.parametrize(
    ("pattern", "event_type", "covered"),
    [
        ("*", "chain_order.created", True),
        ("chain_order.*", "chain_order.created", True),
        ("chain_order.*", "chain_order.line.moved", True),
        ("chain_order.*", "chain_orders.created", False),
        ("chain_order.*", "chain_order", False),
        ("chain_order.created", "chain_order.created", True),
        ("chain_order.created", "chain_order.created_twice", False),
        ("chain_order", "chain_order.created", False),
        ("chain_order.c*", "chain_order.created", False),
        (".*", "chain_order.created", False),
        ("**", "chain_order.created", False),
        ("", "chain_order.created", False),
    ],
)
def test_a_pattern_covers_what_it_says(pattern: str, event_type: str, covered: bool) -> None:  # noqa: FBT001  # the expectation of the table
    """Everything, a family by its first words and a dot, or one exact name."""
    assert covered == matches(pattern, event_type)


@given(NAMES)
def test_every_type_is_covered_by_its_name_its_family_and_everything(name: str) -> None:
    """Whatever is registered later is heard by the patterns that mean it, and by no neighbour."""
    family = name.rpartition(".")[0]
    assert all(matches(pattern, name) for pattern in ("*", f"{family}.*", name))
    assert not matches(f"{family}x.*", name)


@given(st.lists(PATTERNS, min_size=1, max_size=PATTERNS_MAX))
def test_expansion_is_the_union_of_what_each_covers(patterns: list[str]) -> None:
    """An endpoint hears a type once, if and only if one of its patterns covers it."""
    expected = {known for known in KNOWN if any(matches(each, known) for each in patterns)}
    found = expand(patterns, KNOWN)
    assert sorted(expected) == found
    assert found


@given(st.lists(PATTERNS, max_size=5), NAMES.filter(lambda name: name not in CATALOGUE))
def test_a_pattern_that_covers_nothing_is_refused(patterns: list[str], unknown: str) -> None:
    """One wrong pattern among good ones is named with its field; the rest does not hide it."""
    with pytest.raises(InvalidInput) as refusal:
        expand([*patterns, unknown], KNOWN)
    assert {"field": "events", "value": unknown} == refusal.value.details
    assert "tillbell events types" in refusal.value.message


@pytest.mark.parametrize("count", [0, PATTERNS_MAX + 1])
def test_too_few_and_too_many_patterns_are_refused(count: int) -> None:
    """An endpoint hears something, by at most 100 patterns."""
    with pytest.raises(InvalidInput) as refusal:
        expand(["*"] * count, KNOWN)
    assert {"field": "events"} == refusal.value.details
