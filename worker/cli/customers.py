"""``tillbell customers``: whom resellers order for (document 003, accounts)."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import end_customers
from worker.cli.documents import read_object
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, Tenant
from worker.cli.output import Column, Row, details, emit, table

app = typer.Typer(rich_markup_mode=None)


@app.command()
def create(
    *,
    tenant: Tenant,
    name: Annotated[str, typer.Option(help="The customer's name.", metavar="N")],
    external_id: Annotated[
        str | None, typer.Option(help="The reseller's own number of it.", metavar="N")
    ] = None,
    data: Annotated[
        str, typer.Option(help="More (customer, shipping_address): JSON or @file.", metavar="JSON")
    ] = "{}",
    as_json: Json = False,
) -> None:
    """Add an end customer of a reseller."""
    given = {**read_object(data, field="data"), "name": name, "external_id": external_id}
    with writing() as (_, work):
        row = end_customers.create(work, tenant, given)
    _emit(row, as_json=as_json)


@app.command("list")
def listing(*, tenant: Tenant, limit: Limit = 100, as_json: Json = False) -> None:
    """List a reseller's end customers, newest first."""
    with reading() as connection:
        rows = end_customers.listing(connection, tenant, limit=limit)
    empty = "None: tillbell customers create --tenant ID --name N"
    emit({"data": rows}, table(rows, _COLUMNS, empty=empty), as_json=as_json)


@app.command()
def show(
    customer_id: Annotated[
        str, typer.Argument(help="The customer's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one end customer."""
    with reading() as connection:
        row = end_customers.get(connection, customer_id)
    _emit(row, as_json=as_json)


def _emit(row: Row, *, as_json: bool) -> None:
    facts = details(
        {
            "id": row["id"],
            "name": row["name"],
            "reseller": row["tenant_id"],
            "its number": row["external_id"],
            "orders say": row["customer"],
            "address": row["shipping_address"] or None,
            "created": row["created_at"],
        }
    )
    emit(row, facts, as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", flexible=True),
    Column("ITS NUMBER", "external_id", flexible=True),
    Column("CREATED", lambda row: brief(row["created_at"])),
)
