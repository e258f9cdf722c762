"""``tillbell drafts``: orders being collected, filled and checked out (document 003)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine import draft_views, drafts, stages
from engine.database import database_now
from engine.unit_of_work import UnitOfWork
from worker.cli.documents import read_object
from worker.cli.draft_display import emit_draft, emit_fields, emit_stages, emit_status
from worker.cli.draft_items import app as items
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, OfTenant
from worker.cli.order_options import Acting, Id

app = typer.Typer(rich_markup_mode=None)
app.add_typer(items, name="items", help="What a draft holds.")


@app.command()
def create(
    *,
    tenant: Annotated[str, typer.Option(help="The reseller.", metavar="ID")],
    account: Annotated[
        str | None,
        typer.Option(help="An end customer's id; the reseller's own unless told.", metavar="ID"),
    ] = None,
    external_id: Annotated[
        str | None, typer.Option(help="The reseller's own order number.", metavar="N")
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="More (items, payment, customer, shipping_address, custom_fields, order_date):"
            " JSON, @file or @-.",
            metavar="JSON",
        ),
    ] = "{}",
    idempotency_key: Annotated[
        str | None, typer.Option(help="Under one key it is made once.", metavar="K")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a draft order; it lives for 168 hours."""
    given = {"account_id": account or tenant, **read_object(data, field="data")}
    if external_id is not None:
        given["external_order_id"] = external_id
    with writing() as (_, work):
        row = drafts.create(work, tenant, given, idempotency_key=idempotency_key)
        shown = _shown(work, row["id"])
    emit_draft(shown, as_json=as_json)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    stage: Annotated[
        str, typer.Option(help=f"{', '.join(stages.STAGES)} (document 003).", metavar="S")
    ] = stages.DRAFT,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List drafts, or with --stage confirmed orders beside them, newest first."""
    with reading() as connection:
        rows, total = stages.listing(
            connection, database_now(connection), tenant_id=tenant, stage=stage, limit=limit
        )
    emit_stages(rows, total, as_json=as_json)


@app.command()
def show(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Show a draft, or the order it became."""
    with reading() as connection:
        now = database_now(connection)
        shown = draft_views.show(connection, order_id, now, tenant_id=tenant)
    emit_draft(shown, as_json=as_json)


@app.command()
def checkout(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Place a draft as an order; its id stays."""
    with writing() as (_, work):
        order = drafts.checkout(work, order_id, tenant_id=tenant)
        shown = _shown(work, order["id"])
    emit_draft(shown, as_json=as_json)


@app.command()
def fields(
    order_id: Id,
    *,
    put: Annotated[
        str | None,
        typer.Option(
            "--set", help="Put these over them, null takes one away: JSON, @file.", metavar="JSON"
        ),
    ] = None,
    item: Annotated[
        str | None, typer.Option(help="The characteristics of this item instead.", metavar="ID")
    ] = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Show or set the custom fields of an order, or the characteristics of an item."""
    if put is None:
        with reading() as connection:
            now = database_now(connection)
            if item is None:
                whole = draft_views.show(connection, order_id, now, tenant_id=tenant)
                found = whole["custom_fields"]
            else:
                one = draft_views.item(connection, order_id, item, now, tenant_id=tenant)
                found = one["characteristics"]
    else:
        given = read_object(put, field="set")
        with writing() as (_, work):
            found = draft_views.put_fields(work, order_id, given, item_id=item, tenant_id=tenant)
    emit_fields(found, as_json=as_json)


@app.command()
def status(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Show how far the execution of a confirmed order is."""
    with reading() as connection:
        found = draft_views.execute_status(
            connection, order_id, database_now(connection), tenant_id=tenant
        )
    emit_status(found, as_json=as_json)


def _shown(work: UnitOfWork, order_id: str) -> dict[str, Any]:
    return draft_views.show(work.connection, order_id, work.now)
