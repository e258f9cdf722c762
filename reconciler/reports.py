"""The report of a run: what was looked at, what agrees, what is open with its age and amount."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine.ids import is_id
from engine.tables import tenants
from reconciler import scores
from reconciler.checks import CHECKS
from reconciler.runs import show
from reconciler.tables import discrepancies, runs

ROWS_MAX = 1000
#: Of what was settled the newest so many; how many there were is in the score.
SETTLED_MAX = 100
Row = dict[str, Any]


def gather(connection: Connection, now: datetime, run_id: str | None = None) -> Row:
    """Return ``runs`` of the call a run belongs to, else the newest of each check.

    With them ``discrepancies`` that stand, those ``settled`` within the window, newest first, and
    the ``score``. Raises NotFound for an unknown run.
    """
    if run_id is None:
        wanted = runs.c.id.in_(_newest(connection))
    else:
        wanted = runs.c.batch_id == show(connection, run_id)["batch_id"]
    rows = [dict(row) for row in connection.execute(select(runs).where(wanted)).mappings()]
    for row in rows:
        row["title"] = CHECKS[row["check"]].title if row["check"] in CHECKS else ""
        row["matched"] = max(0, row["scanned"] - row["found"])
    rows.sort(key=lambda row: str(row["check"]))
    return {
        "at": now,
        "since": now - scores.WINDOW,
        "score": scores.score(connection, now, len({row["check"] for row in rows})),
        "runs": rows,
        "discrepancies": _standing(connection, now),
        "settled": _settled(connection, now),
    }


def _standing(connection: Connection, now: datetime) -> list[Row]:
    open_now = (
        select(discrepancies)
        .where(discrepancies.c.settled_at.is_(None))
        .order_by(discrepancies.c.check, discrepancies.c.first_seen_at)
        .limit(ROWS_MAX)
    )
    rows = [dict(row) for row in connection.execute(open_now).mappings()]
    names = _names(connection, {row["owner"] for row in rows if is_id(row["owner"] or "")})
    for row in rows:
        row["owner_name"] = names.get(row["owner"])
        row["age_seconds"] = int((now - row["first_seen_at"]).total_seconds())
    return rows


def _names(connection: Connection, ids: Collection[str]) -> dict[str, str]:
    """Return the names of those owners that are tenants."""
    query = select(tenants.c.id, tenants.c.name).where(tenants.c.id.in_(ids))
    return {row.id: row.name for row in connection.execute(query)}


def _settled(connection: Connection, now: datetime) -> list[Row]:
    settled_at = discrepancies.c.settled_at
    query = select(discrepancies).where(settled_at >= now - scores.WINDOW)
    newest = query.order_by(settled_at.desc(), discrepancies.c.id.desc()).limit(SETTLED_MAX)
    return [dict(row) for row in connection.execute(newest).mappings()]


def _newest(connection: Connection) -> list[str]:
    """Return the newest run of each check: a probe of the index each."""
    found = []
    for check in CHECKS:
        mine = select(runs.c.id).where(runs.c.check == check, ~runs.c.dry_run)
        found.append(connection.execute(mine.order_by(runs.c.as_of.desc()).limit(1)).scalar())
    return [run_id for run_id in found if run_id is not None]
