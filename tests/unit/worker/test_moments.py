"""Instants as people read and write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
import typer
from hypothesis import given
from hypothesis import strategies as st

from worker.cli.moments import brief, future, moment, past, relative, span

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86_400, "1d"),
        (9e6, "104d"),
    ],
)
def test_a_span_is_written_in_its_largest_unit(seconds: float, text: str) -> None:
    """A span is a whole number of seconds, minutes, hours or days, never rounded up."""
    assert text == span(seconds)


@pytest.mark.parametrize(
    ("step", "text"), [(-300, "5m ago"), (300, "in 5m"), (0.5, "now"), (-0.5, "now")]
)
def test_past_and_future_read_differently(step: float, text: str) -> None:
    """What was is ago, what will be is in, and within a second it is now."""
    assert text == relative(NOW + timedelta(seconds=step), NOW)


def test_a_moment_is_utc_with_its_distance() -> None:
    """The instant stands in UTC, whatever its zone, and how long ago beside it."""
    at = datetime.fromisoformat("2026-03-02T14:55:00+05:30")
    assert "2026-03-02 09:25:00Z (5m ago)" == moment(at, NOW).plain


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (timedelta(minutes=-5), "09:25Z (5m)"),
        (timedelta(days=-3), "2026-02-27 (3d)"),
        (timedelta(days=3), "2026-03-05 (in 3d)"),
    ],
)
def test_a_narrow_column_has_the_time_of_today_or_the_day(step: timedelta, text: str) -> None:
    """Within a day the clock time matters, beyond it the date."""
    with time_machine.travel(NOW, tick=False):
        shown = brief(NOW + step)
    assert shown is not None
    assert text == shown.plain


def test_nothing_is_shown_for_what_never_happened() -> None:
    """An absent instant stays absent."""
    assert brief(None) is None


@pytest.mark.parametrize(
    "text", ["2026-03-02T09:30:00Z", "2026-03-02T15:00:00+05:30", "2026-03-02 09:30"]
)
def test_an_instant_is_read_in_utc_where_it_names_no_zone(text: str) -> None:
    """The same instant is read from three ways to write it."""
    assert (NOW, NOW) == (past(text), future(text))


def test_a_span_counts_back_or_ahead() -> None:
    """``2h`` is two hours ago where the past is asked for, and ahead where the future is."""
    with time_machine.travel(NOW, tick=False):
        assert NOW - timedelta(hours=2) == past("2h")
        assert NOW + timedelta(hours=2) == future("2h")


@pytest.mark.parametrize("text", ["", "yesterday", "2h ago", "2026-13-01", "-5m"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    """Text that is neither an instant nor a span is refused with an example."""
    with pytest.raises(typer.BadParameter, match="such as"):
        past(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1)))  # noqa: DTZ001  # made aware below
def test_every_written_instant_is_read_back(naive: datetime) -> None:
    """Reading the ISO 8601 form of an instant gives that instant."""
    at = naive.replace(tzinfo=UTC)
    assert at == past(at.isoformat())
