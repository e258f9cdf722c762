"""How a replay, and what it would send, is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from worker.cli.moments import brief
from worker.cli.output import Column, Row, details, emit, page, section, state, table

#: The JSON names of a replay.
NAMES = (
    "id",
    "state",
    "matched",
    "armed",
    "skipped",
    "percent",
    "rate_per_second",
    "new_ids",
    "selection",
    "actor",
    "reason",
    "problem",
    "changes",
    "created_at",
    "updated_at",
    "finished_at",
)
#: More groups than a person reads; --json has them all.
GROUPS_SHOWN = 50
PAST = {"pause": "paused", "resume": "resumed", "cancel": "cancelled"}


def public(row: Row) -> dict[str, Any]:
    """Return a replay's JSON."""
    return {name: row[name] for name in NAMES}


def emit_replay(row: Row, *, as_json: bool) -> None:
    """Answer with one replay."""
    skipped = f", {row['skipped']:,} left alone" if row["skipped"] else ""
    facts = details(
        {
            "id": row["id"],
            "of": selection(row),
            "state": state(row["state"]),
            "armed": f"{row['armed']:,} of {row['matched']:,} ({row['percent']} %){skipped}",
            "pace": _pace(row),
            "ids": "new" if row["new_ids"] else "the same",
            "by": row["actor"],
            "reason": row["reason"],
            **({"problem": row["problem"]} if row["problem"] else {}),
            "begun": row["created_at"],
            **({"changed": _changes(row)} if row["changes"] else {}),
            "finished": row["finished_at"],
        }
    )
    emit(public(row), facts, as_json=as_json)


def emit_preview(found: Row, *, as_json: bool) -> None:
    """Answer with what a replay would send."""
    groups = found["groups"]
    matched, left_alone = found["matched"], found["left_alone"]
    sentence = f"{matched:,} deliveries match; nothing was changed."
    if left_alone:
        sentence += f" {left_alone:,} would be left alone: their endpoint is disabled."
    parts: list[RenderableType] = [Text(sentence)]
    if groups:
        shown = table(groups[:GROUPS_SHOWN], _GROUPS, empty="")
        parts.append(section("By endpoint and state", shown))
    if len(groups) > GROUPS_SHOWN:
        parts.append(Text(f"… and {len(groups) - GROUPS_SHOWN:,} more with --json", style="dim"))
    emit(found, page(parts), as_json=as_json)


def selection(row: Row) -> str:
    """Return what a replay was asked to send again, in words."""
    chosen = dict(row["selection"])
    ids = chosen.pop("ids", None)
    words = [f"{len(ids)} named"] if ids else []
    for name, value in chosen.items():
        word = name.removesuffix("_id").replace("_", " ")
        words.append(word if value is True else f"{word} {value}")
    return ", ".join(words)


def _changes(row: Row) -> str:
    """Return who paused, resumed or cancelled it, and when."""
    told = [
        f"{PAST[each['verb']]} {brief(datetime.fromisoformat(each['at']))} by {each['actor']}"
        for each in row["changes"]
    ]
    return "; ".join(told)


def _pace(row: Row) -> str:
    rate = row["rate_per_second"]
    return "as fast as it goes" if rate is None else f"at most {rate:g} a second"


COLUMNS = (
    Column("ID", "id"),
    Column("STATE", lambda row: state(row["state"])),
    Column("ARMED", lambda row: f"{row['armed']:,} of {row['matched']:,}", right=True),
    Column("DONE", lambda row: f"{row['percent']} %", right=True),
    Column("BEGUN", lambda row: brief(row["created_at"]), wide=True),
    Column("BY", "actor", flexible=True),
    Column("REASON", "reason", flexible=True),
    Column("OF", selection, wide=True, flexible=True),
)
_GROUPS = (
    Column("ENDPOINT", "endpoint_id"),
    Column("IS", lambda row: state(row["endpoint_state"])),
    Column("DELIVERIES", lambda row: f"{row['count']:,}", right=True),
    Column("STATE", lambda row: state(row["state"])),
    Column("URL", "url", wide=True, flexible=True),
)
