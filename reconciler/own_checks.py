"""The reconciler itself: whether each check still runs and comes to an end."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from engine.events import iso_seconds
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity
from reconciler.tables import runs

#: A check is late after this many of its intervals, and never before ten minutes.
INTERVALS = 3
LATE_AT_LEAST = timedelta(minutes=10)


def make(checks: tuple[Check, ...]) -> Check:
    """Return the check that watches these others."""

    def find(connection: Connection, scope: Scope) -> Found:
        findings = [finding for check in checks if (finding := _late(connection, check, scope.now))]
        return Found(len(checks), findings)

    return Check(
        id="K24",
        title="Checks that do not come to an end",
        compares="when each check last ended well with three times its interval",
        remedy="start a scheduler, or see what stops it: tillbell reconcile list --check K",
        severity=Severity.ERROR,
        policy=Policy.SUGGEST,
        every_seconds=60,
        find=find,
    )


def _late(connection: Connection, check: Check, now: datetime) -> Finding | None:
    """Return the finding of a check that ended well too long ago; one that never ran began never.

    Each look is one probe of the index of runs.
    """
    allowed = max(INTERVALS * timedelta(seconds=check.every_seconds), LATE_AT_LEAST)
    mine = (runs.c.check == check.id) & ~runs.c.dry_run & (runs.c.as_of <= runs.c.started_at)
    well = select(func.max(runs.c.as_of)).where(mine, runs.c.state == "completed")
    last = connection.execute(well).scalar()
    begun = last or connection.execute(select(func.min(runs.c.as_of)).where(mine)).scalar()
    if begun is None or now - begun <= allowed:
        return None
    return Finding(
        f"check {check.id}, last success",
        expected={"within_seconds": int(allowed.total_seconds())},
        actual={"last_success": None if last is None else iso_seconds(last)},
        key=check.id,
    )
