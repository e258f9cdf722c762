"""Periods begin on the calendar of the tenant's zone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.errors import InvalidInput
from engine.periods import period_start

THURSDAY = datetime(2026, 5, 14, 20, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("week", "2026-05-11T00:00:00+00:00"),
        ("month", "2026-05-01T00:00:00+00:00"),
        ("quarter", "2026-04-01T00:00:00+00:00"),
        ("year", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_a_period_begins_on_its_first_day(period: str, expected: str) -> None:
    """Monday, the first of the month, of the quarter, of the year."""
    assert expected == period_start(period, THURSDAY, "UTC").isoformat()


def test_a_day_is_the_tenants_own() -> None:
    """At 20:00 UTC on 30 April it is May in Kolkata already, and May began 5:30 before UTC's."""
    at = datetime(2026, 4, 30, 20, 0, tzinfo=UTC)
    assert "2026-04-30T18:30:00+00:00" == period_start("month", at, "Asia/Kolkata").isoformat()
    assert "2026-04-01T00:00:00+00:00" == period_start("month", at, "UTC").isoformat()


def test_other_periods_are_refused_by_name() -> None:
    """``day`` is none of document 001's four."""
    with pytest.raises(InvalidInput, match="week, month, quarter, year"):
        period_start("day", THURSDAY, "UTC")
