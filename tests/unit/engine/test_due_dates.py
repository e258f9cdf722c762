"""Due dates in every zone: days end where the next begins, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.due_dates import (
    DEFAULT_LADDER,
    STANDARD_LADDER,
    days_between,
    due_date,
    end_of_day,
    first_instant,
    ladder,
)

ZONES = st.sampled_from(sorted(available_timezones()))
DAYS = st.dates(date(2025, 1, 1), date(2030, 12, 31))


def at(text: str) -> datetime:
    """Return a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_terms_count_from_the_local_day_of_delivery() -> None:
    """Delivered on 2 March 20:00 UTC, in Kolkata the 3rd: due on the 10th, a hop on the 11th."""
    delivered = at("2026-03-02T20:00")
    assert date(2026, 3, 10) == due_date(delivered, "Asia/Kolkata", hop=1)
    assert date(2026, 3, 11) == due_date(delivered, "Asia/Kolkata", hop=2)
    assert date(2026, 3, 9) == due_date(delivered, "UTC", hop=1)


def test_terms_cross_a_leap_day() -> None:
    """Seven calendar days after 24 February 2028 is 2 March."""
    assert date(2028, 3, 2) == due_date(at("2028-02-24T12:00"), "UTC", hop=1)


@pytest.mark.parametrize(
    ("day", "zone", "instant"),
    [
        (date(2026, 3, 9), "UTC", "2026-03-10T00:00"),
        (date(2026, 3, 9), "Asia/Kolkata", "2026-03-09T18:30"),
        # Midnight of the 29th does not exist in Beirut: the day ends at 01:00, which is 22:00 UTC.
        (date(2026, 3, 28), "Asia/Beirut", "2026-03-28T22:00"),
        # Midnight happens twice in Havana on 1 November: the first one counts.
        (date(2026, 10, 31), "America/Havana", "2026-11-01T04:00"),
        # Samoa skipped the whole 30th of December 2011.
        (date(2011, 12, 29), "Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_end_of_day(day: date, zone: str, instant: str) -> None:
    """A day is over at the first instant of the next, gaps and repeated hours included."""
    assert at(instant) == end_of_day(day, zone)


def test_inside_a_gap_the_first_instant_after_it_counts() -> None:
    """02:30 does not exist in Berlin on 29 March 2026; 03:00 does, at 01:00 UTC."""
    assert at("2026-03-29T01:00") == first_instant(datetime(2026, 3, 29, 2, 30), "Europe/Berlin")  # noqa: DTZ001  # a local reading


def test_default_ladder_is_one_that_approaches_and_one_past() -> None:
    """Due on the 9th: T-3 at the end of the 6th, T+0 at the end of the 9th."""
    expected = [
        ("T-3", "remittance.due", at("2026-03-07T00:00")),
        ("T+0", "remittance.overdue", at("2026-03-10T00:00")),
    ]
    found = ladder(date(2026, 3, 9), "UTC", DEFAULT_LADDER)
    assert expected == [(each.code, each.event, each.fire_at) for each in found]


def test_days_between_uses_the_local_date() -> None:
    """At 20:00 UTC it is the next day in Kolkata."""
    assert 1 == days_between(date(2026, 3, 9), at("2026-03-09T20:00"), "Asia/Kolkata")
    assert -3 == days_between(date(2026, 3, 9), at("2026-03-06T00:00"), "UTC")


@given(DAYS, ZONES)
def test_every_zone_fires_in_order_and_on_the_right_day(day: date, zone: str) -> None:
    """No rung is lost, doubled or out of order, and each falls on the first moment of its day."""
    instants = [each.fire_at for each in ladder(day, zone, STANDARD_LADDER)]
    assert len(STANDARD_LADDER) == len(instants)
    assert all(earlier < later for earlier, later in pairwise(instants))
    for step, instant in zip(STANDARD_LADDER, instants, strict=True):
        local = instant.astimezone(ZoneInfo(zone))
        before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
        assert day + timedelta(days=step.offset_days) < local.date()
        assert before.date() <= day + timedelta(days=step.offset_days)
