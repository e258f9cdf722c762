"""Ladders: presets, what may be asked for, and what is refused."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.ladders import DEFAULT, PRESETS, STANDARD, ladder_of, read_ladder

DAYS = st.lists(st.integers(0, 365), unique=True, max_size=5)


def codes(document: dict[str, Any]) -> str:
    """Return the codes of a ladder's steps."""
    return " ".join(step.code for step in read_ladder(document).steps)


def test_the_default_is_one_that_approaches_and_one_past() -> None:
    """The literal reading of document 001; nothing kept with a remittance means the default."""
    assert "T-3 T+0" == codes({"preset": "default"})
    assert DEFAULT == ladder_of(None)


def test_the_standard_preset() -> None:
    """Three announcements, four reminders."""
    assert "T-3 T-1 T0 T+1 T+7 T+14 T+30" == codes({"preset": "standard"})


def test_a_preset_takes_a_cutoff_grace_and_catch_up() -> None:
    """The steps are the preset's, the rest is as asked."""
    ladder = read_ladder(
        {"preset": "standard", "cutoff": "17:30", "grace_hours": 48, "catch_up": "all"}
    )
    assert (STANDARD.steps, time(17, 30), 48, "all") == (
        ladder.steps,
        ladder.cutoff,
        ladder.grace_hours,
        ladder.catch_up,
    )


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "due_days_before"),
        ({"due_days_before": [], "overdue_days_after": []}, "due_days_before"),
        ({"due_days_before": list(range(6)), "overdue_days_after": list(range(1, 6))}, "due_days"),
        ({"preset": "daily"}, "preset"),
        ({"preset": "standard", "due_days_before": [1]}, "preset"),
        ({"due_days_before": [3, 3]}, "due_days_before"),
        ({"due_days_before": [-1]}, "due_days_before"),
        ({"due_days_before": [366]}, "due_days_before"),
        ({"due_days_before": [1.5]}, "due_days_before"),
        ({"due_days_before": "3"}, "due_days_before"),
        ({"overdue_days_after": [True]}, "overdue_days_after"),
        ({"due_days_before": [0], "overdue_days_after": [0]}, "overdue_days_after"),
        ({"preset": "standard", "cutoff": "25:00"}, "cutoff"),
        ({"preset": "standard", "cutoff": "17:00:30"}, "cutoff"),
        ({"preset": "standard", "cutoff": "17:00+01:00"}, "cutoff"),
        ({"preset": "standard", "cutoff": 17}, "cutoff"),
        ({"preset": "standard", "grace_hours": -1}, "grace_hours"),
        ({"preset": "standard", "grace_hours": 721}, "grace_hours"),
        ({"preset": "standard", "catch_up": "some"}, "catch_up"),
        ({"preset": "standard", "weekdays": True}, "weekdays"),
        ([3], "ladder"),
    ],
)
def test_what_cannot_be_a_ladder_is_refused(document: object, field: str) -> None:
    """Every refusal names the field."""
    with pytest.raises(InvalidInput) as refusal:
        read_ladder(document)
    assert refusal.value.details["field"].startswith(field)


def test_grace_makes_room_for_a_step_on_the_due_moment() -> None:
    """T0 and T+0 stand apart by the grace."""
    assert "T0 T+0" == codes({"due_days_before": [0], "overdue_days_after": [0], "grace_hours": 1})


@given(
    before=DAYS,
    after=DAYS.filter(bool),
    cutoff=st.none() | st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    grace_hours=st.integers(1, 720),
    catch_up=st.sampled_from(["newest", "all"]),
)
def test_a_ladder_is_kept_as_it_was_read(
    before: list[int], after: list[int], cutoff: time | None, grace_hours: int, catch_up: str
) -> None:
    """Written down and read again it is the same, with one code for each step."""
    document = {
        "due_days_before": before,
        "overdue_days_after": after,
        "cutoff": None if cutoff is None else cutoff.isoformat("minutes"),
        "grace_hours": grace_hours,
        "catch_up": catch_up,
    }
    ladder = read_ladder(document)
    assert ladder == read_ladder(ladder.as_document())
    assert len(ladder.steps) == len({step.code for step in ladder.steps})


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_can_be_kept(name: str) -> None:
    """A preset passes its own validation."""
    assert PRESETS[name] == read_ladder(PRESETS[name].as_document())
