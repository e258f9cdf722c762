"""Due dates in every zone: days end where the next begins, whatever the clocks do."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.due_dates import (
    Firing,
    days_past,
    due_date,
    due_fields,
    end_of_day,
    firings,
    first_instant,
)
from engine.ladders import DEFAULT, STANDARD, Ladder, read_ladder
from engine.zones import names, version, zone
from tests.faults.plugin import Reached

ZONES = st.sampled_from(sorted(names()))
DAYS = st.dates(date(2025, 1, 1), date(2030, 12, 31))
CUTOFFS = st.none() | st.times().map(lambda at: at.replace(second=0, microsecond=0))
FIRST = date(2024, 12, 1)


def at(text: str) -> datetime:
    """Return a UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_terms_count_from_the_local_day_of_delivery() -> None:
    """Delivered on 2 March 20:00 UTC, in Kolkata the 3rd: due on the 10th, a hop on the 11th."""
    delivered = at("2026-03-02T20:00")
    assert date(2026, 3, 10) == due_date(delivered, "Asia/Kolkata", hop=1)
    assert date(2026, 3, 11) == due_date(delivered, "Asia/Kolkata", hop=2)
    assert date(2026, 3, 9) == due_date(delivered, "UTC", hop=1)


@pytest.mark.fault("F22")
@pytest.mark.parametrize(
    ("delivered", "terms_days", "due"),
    [
        ("2028-02-24T12:00", 7, date(2028, 3, 2)),  # across a leap day
        ("2027-02-24T12:00", 7, date(2027, 3, 3)),
        ("2028-02-29T12:00", 365, date(2029, 2, 28)),  # a year from a leap day
        ("2028-02-29T12:00", 366, date(2029, 3, 1)),
        ("2026-01-31T12:00", 30, date(2026, 3, 2)),  # days, not months
        ("2026-12-31T12:00", 1, date(2027, 1, 1)),
    ],
)
def test_terms_are_calendar_days(delivered: str, terms_days: int, due: date) -> None:
    """Month ends and leap days need no rule of their own (F22)."""
    assert due == due_date(at(delivered), "UTC", hop=1, terms_days=terms_days)


@pytest.mark.fault("F22")
def test_terms_over_every_month_end_count_the_days_of_the_calendar(reached: Reached) -> None:
    """From the last days of each month of eight years, counted on the calendar day by day (F22)."""
    tried = 0
    for year in range(2024, 2032):
        for month in range(1, 13):
            last = date(year, month, calendar.monthrange(year, month)[1])
            for terms_days in (1, 7, 28, 30):
                day = last
                for _ in range(terms_days):
                    day = _tomorrow(day)
                delivered = datetime.combine(last, time(12), UTC)
                assert day == due_date(delivered, "UTC", hop=1, terms_days=terms_days)
                tried += 1
    assert 384 == tried
    reached.says("F22", f"{tried} terms over month ends of 2024 to 2031, leap days among them")


def _tomorrow(day: date) -> date:
    """Return the next day as a wall calendar has it."""
    if day.day < calendar.monthrange(day.year, day.month)[1]:
        return day.replace(day=day.day + 1)
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


@pytest.mark.parametrize(
    ("day", "zone_name", "instant"),
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
def test_end_of_day(day: date, zone_name: str, instant: str) -> None:
    """A day is over at the first instant of the next, gaps and repeated hours included."""
    assert at(instant) == end_of_day(day, zone_name)


@pytest.mark.parametrize(
    ("day", "cutoff", "instant"),
    [
        (date(2026, 3, 28), time(17), "2026-03-28T16:00"),
        # 02:30 does not exist in Berlin on 29 March 2026; 03:00 does, at 01:00 UTC.
        (date(2026, 3, 29), time(2, 30), "2026-03-29T01:00"),
        (date(2026, 3, 29), time(17), "2026-03-29T15:00"),
        # 02:30 happens twice on 25 October: the first one counts.
        (date(2026, 10, 25), time(2, 30), "2026-10-25T00:30"),
        (date(2026, 3, 29), time(0), "2026-03-28T23:00"),
    ],
)
def test_a_cutoff_is_a_local_time_of_the_due_day(day: date, cutoff: time, instant: str) -> None:
    """In Berlin, through both changes of the clocks."""
    assert at(instant) == end_of_day(day, "Europe/Berlin", cutoff)


def test_inside_a_gap_the_first_instant_after_it_counts() -> None:
    """Lord Howe skips half an hour: 02:10 becomes 02:30, at 15:30 UTC the day before."""
    local = datetime(2026, 10, 4, 2, 10)  # noqa: DTZ001  # a local reading
    assert at("2026-10-03T15:30") == first_instant(local, "Australia/Lord_Howe")


def test_default_ladder_is_one_that_approaches_and_one_past() -> None:
    """Due on the 9th: T-3 at the end of the 6th, T+0 at the end of the 9th."""
    assert [
        Firing("T-3", "remittance.due", at("2026-03-07T00:00")),
        Firing("T+0", "remittance.overdue", at("2026-03-10T00:00")),
    ] == firings(date(2026, 3, 9), "UTC", DEFAULT)


def test_steps_keep_the_local_time_through_a_change_of_the_clocks() -> None:
    """17:00 in Berlin is 16:00 UTC in winter and 15:00 in summer; grace is hours, not days."""
    ladder = read_ladder({"preset": "default", "cutoff": "17:00", "grace_hours": 24})
    found = firings(date(2026, 3, 30), "Europe/Berlin", ladder)
    assert [at("2026-03-27T16:00"), at("2026-03-31T15:00")] == [each.fire_at for each in found]


def test_days_past_use_the_local_date() -> None:
    """At 20:00 UTC it is the next day in Kolkata; with a cutoff the due day itself is day 0."""
    assert 1 == days_past(date(2026, 3, 8), at("2026-03-09T20:00"), "Asia/Kolkata")
    assert -3 == days_past(date(2026, 3, 8), at("2026-03-06T00:00"), "UTC")
    assert 0 == days_past(date(2026, 3, 8), at("2026-03-08T17:00"), "UTC", time(17))


def test_what_is_stored_says_under_which_rules_it_was_resolved() -> None:
    """Date, zone, instant, rules and ladder stand together on the remittance."""
    assert {
        "due_date": date(2026, 3, 9),
        "due_tz": "Asia/Kolkata",
        "due_at": at("2026-03-09T18:30"),
        "due_rules": version(),
        "ladder": DEFAULT.as_document(),
    } == due_fields(date(2026, 3, 9), "Asia/Kolkata")


@given(DAYS, ZONES, CUTOFFS)
def test_every_zone_fires_in_order_and_on_the_right_day(
    day: date, zone_name: str, cutoff: time | None
) -> None:
    """No rung is lost, doubled or out of order, and says how many days it is away."""
    ladder = Ladder(STANDARD.steps, cutoff=cutoff)
    found = firings(day, zone_name, ladder)
    assert [step.code for step in STANDARD.steps] == [each.code for each in found]
    assert all(earlier.fire_at < later.fire_at for earlier, later in pairwise(found))
    for step, firing in zip(STANDARD.steps, found, strict=True):
        assert step.offset_days == days_past(day, firing.fire_at, zone_name, cutoff)


@pytest.mark.fault("F21")
def test_around_every_change_of_the_clocks_of_every_zone_no_step_is_lost_or_doubled(
    reached: Reached,
) -> None:
    """All zones, due dates of 2025 to 2030 whose steps meet a change of the clocks (F21).

    A day's end is the first instant whose local date is later, and ends never go backwards.
    """
    tried = 0
    for name in sorted(names()):
        rules = zone(name)
        for day in _interesting_days(name):
            ends = [end_of_day(day + timedelta(days=days), name) for days in (-1, 0, 1)]
            assert ends[0] < ends[1] < ends[2], (name, day)
            assert ends[1].astimezone(rules).date() > day, (name, day)
            assert (ends[1] - timedelta(microseconds=1)).astimezone(rules).date() <= day
            for step in STANDARD.steps:
                due_on = day - timedelta(days=step.offset_days)
                [found] = firings(due_on, name, Ladder((step,)))
                assert ends[1] == found.fire_at, (name, day, step)
                tried += 1
    assert tried > 40_000
    zones = len(names())
    reached.says("F21", f"{zones} zones, 2025 to 2030, {tried:,} steps at changes of the clocks")


def _interesting_days(name: str) -> Iterator[date]:
    """Yield two days before to one day after each change of a zone's clocks, and each new year."""
    rules = zone(name)
    noons = (datetime.combine(FIRST, time(12), UTC) + timedelta(days=n) for n in range(2281))
    for earlier, later in pairwise(noons):
        changed = earlier.astimezone(rules).utcoffset() != later.astimezone(rules).utcoffset()
        if changed or (later.month, later.day) == (1, 1):
            yield from (later.date() + timedelta(days=days) for days in (-2, -1, 0, 1))
