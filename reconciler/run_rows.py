"""The row of a run: begun once, written after every slice, taken over where it broke off."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, text, update

from engine.ids import new_id
from reconciler.check import Finding
from reconciler.tables import runs

#: A run that wrote nothing for this long between two slices has lost its process.
BROKEN_OFF_AFTER = timedelta(minutes=5)
#: The words of the partial index: a parameter in their place would hide it from the planner.
_RUNNING = text("state = 'running'")


@dataclass(slots=True)
class Run:
    """A run under way: its row, whether that is written, and what its slices leave to note.

    ``again`` are the standing discrepancies it looks at again, key by id.
    """

    row: dict[str, Any]
    stored: bool = False
    truncated: bool = False
    again: dict[str, Any] = field(default_factory=dict)
    left: list[Finding] = field(default_factory=list)


def begin(check_id: str, actor: str, batch_id: str, now: datetime) -> Run:
    """Return a run that nothing is written of yet."""
    return Run(
        {
            "id": new_id(),
            "batch_id": batch_id,
            "check": check_id,
            "actor": actor,
            "as_of": now,
            "dry_run": False,
            "sweep": True,
            "state": "running",
            "cursor": None,
            **dict.fromkeys(("scanned", "found", "healed", "accepted", "left_open", "failed"), 0),
            "started_at": now,
            "updated_at": now,
            "duration_ms": 0,
            "problem": None,
        }
    )


def broken_off(connection: Connection, check_id: str, now: datetime) -> Run | None:
    """Return a run of a check that broke off between two slices, if there is one."""
    late = (
        (runs.c.check == check_id)
        & _RUNNING
        & ~runs.c.dry_run
        & (runs.c.as_of == runs.c.started_at)
        & (runs.c.updated_at < now - BROKEN_OFF_AFTER)
    )
    oldest = select(runs).where(late).order_by(runs.c.started_at).limit(1)
    row = connection.execute(oldest).mappings().first()
    return None if row is None else Run(dict(row), stored=True)


def take_over(connection: Connection, run: Run, now: datetime) -> bool:
    """Go on with a run that broke off; the guarded update lets one of several have it."""
    mine = (runs.c.id == run.row["id"]) & (runs.c.updated_at == run.row["updated_at"])
    taken = connection.execute(update(runs).where(mine).values(updated_at=now))
    return taken.rowcount == 1


def store(connection: Connection, run: Run, now: datetime) -> None:
    """Write the run's row as it is now."""
    run.row["updated_at"] = now
    if run.stored:
        mine = runs.c.id == run.row["id"]
        connection.execute(update(runs).where(mine).values(run.row))
    else:
        connection.execute(insert(runs).values(run.row))
        run.stored = True
