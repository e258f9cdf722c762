"""Due dates and their milestones: date arithmetic in the payer's zone, converted to instants once.

Pure. A day ends where the next one begins; where a clock change skips that moment, the first
instant that exists after it counts, and where it happens twice, the first (domain.md 1.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

TERMS_DAYS = 7
DUE = "remittance.due"
OVERDUE = "remittance.overdue"
STEPS_MAX = 10


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of a ladder: ``event`` is raised at the end of the due date plus ``offset_days``."""

    code: str
    event: str
    offset_days: int


@dataclass(frozen=True, slots=True)
class Firing:
    """One rung with its instant."""

    code: str
    event: str
    fire_at: datetime


#: The literal reading of document 001: one that approaches, one past.
DEFAULT_LADDER = (Step("T-3", DUE, -3), Step("T+0", OVERDUE, 0))
STANDARD_LADDER = (
    Step("T-3", DUE, -3),
    Step("T-1", DUE, -1),
    Step("T+1", OVERDUE, 1),
    Step("T+7", OVERDUE, 7),
    Step("T+14", OVERDUE, 14),
    Step("T+30", OVERDUE, 30),
)


def due_date(
    delivered_at: datetime, timezone: str, *, hop: int, terms_days: int = TERMS_DAYS
) -> date:
    """Return the local due date: terms from delivery, and one day more per further hop."""
    delivered_on = delivered_at.astimezone(ZoneInfo(timezone)).date()
    return delivered_on + timedelta(days=terms_days + hop - 1)


def end_of_day(day: date, timezone: str) -> datetime:
    """Return the instant (UTC) at which ``day`` is over in the zone."""
    return first_instant(datetime.combine(day + timedelta(days=1), time()), timezone)


def first_instant(local: datetime, timezone: str) -> datetime:
    """Return the first instant (UTC) whose local reading in the zone is ``local`` or later."""
    zone = ZoneInfo(timezone)
    found = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == local:
        return found
    # A gap: the clock jumps over ``local`` somewhere between its two readings.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    while found - before > timedelta(seconds=1):
        middle = before + (found - before) / 2
        skipped = middle.astimezone(zone).replace(tzinfo=None) > local
        before, found = (before, middle) if skipped else (middle, found)
    return found.replace(microsecond=0)


def ladder(due_on: date, timezone: str, steps: Sequence[Step] = DEFAULT_LADDER) -> list[Firing]:
    """Return the milestones of a due date, earliest first."""
    firings = [
        Firing(
            step.code, step.event, end_of_day(due_on + timedelta(days=step.offset_days), timezone)
        )
        for step in steps[:STEPS_MAX]
    ]
    return sorted(firings, key=lambda firing: firing.fire_at)


def days_between(earlier: date, instant: datetime, timezone: str) -> int:
    """Return how many days the local date of ``instant`` lies after ``earlier``."""
    return (instant.astimezone(ZoneInfo(timezone)).date() - earlier).days
