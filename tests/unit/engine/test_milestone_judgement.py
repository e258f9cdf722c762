"""What outcome a milestone deserves: the catch-up rule of domain.md 1.3."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from engine.due_dates import STANDARD_LADDER, ladder
from engine.milestones import judge

DUE_ON = date(2026, 3, 9)
DUE_AT = datetime(2026, 3, 10, tzinfo=UTC)


def remittance(**changes: Any) -> dict[str, Any]:
    """Return a pending remittance due at the end of 9 March."""
    return {"status": "pending", "schedule_version": 1, "due_at": DUE_AT, **changes}


def rows() -> list[dict[str, Any]]:
    """Return the payer's milestones of the standard ladder."""
    return [
        {
            "subject_id": "x",
            "schedule_version": 1,
            "recipient_tenant_id": "payer",
            "code": each.code,
            "event": each.event,
            "fire_at": each.fire_at,
        }
        for each in ladder(DUE_ON, "UTC", STANDARD_LADDER)
    ]


def outcomes(as_of: datetime, **changes: Any) -> dict[str, str]:
    """Return what every milestone deserves at one instant, none having been looked at before."""
    return {row["code"]: judge(row, rows(), remittance(**changes), as_of) for row in rows()}


@pytest.mark.parametrize(
    ("days", "emitted", "superseded"),
    [
        (-4, [], []),
        (-3, ["T-3"], []),
        (-1, ["T-1"], ["T-3"]),
        (0, [], ["T-3", "T-1"]),
        (1, ["T+1"], ["T-3", "T-1"]),
        (10, ["T+7"], ["T-3", "T-1", "T+1"]),
        (60, ["T+30"], ["T-3", "T-1", "T+1", "T+7", "T+14"]),
    ],
)
def test_after_downtime_only_the_newest_of_each_kind(
    days: int, emitted: list[str], superseded: list[str]
) -> None:
    """Past the due date nothing announces its approach; of several reminders the newest speaks."""
    found = outcomes(DUE_AT + timedelta(days=days))
    assert emitted == [code for code, outcome in found.items() if outcome == "emitted"]
    assert superseded == [code for code, outcome in found.items() if outcome == "superseded"]


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
