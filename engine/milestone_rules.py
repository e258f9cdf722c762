"""What outcome a milestone deserves, and whether its telling is late: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from engine.ladders import ALL, DUE, OVERDUE, ladder_of

PENDING = "pending"
EMITTED = "emitted"
SUPERSEDED = "superseded"
CANCELLED = "cancelled"
#: An emission later than this after its instant says so.
LATE_AFTER = timedelta(hours=1)
#: So long after the due moment its own step may still be told, if nothing is overdue before.
DUE_MOMENT_LASTS = timedelta(days=1)

Row = Mapping[str, Any]


def judge(row: Row, siblings: Sequence[Row], remittance: Row, as_of: datetime) -> str:
    """Return the outcome a pending milestone deserves at ``as_of``: the catch-up rule.

    Of several due ones of a kind only the newest is emitted; what announces the due moment is told
    no more once that is past. A ladder that catches up with ``all`` emits every one that came due
    while the remittance existed.
    """
    if remittance["status"] != "pending" or (
        remittance["schedule_version"] != row["schedule_version"]
    ):
        return CANCELLED
    if row["fire_at"] > as_of:
        return PENDING
    horizon = as_of
    if ladder_of(remittance["ladder"]).catch_up == ALL:
        horizon = min(as_of, row["created_at"])
    return SUPERSEDED if _overtaken(row, siblings, remittance, horizon) else EMITTED


def is_late(row: Row, siblings: Sequence[Row], remittance: Row, as_of: datetime) -> bool:
    """Tell whether a milestone emitted at ``as_of`` should have been before.

    One that lies before the making of its own schedule could not have been told earlier.
    """
    since = max(row["fire_at"], row["created_at"])
    overtaken = since < as_of and _overtaken(row, siblings, remittance, as_of)
    return overtaken or as_of - since > LATE_AFTER


def _overtaken(row: Row, siblings: Sequence[Row], remittance: Row, horizon: datetime) -> bool:
    """Tell whether at ``horizon`` a newer step of its kind, or the due moment, has come."""
    if row["event"] == DUE and horizon >= _stale_at(row, siblings, remittance):
        return True
    return any(
        _same_kind(row, other) and row["fire_at"] < other["fire_at"] <= horizon
        for other in siblings
    )


def _stale_at(row: Row, siblings: Sequence[Row], remittance: Row) -> datetime:
    """Return when a step that announces the due moment has lost its point."""
    due_at: datetime = remittance["due_at"]
    if row["fire_at"] < due_at:
        return due_at
    overdue: list[datetime] = [
        other["fire_at"]
        for other in siblings
        if other["event"] == OVERDUE and other["schedule_version"] == row["schedule_version"]
    ]
    return min([due_at + DUE_MOMENT_LASTS, *overdue])


def _same_kind(row: Row, other: Row) -> bool:
    keys = ("subject_id", "schedule_version", "event", "recipient_tenant_id")
    return all(row[key] == other[key] for key in keys)
