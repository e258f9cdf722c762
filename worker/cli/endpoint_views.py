"""How an endpoint is shown; its secret only where it was just made."""

from __future__ import annotations

from typing import Any

from rich.console import RenderableType
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
    "signatures",
    "public_key",
    "credentials",
    "header_names",
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


NAMES_OF_KINDS = {"signing": "secret", "ed25519": "key pair", "apikey": "API key"}
#: What is in the answer that made it, and in no other.
SHOWN_ONCE = {"secret": "Signing secret", "apikey": "API key"}


def public(row: Row) -> dict[str, Any]:
    """Return an endpoint's JSON; ``secret`` and ``apikey`` only where they were just made."""
    return {name: row[name] for name in (*NAMES, *SHOWN_ONCE) if name in row}


def emit_endpoint(row: Row, *, as_json: bool) -> None:
    """Answer with one endpoint."""
    emit(public(row), endpoint_details(row), as_json=as_json)


def endpoint_details(row: Row) -> RenderableType:
    """Return an endpoint's facts, and what is shown of its secrets this once."""
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
            "signatures": ", ".join(row["signatures"]),
            **({"public key": row["public_key"]} if row["public_key"] else {}),
            **({"headers": ", ".join(row["header_names"])} if row["header_names"] else {}),
            **_rotations(row),
            "created": row["created_at"],
            "updated": row["updated_at"],
        }
    )
    parts: list[RenderableType] = [facts]
    for name, title in SHOWN_ONCE.items():
        if name in row:
            heading = f"{title}: keep it now, it is not shown again"
            parts.append(section(heading, Text(row[name])))
    return page(parts)


def _rotations(row: Row) -> dict[str, Any]:
    """Return which secrets begin or end at an instant: a rotation under way."""
    facts: dict[str, Any] = {}
    for each in row["credentials"]:
        kind = NAMES_OF_KINDS[each["kind"]]
        if each["starts_at"] is not None:
            facts[f"new {kind} from"] = each["starts_at"]
        if each["expires_at"] is not None:
            facts[f"old {kind} until"] = each["expires_at"]
    return facts
