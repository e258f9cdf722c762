"""How well the reconciler does: what is cleared of what was found, who is on time, who ran."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from engine.ids import first_id
from reconciler.check import Check
from reconciler.checks import CHECKS
from reconciler.discrepancies import OPEN
from reconciler.tables import discrepancies, runs

#: What was found, and what was settled, is told of so long.
WINDOW = timedelta(days=7)

Score = dict[str, Any]


def score(connection: Connection, now: datetime, ran: int) -> dict[str, Score]:
    """Return ``cleared``, ``timely`` and ``complete``, each a count ``of`` so many and its percent.

    Cleared: of what was found within the window, what is healed, gone or judged by people. Timely:
    checks that last ended well within their interval and a tick. Complete: checks that ``ran``.
    """
    found = _found(connection, now - WINDOW)
    timely = sum(is_timely(check, _last(connection, check), now) for check in CHECKS.values())
    return {
        "cleared": _share(sum(found.values()) - found.get(OPEN, 0), sum(found.values())),
        "timely": _share(timely, len(CHECKS)),
        "complete": _share(ran, len(CHECKS)),
    }


def is_timely(check: Check, last: datetime | None, now: datetime) -> bool:
    """Tell whether a check that ended well at ``last`` is within its interval; pure."""
    allowed = timedelta(seconds=check.every_seconds + check.tick_seconds)
    return last is not None and now - last <= allowed


def in_words(scores: Mapping[str, Score]) -> str:
    """Return scores as a line for people; pure."""
    parts = []
    for name, each in scores.items():
        percent = "" if each["percent"] is None else f" ({each['percent']} %)"
        parts.append(f"{name} {each['count']:,} of {each['of']:,}{percent}")
    return ", ".join(parts)


def _share(count: int, of: int) -> Score:
    # Rounded down: 100 % is all.
    return {"count": count, "of": of, "percent": 100 * count // of if of else None}


def _found(connection: Connection, since: datetime) -> dict[str, int]:
    """Return how many of what was found since then have which status: the newest ids only."""
    recent = (discrepancies.c.id >= first_id(since)) & (discrepancies.c.first_seen_at >= since)
    query = select(discrepancies.c.status, func.count()).where(recent)
    return {row[0]: int(row[1]) for row in connection.execute(query.group_by("status"))}


def _last(connection: Connection, check: Check) -> datetime | None:
    """Return when a check last ended well: one probe of the index of runs."""
    well = (runs.c.check == check.id) & ~runs.c.dry_run & (runs.c.state == "completed")
    present = runs.c.as_of <= runs.c.started_at
    newest = select(runs.c.as_of).where(well, present).order_by(runs.c.as_of.desc()).limit(1)
    return connection.execute(newest).scalar_one_or_none()
