"""Low balance with hysteresis: one crossing, one episode (domain.md 1.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wallet_levels import Figures, level_of, next_level, rearm_level, rearm_of


def test_the_figures_of_document_001() -> None:
    """25,000 with 3,000 set aside and a limit of 10,000: available 22,000, effective 35,000."""
    found = Figures(2500000, 300000, 500000, 1000000)
    expected = (2200000, 3500000, 3200000)
    assert expected == (found.available, found.effective, found.spendable)


@pytest.mark.parametrize(
    ("level", "available", "expected"),
    [
        ("ok", 1000, "ok"),
        ("ok", 999, "low"),
        ("low", 999, "low"),
        ("low", 1000, "low"),
        ("low", 1099, "low"),
        ("low", 1100, "ok"),
        ("ok", 1050, "ok"),
    ],
)
def test_levels_around_a_threshold_of_1000(level: str, available: int, expected: str) -> None:
    """Low below 1000, recovered from 1100, unmoved between."""
    assert expected == next_level(level, available, 1000)


def test_no_threshold_is_never_low() -> None:
    """A wallet without a threshold is ok whatever it holds."""
    assert "ok" == next_level("low", -10, None)


@pytest.mark.parametrize(("threshold", "rearm"), [(0, 1), (1, 2), (15, 17), (1000, 1100)])
def test_rearm_level_is_ten_percent_above_and_at_least_one(threshold: int, rearm: int) -> None:
    """The step is 10 % rounded up, never nothing."""
    assert rearm == rearm_level(threshold)


@pytest.mark.parametrize(
    ("watch", "rearm", "figures", "expected"),
    [
        ("available", None, Figures(1099, 0, 0, 500), "low"),
        ("available", None, Figures(1100, 0, 0, 0), "ok"),
        ("available", 2000, Figures(1999, 0, 0, 500), "low"),
        ("available", 2000, Figures(2100, 100, 0, 0), "ok"),
        ("spendable", 2000, Figures(1600, 100, 0, 500), "ok"),
        ("spendable", None, Figures(599, 0, 9999, 500), "low"),
    ],
)
def test_a_wallet_is_watched_as_its_owner_wants(
    watch: str, rearm: int | None, figures: Figures, expected: str
) -> None:
    """From low at 1000 it recovers at its own level, by the figure chosen."""
    wallet = {
        "low_state": "low",
        "low_threshold_minor": 1000,
        "rearm_level_minor": rearm,
        "low_watch": watch,
    }
    assert expected == level_of(wallet, figures)
    assert (rearm or 1100) == rearm_of(wallet)


@given(st.lists(st.integers(-2000, 4000), max_size=60))
def test_episodes_are_crossings_with_hysteresis(balances: list[int]) -> None:
    """An episode opens only after the balance was at the re-arm level since the last one."""
    level, episodes, armed = "ok", 0, True
    expected = 0
    for available in balances:
        if available < 1000 and armed:
            expected, armed = expected + 1, False
        elif available >= 1100:
            armed = True
        now = next_level(level, available, 1000)
        episodes += now == "low" and level == "ok"
        level = now
    assert expected == episodes
