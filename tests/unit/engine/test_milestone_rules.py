"""What outcome a milestone deserves: of what was missed only what still matters is told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from engine.due_dates import firings
from engine.ladders import STANDARD, read_ladder
from engine.milestone_rules import is_late, judge

DUE_ON = date(2026, 3, 9)
DUE_AT = datetime(2026, 3, 10, tzinfo=UTC)
EVERYTHING = {**STANDARD.as_document(), "catch_up": "all"}


def remittance(**changes: Any) -> dict[str, Any]:
    """Return a pending remittance due at the end of 9 March, with the standard ladder."""
    return {
        "status": "pending",
        "schedule_version": 1,
        "due_at": DUE_AT,
        "ladder": STANDARD.as_document(),
        **changes,
    }


def rows(ladder: object = None, *, made_days: float = -8) -> list[dict[str, Any]]:
    """Return the payer's milestones of a ladder, made so many days before (-) or after due."""
    return [
        {
            "subject_id": "x",
            "schedule_version": 1,
            "recipient_tenant_id": "payer",
            "code": each.code,
            "event": each.event,
            "fire_at": each.fire_at,
            "created_at": DUE_AT + timedelta(days=made_days),
        }
        for each in firings(DUE_ON, "UTC", STANDARD if ladder is None else read_ladder(ladder))
    ]


def outcomes(
    as_of: datetime, series: list[dict[str, Any]] | None = None, **changes: Any
) -> dict[str, str]:
    """Return what every milestone deserves at one instant, none having been looked at before."""
    series = rows() if series is None else series
    return {row["code"]: judge(row, series, remittance(**changes), as_of) for row in series}


def those(outcome: str, found: dict[str, str]) -> str:
    """Return the codes of the milestones that deserve an outcome."""
    return " ".join(code for code, each in found.items() if each == outcome)


@pytest.mark.parametrize(
    ("days", "emitted", "superseded"),
    [
        (-4, "", ""),
        (-3, "T-3", ""),
        (-1, "T-1", "T-3"),
        (0, "T0", "T-3 T-1"),
        (0.99, "T0", "T-3 T-1"),
        (1, "T+1", "T-3 T-1 T0"),
        (10, "T+7", "T-3 T-1 T0 T+1"),
        (60, "T+30", "T-3 T-1 T0 T+1 T+7 T+14"),
    ],
)
def test_after_downtime_only_the_newest_of_each_kind(
    days: float, emitted: str, superseded: str
) -> None:
    """Past the due moment nothing announces it; of several reminders the newest speaks."""
    found = outcomes(DUE_AT + timedelta(days=days))
    assert (emitted, superseded) == (those("emitted", found), those("superseded", found))


@pytest.mark.parametrize(("days", "emitted"), [(-3, "T-3"), (0.5, ""), (9, "")])
def test_an_announcement_ends_with_the_due_moment(days: float, emitted: str) -> None:
    """Without a step on the due moment, nothing is announced once that is past."""
    ladder = {"due_days_before": [3], "overdue_days_after": [10]}
    found = outcomes(DUE_AT + timedelta(days=days), rows(ladder), ladder=ladder)
    assert emitted == those("emitted", found)


def test_the_due_moment_is_told_for_a_day_at_most() -> None:
    """With nothing overdue for a month, "due now" is stale a day later."""
    ladder = {"due_days_before": [0], "overdue_days_after": [30]}
    series = rows(ladder)
    almost = DUE_AT + timedelta(days=1, seconds=-1)
    assert "T0" == those("emitted", outcomes(almost, series, ladder=ladder))
    assert "T0" == those("superseded", outcomes(DUE_AT + timedelta(days=1), series, ladder=ladder))


@pytest.mark.parametrize(
    ("made_days", "looked_days", "emitted"),
    [
        (-2, -2, "T-3"),  # terms shorter than the reminder: it is told at once
        (-0.5, -0.5, "T-1"),
        (0.5, 0.5, "T0"),
        (2, 2, "T+1"),  # made after the due date: only overdue
        (40, 40, "T+30"),
    ],
)
def test_made_inside_its_own_window_the_newest_step_is_told_at_once(
    made_days: float, looked_days: float, emitted: str
) -> None:
    """What lies before its making is told as far as it still matters, and is not late."""
    series = rows(made_days=made_days)
    as_of = DUE_AT + timedelta(days=looked_days)
    for ladder in (STANDARD.as_document(), EVERYTHING):
        assert emitted == those("emitted", outcomes(as_of, series, ladder=ladder))
    [told] = [row for row in series if row["code"] == emitted]
    assert not is_late(told, series, remittance(), as_of)


def test_catching_up_with_everything_tells_every_step_as_late() -> None:
    """Ten days unseen, all five steps that came due are told; those overtaken say late."""
    series, as_of = rows(), DUE_AT + timedelta(days=7, minutes=1)
    found = outcomes(as_of, series, ladder=EVERYTHING)
    assert "T-3 T-1 T0 T+1 T+7" == those("emitted", found)
    late = [is_late(row, series, remittance(ladder=EVERYTHING), as_of) for row in series[:5]]
    assert [True, True, True, True, False] == late


def test_catching_up_with_everything_leaves_out_what_was_before_its_time() -> None:
    """Made after the due date, seen a week later: of the steps before its making only the newest.

    T+7 and T+14 came due while it existed.
    """
    series = rows(made_days=2)
    found = outcomes(DUE_AT + timedelta(days=15), series, ladder=EVERYTHING)
    assert "T+1 T+7 T+14" == those("emitted", found)
    assert "T-3 T-1 T0" == those("superseded", found)


@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_nothing_is_said_of_what_is_no_longer_owed(status: str) -> None:
    """Paid or cancelled first, every milestone is cancelled."""
    assert {"cancelled"} == set(outcomes(DUE_AT + timedelta(days=60), status=status).values())


def test_an_older_schedule_is_cancelled() -> None:
    """A new due date has its own milestones."""
    assert {"cancelled"} == set(outcomes(DUE_AT, schedule_version=2).values())


def test_a_milestone_fires_at_its_instant_and_not_before() -> None:
    """One microsecond before, it is pending."""
    first = rows()[0]
    early = first["fire_at"] - timedelta(microseconds=1)
    assert "pending" == judge(first, rows(), remittance(), early)
    assert "emitted" == judge(first, rows(), remittance(), first["fire_at"])


def test_an_hour_is_not_late() -> None:
    """Told within an hour of its instant it is in time, a moment later it says late."""
    first, series = rows()[0], rows()
    hour = first["fire_at"] + timedelta(hours=1)
    assert not is_late(first, series, remittance(), hour)
    assert is_late(first, series, remittance(), hour + timedelta(microseconds=1))
