"""Scores: who is on time, and how a line of them reads."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.checks import CHECKS
from reconciler.scores import Score, in_words, is_timely
from tests.conftest import START


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_is_timely_within_its_interval_and_a_tick(name: str) -> None:
    """To the second; one that never ended well is not."""
    check = CHECKS[name]
    allowed = timedelta(seconds=check.every_seconds + check.tick_seconds)
    assert is_timely(check, START, START + allowed)
    assert not is_timely(check, START, START + allowed + timedelta(seconds=1))
    assert not is_timely(check, None, START)


def test_a_score_without_anything_found_has_no_percent() -> None:
    """Nothing of nothing is no share."""
    scores: dict[str, Score] = {
        "cleared": {"count": 0, "of": 0, "percent": None},
        "timely": {"count": 1026, "of": 1027, "percent": 99},
    }
    assert "cleared 0 of 0, timely 1,026 of 1,027 (99 %)" == in_words(scores)
