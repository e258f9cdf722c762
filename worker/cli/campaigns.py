"""``tillbell campaigns``: under which name a reseller offers what."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import campaigns, relationships
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Column, Row, details, emit, state, table
from worker.cli.resellers import Relationship

app = typer.Typer(rich_markup_mode=None)


@app.command()
def create(
    relationship: Relationship,
    *,
    name: Annotated[str, typer.Option(help="What it is called.", metavar="N")],
    product: Annotated[
        list[str], typer.Option(help="A product it offers; may be repeated.", metavar="ID")
    ],
    as_json: Json = False,
) -> None:
    """Add an embed campaign."""
    asked = {"name": name, "product_ids": product}
    with writing() as (_, work):
        row = campaigns.create(work, relationship, asked)
    _emit(row, as_json=as_json)


@app.command()
def update(
    relationship: Relationship,
    campaign: Annotated[
        str, typer.Argument(help="The campaign's id.", metavar="ID", show_default=False)
    ],
    *,
    status: Annotated[str, typer.Option(help=" or ".join(campaigns.STATUSES), metavar="S")],
    as_json: Json = False,
) -> None:
    """Pause, resume or revoke a campaign; its history is kept."""
    with writing() as (_, work):
        row = campaigns.set_status(work, relationship, campaign, status)
    _emit(row, as_json=as_json)


@app.command("list")
def listing(relationship: Relationship, *, as_json: Json = False) -> None:
    """List the campaigns of a relationship, oldest first."""
    with reading() as connection:
        bound = relationships.get(connection, relationship)
        rows = campaigns.listing(connection, bound["id"])
    empty = "No campaigns: tillbell campaigns create REL --name N --product ID"
    emit({"data": rows}, table(rows, _COLUMNS, empty=empty), as_json=as_json)


def _emit(row: Row, *, as_json: bool) -> None:
    facts = {
        "id": row["id"],
        "name": row["name"],
        "status": state(row["status"]),
        "products": ", ".join(row["product_ids"]),
    }
    emit(row, details(facts), as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", flexible=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("PRODUCTS", lambda row: str(len(row["product_ids"])), right=True),
    Column("SINCE", lambda row: brief(row["created_at"])),
)
