"""The periods of document 001's summaries: the week, month, quarter or year that is running.

Pure. A period begins with a day of the tenant's own zone, as its due dates do.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.due_dates import first_instant
from engine.inputs import check_choice

PERIODS = ("week", "month", "quarter", "year")


def period_start(period: str, now: datetime, timezone: str) -> datetime:
    """Return the instant (UTC) the running period began, or raise InvalidInput naming the four."""
    check_choice(period, PERIODS, field="period")
    day = _first_day(period, now.astimezone(ZoneInfo(timezone)).date())
    return start_of_day(day, timezone)


def start_of_day(day: date, timezone: str) -> datetime:
    """Return the instant (UTC) at which ``day`` begins in the zone."""
    return first_instant(datetime.combine(day, time()), timezone)


def _first_day(period: str, day: date) -> date:
    if period == "week":
        return day - timedelta(days=day.weekday())
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[period]
    return day.replace(month=month, day=1)
