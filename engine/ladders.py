"""Ladders: which steps before and after a due date are told, and how missed ones are caught up.

Pure. A ladder is agreed before a remittance is made and kept with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Any

from engine.errors import InvalidInput
from engine.inputs import check_choice, check_integer, check_keys

DUE = "remittance.due"
OVERDUE = "remittance.overdue"
STEPS_MAX = 10
DAYS_MAX = 365
GRACE_HOURS_MAX = 30 * 24
#: After a downtime: of each kind the newest step that came due, or all of them, marked late.
NEWEST = "newest"
ALL = "all"
FIELDS = ("preset", "due_days_before", "overdue_days_after", "cutoff", "grace_hours", "catch_up")


@dataclass(frozen=True, slots=True)
class Step:
    """One rung: ``event`` is raised ``offset_days`` local days after the due moment."""

    event: str
    offset_days: int

    @property
    def code(self) -> str:
        """``T-3``, ``T0`` (due now), ``T+0`` (overdue at once) or ``T+7``."""
        if self.event == DUE and self.offset_days == 0:
            return "T0"
        return f"T{self.offset_days:+d}"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The steps of a due date, its time of day, the grace before overdue, and the catch-up."""

    steps: tuple[Step, ...]
    cutoff: time | None = None
    grace_hours: int = 0
    catch_up: str = NEWEST

    def as_document(self) -> dict[str, Any]:
        """Return the ladder as ``read_ladder`` takes it."""
        return {
            "due_days_before": [-step.offset_days for step in self.steps if step.event == DUE],
            "overdue_days_after": [step.offset_days for step in self.steps if step.event != DUE],
            "cutoff": None if self.cutoff is None else self.cutoff.isoformat("minutes"),
            "grace_hours": self.grace_hours,
            "catch_up": self.catch_up,
        }


def _steps(
    due_days_before: tuple[int, ...], overdue_days_after: tuple[int, ...]
) -> tuple[Step, ...]:
    before = tuple(Step(DUE, -days) for days in sorted(due_days_before, reverse=True))
    return before + tuple(Step(OVERDUE, days) for days in sorted(overdue_days_after))


#: The literal reading of document 001: one that approaches, one past.
DEFAULT = Ladder(_steps((3,), (0,)))
STANDARD = Ladder(_steps((3, 1, 0), (1, 7, 14, 30)))
PRESETS: Mapping[str, Ladder] = {"default": DEFAULT, "standard": STANDARD}


def read_ladder(given: object) -> Ladder:
    """Return the ladder that a document describes, or raise InvalidInput naming the field.

    ``preset`` gives the steps, or ``due_days_before`` and ``overdue_days_after`` do (1 to 10 in
    all, whole days); ``cutoff`` is a local ``HH:MM``, the end of the day unless told.
    """
    fields = check_keys(given, FIELDS, field="ladder")
    ladder = Ladder(
        _read_steps(fields),
        cutoff=_read_cutoff(fields.get("cutoff")),
        grace_hours=check_integer(
            fields.get("grace_hours", 0), field="grace_hours", minimum=0, maximum=GRACE_HOURS_MAX
        ),
        catch_up=check_choice(fields.get("catch_up", NEWEST), (NEWEST, ALL), field="catch_up"),
    )
    codes = {step.code for step in ladder.steps}
    if {"T0", "T+0"} <= codes and not ladder.grace_hours:
        raise InvalidInput(
            "a step on the due moment is overtaken by an overdue step at the same moment;"
            " give the latter a day, or a grace",
            field="overdue_days_after",
        )
    return ladder


def ladder_of(document: Mapping[str, Any] | None) -> Ladder:
    """Return the ladder that was kept with a remittance; without one, the default."""
    return DEFAULT if document is None else read_ladder(document)


def _read_steps(fields: Mapping[str, Any]) -> tuple[Step, ...]:
    named = [fields.get(name) is not None for name in ("due_days_before", "overdue_days_after")]
    if fields.get("preset") is not None:
        if any(named):
            raise InvalidInput("give a preset or the days, not both", field="preset")
        return PRESETS[check_choice(fields["preset"], tuple(PRESETS), field="preset")].steps
    steps = _steps(
        _read_days(fields.get("due_days_before"), "due_days_before"),
        _read_days(fields.get("overdue_days_after"), "overdue_days_after"),
    )
    if not 1 <= len(steps) <= STEPS_MAX:
        raise InvalidInput(f"a ladder has 1 to {STEPS_MAX} steps", field="due_days_before")
    return steps


def _read_days(given: object, field: str) -> tuple[int, ...]:
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        raise InvalidInput(f"{field} must be a list of whole days", field=field)
    days = tuple(check_integer(day, field=field, minimum=0, maximum=DAYS_MAX) for day in given)
    if len(set(days)) != len(days):
        raise InvalidInput(f"{field} names a day twice", field=field)
    return days


def _read_cutoff(given: object) -> time | None:
    if given is None:
        return None
    try:
        cutoff = time.fromisoformat(given) if isinstance(given, str) else None
    except ValueError:
        cutoff = None
    if cutoff is None or cutoff.tzinfo or cutoff.second or cutoff.microsecond:
        raise InvalidInput("cutoff must be a local time such as 17:00", field="cutoff")
    return cutoff
