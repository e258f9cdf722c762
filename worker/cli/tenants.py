"""``tillbell tenants``: the platform and the resellers below it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from engine import tenants
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Column, Row, details, emit, page, section, state, table

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The tenant's id.", metavar="ID", show_default=False)]
Hide = Annotated[
    bool | None,
    typer.Option(
        "--hide-origin-total/--show-origin-total",
        help="Whether the levels above see what its customers pay.",
    ),
]


@app.command()
def create(
    *,
    name: Annotated[str, typer.Option(help="What it is called.", metavar="N")],
    parent: Annotated[
        str | None, typer.Option(help="The tenant it buys from; none makes a root.", metavar="ID")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Of the whole chain; a root without one has INR.")
    ] = None,
    timezone: Annotated[str, typer.Option(help="Decides its due dates.")] = "UTC",
    hide_origin_total: Hide = None,
    as_json: Json = False,
) -> None:
    """Add a tenant below another, or a new root."""
    with writing() as (_, work):
        row = tenants.create(
            work,
            name=name,
            parent_id=parent,
            currency=currency,
            timezone=timezone,
            hide_origin_total=bool(hide_origin_total),
        )
    emit(row, _facts(row), as_json=as_json)


@app.command()
def update(
    tenant_id: Id,
    *,
    hide_origin_total: Hide = None,
    needs_approval: Annotated[
        bool | None,
        typer.Option(
            "--needs-approval/--needs-no-approval",
            help="Whether its parent has to approve what it orders.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Choose how the orders that the tenant places from now on are seen and begun."""
    if hide_origin_total is None and needs_approval is None:
        raise typer.BadParameter("say what changes: --hide-origin-total or --needs-approval")
    with writing() as (_, work):
        if hide_origin_total is not None:
            row = tenants.hide_origin_total(work, tenant_id, hidden=hide_origin_total)
        if needs_approval is not None:
            row = tenants.require_approval(work, tenant_id, needed=needs_approval)
    emit(row, _facts(row), as_json=as_json)


@app.command("list")
def listing(
    *,
    parent: Annotated[
        str | None, typer.Option(help="Only the children of this one.", metavar="ID")
    ] = None,
    as_json: Json = False,
) -> None:
    """List tenants in the order of the tree."""
    with reading() as connection:
        rows = tenants.listing(connection, parent_id=parent)
    empty = "No tenants yet: tillbell tenants create --name 'My shop'"
    emit({"data": rows}, table(rows, _COLUMNS, empty=empty), as_json=as_json)


@app.command()
def show(tenant_id: Id, *, as_json: Json = False) -> None:
    """Show one tenant and the chain it belongs to."""
    with reading() as connection:
        row = tenants.get(connection, tenant_id)
        chain = tenants.chain(connection, tenant_id)
    view = page([_facts(row), section("Chain", table(chain, _COLUMNS, empty=""))])
    emit({**row, "chain": [each["id"] for each in chain]}, view, as_json=as_json)


def _tree_name(row: Row) -> str:
    return "  " * int(row["depth"]) + str(row["name"])


_COLUMNS = (
    Column("ID", "id"),
    Column("NAME", _tree_name, flexible=True),
    Column("ROLE", "role"),
    Column("CUR", "currency", wide=True),
    Column("ZONE", "timezone", wide=True),
    Column("STATUS", lambda row: state(row["status"]), wide=True),
    Column("CREATED", lambda row: brief(row["created_at"])),
)


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "name": row["name"],
            "role": row["role"],
            "parent": row["parent_id"],
            "currency": row["currency"],
            "time zone": row["timezone"],
            "status": state(row["status"]),
            "shows what its customers pay": not row["hide_origin_total"],
            "its orders need approval": row["needs_approval"],
            "created": row["created_at"],
        }
    )
