"""``tillbell orders``: chain orders, placed, moved on, and looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from engine import order_rows, order_views, orders
from engine.money import parse_amount
from worker.cli.documents import read_object
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, OfTenant, Since
from worker.cli.order_display import emit_order, emit_orders, emit_view, whole
from worker.cli.order_import import import_file
from worker.cli.order_options import Acting, Id

app = typer.Typer(rich_markup_mode=None)

Reason = Annotated[str, typer.Option(help="Why.", metavar="R")]
Origin = Annotated[str, typer.Option("--tenant", help="Whose customer ordered.", metavar="ID")]


@app.command()
def create(
    *,
    tenant: Origin,
    data: Annotated[
        str, typer.Option(help="The order (document 001): JSON, @file or @-.", metavar="JSON")
    ],
    as_json: Json = False,
) -> None:
    """Place an order; the same order placed again is the same one."""
    order = read_object(data, field="data")
    with writing() as (_, work):
        row = orders.place(work, tenant, order)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="One JSON order a line (document 001).",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
        ),
    ],
    *,
    tenant: Origin,
    as_json: Json = False,
) -> None:
    """Place every order of a file; run again, nothing is placed twice.

    A line that is refused is named on standard error, the others go on, and the exit code is 1.
    """
    if import_file(file, tenant, as_json=as_json):
        raise typer.Exit(1)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    scope: Annotated[
        str, typer.Option(help=f"Of a tenant's: {', '.join(order_views.SCOPES)}.", metavar="S")
    ] = "all",
    status: Annotated[
        str | None, typer.Option(help="Only in this chain status.", metavar="S")
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Part of the order number or customer.")
    ] = None,
    since: Since = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List orders, newest first."""
    with reading() as connection:
        rows = order_views.listing(
            connection,
            tenant_id=tenant,
            scope=scope,
            status=status,
            search=search,
            created_from=since,
            limit=limit,
        )
    emit_orders(rows, as_json=as_json)


@app.command()
def show(
    order_id: Id,
    *,
    tenant: Annotated[
        str | None,
        typer.Option(help="As this participant sees it; without it, the whole.", metavar="ID"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one order: its chain, its items, its timeline."""
    with reading() as connection:
        if tenant is not None:
            seen = order_views.show(connection, order_id, tenant)
            seen["timeline"] = order_views.timeline(connection, order_id, tenant_id=tenant)
        else:
            found = whole(connection, order_id)
    if tenant is not None:
        emit_view(seen, as_json=as_json)
    else:
        emit_order(found, as_json=as_json)


@app.command()
def approve(
    order_id: Id,
    *,
    reason: Annotated[str | None, typer.Option(help="A note.", metavar="R")] = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Let an order that waits for its origin's parent go on."""
    with writing() as (_, work):
        row = orders.approve(work, order_id, reason=reason, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def reject(order_id: Id, *, reason: Reason, tenant: Acting = None, as_json: Json = False) -> None:
    """Refuse an order that waits for its origin's parent; it is cancelled."""
    with writing() as (_, work):
        row = orders.reject(work, order_id, reason=reason, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def forward(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Hand an order to the holder's parent."""
    with writing() as (_, work):
        row = orders.forward(work, order_id, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def accept(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Let the holder fulfil an order, and reserve its stock."""
    with writing() as (_, work):
        row = orders.accept(work, order_id, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def process(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Start picking an order."""
    with writing() as (_, work):
        row = orders.process(work, order_id, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def unprocess(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Take an order out of picking again."""
    with writing() as (_, work):
        row = orders.unprocess(work, order_id, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def ship(
    order_id: Id,
    *,
    tracking_number: Annotated[str, typer.Option(help="The carrier's number.", metavar="T")],
    carrier: Annotated[str, typer.Option(help="Who carries it.", metavar="C")],
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Send the goods; a prepaid order is paid up the chain."""
    with writing() as (_, work):
        row = orders.ship(
            work, order_id, tracking_number=tracking_number, carrier=carrier, tenant_id=tenant
        )
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def deliver(
    order_id: Id,
    *,
    collected: Annotated[
        str | None, typer.Option(help="The cash taken; the whole unless told.", metavar="AMOUNT")
    ] = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Record the delivery; cash on delivery is settled up the chain."""
    with writing() as (_, work):
        minor = None
        if collected is not None:
            currency = order_rows.get(work.connection, order_id)["currency"]
            minor = parse_amount(collected, currency, field="collected")
        row = orders.deliver(work, order_id, tenant_id=tenant, collected_minor=minor)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command()
def cancel(order_id: Id, *, reason: Reason, tenant: Acting = None, as_json: Json = False) -> None:
    """Call an order off before it ships."""
    with writing() as (_, work):
        row = orders.cancel(work, order_id, reason=reason, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)


@app.command("return")
def return_(
    order_id: Id,
    *,
    reason: Annotated[str | None, typer.Option(help="Why.", metavar="R")] = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Take the goods back; after delivery its settlement is undone."""
    with writing() as (_, work):
        row = orders.return_(work, order_id, reason=reason, tenant_id=tenant)
        found = whole(work.connection, row["id"])
    emit_order(found, as_json=as_json)
