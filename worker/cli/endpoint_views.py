"""How an endpoint is shown; its secret only where it was just made."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from worker.cli.moments import brief
from worker.cli.output import Column, Row, details, emit, page, section, state

#: The JSON names of an endpoint (design §6), and what else an operator asks about.
NAMES = (
    "id",
    "tenant_id",
    "url",
    "events",
    "profile",
    "state",
    "state_reason",
    "paused_until",
    "max_in_flight",
    "ordering",
    "created_at",
    "updated_at",
)
COLUMNS = (
    Column("ID", "id"),
    Column("STATE", lambda row: state(row["state"])),
    Column("URL", "url", flexible=True),
    Column("EVENTS", lambda row: ", ".join(row["events"]), flexible=True),
    Column("TENANT", "tenant_id", wide=True),
    Column("PROFILE", "profile", wide=True),
    Column("CREATED", lambda row: brief(row["created_at"]), wide=True),
)


def public(row: Row) -> dict[str, Any]:
    """Return an endpoint's JSON; ``secret`` is there only after create and rotate-secret."""
    document = {name: row[name] for name in NAMES}
    return {**document, "secret": row["secret"]} if "secret" in row else document


def emit_endpoint(row: Row, *, as_json: bool) -> None:
    """Answer with one endpoint."""
    reason = f" ({row['state_reason']})" if row["state_reason"] else ""
    facts = details(
        {
            "id": row["id"],
            "tenant": row["tenant_id"],
            "url": row["url"],
            "events": ", ".join(row["events"]),
            "profile": row["profile"],
            "state": state(row["state"]).append(reason),
            **({"paused until": row["paused_until"]} if row["paused_until"] else {}),
            "in flight": f"at most {row['max_in_flight']}",
            "created": row["created_at"],
            "updated": row["updated_at"],
        }
    )
    parts = [facts]
    if "secret" in row:
        parts.append(
            section("Signing secret: keep it now, it is not shown again", Text(row["secret"]))
        )
    emit(public(row), page(parts), as_json=as_json)
