"""How a replay is shown."""

from __future__ import annotations

from rich.console import RenderableType

from worker.cli.moments import brief
from worker.cli.output import Column, Row, details, state


def replay_details(row: Row) -> RenderableType:
    """Return a replay's facts."""
    return details(
        {
            "id": row["id"],
            "of": selection(row),
            "state": state(row["state"]),
            "matched": row["matched"],
            "armed": row["armed"],
            "by": row["actor"],
            "reason": row["reason"],
            "begun": row["created_at"],
            "finished": row["finished_at"],
        }
    )


def selection(row: Row) -> str:
    """Return what a replay was asked to send again, in words."""
    chosen = dict(row["selection"])
    ids = chosen.pop("ids", None)
    words = [f"{name.removesuffix('_id')} {value}" for name, value in chosen.items()]
    return ", ".join([*([f"{len(ids)} named"] if ids else []), *words])


COLUMNS = (
    Column("ID", "id"),
    Column("STATE", lambda row: state(row["state"])),
    Column("ARMED", lambda row: f"{row['armed']:,} of {row['matched']:,}", right=True),
    Column("BEGUN", lambda row: brief(row["created_at"])),
    Column("REASON", "reason", flexible=True),
    Column("BY", "actor", wide=True),
    Column("OF", selection, wide=True, flexible=True),
)
