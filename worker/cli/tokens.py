"""``tillbell tokens``: keys of the HTTP interface, each for one tenant."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from engine import api_tokens
from worker.cli.moments import brief, future
from worker.cli.opening import reading, writing
from worker.cli.options import Json, OfTenant, Tenant
from worker.cli.output import Column, details, emit, table

app = typer.Typer(rich_markup_mode=None)


@app.command()
def create(
    *,
    tenant: Tenant,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help=f"What it may do; may be repeated: {', '.join(api_tokens.SCOPES)}. Without it,"
            " everything but codes.read.",
            metavar="SCOPE",
        ),
    ] = None,
    label: Annotated[str | None, typer.Option(help="What it is for.", metavar="TEXT")] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(parser=future, help="When it ends: an instant, or 90d ahead.", metavar="ISO"),
    ] = None,
    relationship: Annotated[
        str | None,
        typer.Option(help="A reseller's key instead: for this relationship alone.", metavar="REL"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token and show it, this once."""
    with writing() as (_, work):
        made = api_tokens.issue(
            work,
            tenant_id=tenant,
            scopes=scope or api_tokens.SCOPES_DEFAULT,
            label=label,
            expires_at=expires,
            relationship_id=relationship,
        )
    facts = {
        "token": made["token"],
        "": "It is shown this once: keep it, and send it as 'Authorization: Bearer …'.",
        "id": made["id"],
        "tenant": made["tenant_id"],
        "scopes": ", ".join(made["scopes"]),
        "relationship": made["relationship_id"],
        "expires": made["expires_at"],
    }
    emit(made, details(facts), as_json=as_json)


@app.command("list")
def listing(*, tenant: OfTenant = None, as_json: Json = False) -> None:
    """List tokens, oldest first; never their values."""
    with reading() as connection:
        rows = api_tokens.listing(connection, tenant_id=tenant)
    empty = "No tokens: tillbell tokens create --tenant ID"
    emit({"data": rows}, table(rows, _COLUMNS, empty=empty), as_json=as_json)


@app.command()
def revoke(
    token: Annotated[
        str, typer.Argument(help="The token's id or prefix.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """End a token at once."""
    with writing() as (_, work):
        row = api_tokens.revoke(work, token)
    emit(row, details({"id": row["id"], "revoked": row["revoked_at"]}), as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("PREFIX", "prefix"),
    Column("LABEL", "label", flexible=True),
    Column("SCOPES", lambda row: " ".join(row["scopes"]), flexible=True),
    Column("TENANT", "tenant_id", wide=True),
    Column("USED", lambda row: brief(row["last_used_at"])),
    Column("EXPIRES", lambda row: brief(row["expires_at"]), wide=True),
    Column("REVOKED", lambda row: brief(row["revoked_at"])),
)
