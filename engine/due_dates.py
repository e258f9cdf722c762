"""Due dates and their milestones: date arithmetic in the payer's zone, converted to instants once.

Pure. Terms are calendar days, so month ends and leap days need no rule of their own: 29 February
plus 365 days is 28 February. A day ends where the next one begins; where a clock change skips that
moment, the first instant that exists after it counts, and where it happens twice, the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from engine.ladders import DEFAULT, OVERDUE, Ladder
from engine.zones import version, zone

TERMS_DAYS = 7


@dataclass(frozen=True, slots=True)
class Firing:
    """One step of a ladder with its instant."""

    code: str
    event: str
    fire_at: datetime


def due_date(
    delivered_at: datetime, timezone: str, *, hop: int, terms_days: int = TERMS_DAYS
) -> date:
    """Return the local due date: terms from delivery, and one day more per further hop."""
    delivered_on = delivered_at.astimezone(zone(timezone)).date()
    return delivered_on + timedelta(days=terms_days + hop - 1)


def due_fields(due_on: date, timezone: str, ladder: Ladder = DEFAULT) -> dict[str, Any]:
    """Return the columns of a remittance that say when it is due, resolved under today's rules."""
    return {
        "due_date": due_on,
        "due_tz": timezone,
        "due_at": end_of_day(due_on, timezone, ladder.cutoff),
        "due_rules": version(),
        "ladder": ladder.as_document(),
    }


def end_of_day(day: date, timezone: str, cutoff: time | None = None) -> datetime:
    """Return the instant (UTC) at which ``day`` is over in the zone, or its ``cutoff`` comes."""
    over = time() if cutoff is None else cutoff
    ends_on = day + timedelta(days=1) if cutoff is None else day
    return first_instant(datetime.combine(ends_on, over), timezone)


def first_instant(local: datetime, timezone: str) -> datetime:
    """Return the first instant (UTC) whose local reading in the zone is ``local`` or later."""
    rules = zone(timezone)
    found = local.replace(tzinfo=rules, fold=0).astimezone(UTC)
    if found.astimezone(rules).replace(tzinfo=None) == local:
        return found
    # A gap: the clock jumps over ``local`` somewhere between its two readings.
    before = local.replace(tzinfo=rules, fold=1).astimezone(UTC)
    while found - before > timedelta(seconds=1):
        middle = before + (found - before) / 2
        skipped = middle.astimezone(rules).replace(tzinfo=None) > local
        before, found = (before, middle) if skipped else (middle, found)
    return found.replace(microsecond=0)


def firings(due_on: date, timezone: str, ladder: Ladder = DEFAULT) -> list[Firing]:
    """Return the milestones of a due date, earliest first.

    Each is the due moment moved by whole days in the zone; grace puts off what is overdue.
    """
    grace = timedelta(hours=ladder.grace_hours)
    found = [
        Firing(
            step.code,
            step.event,
            end_of_day(due_on + timedelta(days=step.offset_days), timezone, ladder.cutoff)
            + (grace if step.event == OVERDUE else timedelta()),
        )
        for step in ladder.steps
    ]
    return sorted(found, key=lambda firing: firing.fire_at)


def days_past(due_on: date, instant: datetime, timezone: str, cutoff: time | None = None) -> int:
    """Return by how many local days ``instant`` lies past the due moment; negative before it.

    Without a cutoff they count from the day that begins where the due date ends: T-3 says -3, and
    T+7 says 7.
    """
    from_day = due_on + timedelta(days=1) if cutoff is None else due_on
    return (instant.astimezone(zone(timezone)).date() - from_day).days
