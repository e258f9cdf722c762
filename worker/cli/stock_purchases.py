"""``tillbell stock-purchases``: stock a reseller buys, from its request to its last serial."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from engine import (
    relationships,
    stock_deliveries,
    stock_items,
    stock_purchases,
    stock_transfer_states,
    stock_transfers,
)
from worker.cli.moments import brief
from worker.cli.opening import opened, reading, writing
from worker.cli.options import Json, Limit
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    page,
    section,
    state,
    table,
    with_money,
)
from worker.cli.resellers import OfRelationship, Relationship
from worker.cli.stock_item_views import items_table, reveal_serials

app = typer.Typer(rich_markup_mode=None)

Transfer = Annotated[
    str, typer.Argument(help="The purchase's id.", metavar="ID", show_default=False)
]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show the serials themselves.")]


@app.command()
def create(
    relationship: Relationship,
    *,
    product: Annotated[str, typer.Option(help="The product's id.", metavar="ID")],
    quantity: Annotated[int, typer.Option(help="How many pieces.", metavar="N")],
    key: Annotated[
        str | None, typer.Option(help="Names the request; under one key there is one.", metavar="K")
    ] = None,
    as_json: Json = False,
) -> None:
    """Request stock at the wholesale price of now."""
    asked = {"product_id": product, "quantity": quantity}
    with writing() as (_, work):
        row = stock_purchases.request(work, relationship, asked, idempotency_key=key)
    _emit(row, as_json=as_json)


@app.command()
def invoice(relationship: Relationship, transfer: Transfer, *, as_json: Json = False) -> None:
    """Give a requested purchase its invoice."""
    with writing() as (_, work):
        row = stock_purchases.invoice(work, relationship, transfer)
    _emit(row, as_json=as_json)


@app.command()
def pay(
    relationship: Relationship,
    transfer: Transfer,
    *,
    method: Annotated[
        str, typer.Option(help=" or ".join(stock_purchases.METHODS), metavar="M")
    ] = stock_purchases.PREPAID,
    reference: Annotated[
        str | None, typer.Option(help="The bank's name of an external payment.", metavar="R")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pay an invoice from the reseller's wallet, or note that the bank has the money."""
    with writing() as (_, work):
        row = stock_purchases.pay(work, relationship, transfer, method=method, reference=reference)
    _emit(row, as_json=as_json)


@app.command()
def allocate(relationship: Relationship, transfer: Transfer, *, as_json: Json = False) -> None:
    """Give the reseller its serials; an unpaid purchase counts as paid outside the platform."""
    with writing() as (_, work):
        row = stock_purchases.allocate(work, relationship, transfer)
    _emit(row, as_json=as_json)


@app.command()
def cancel(relationship: Relationship, transfer: Transfer, *, as_json: Json = False) -> None:
    """Call an unpaid purchase off."""
    with writing() as (_, work):
        row = stock_purchases.cancel(work, relationship, transfer)
    _emit(row, as_json=as_json)


@app.command()
def deliver(
    relationship: Relationship,
    item: Annotated[str, typer.Argument(help="The item's id.", metavar="ITEM", show_default=False)],
    *,
    email: Annotated[str, typer.Option(help="The customer's; it is not kept.", metavar="EMAIL")],
    reveal: Reveal = False,
    as_json: Json = False,
) -> None:
    """Give one allocated item to a customer."""
    with writing() as (application, work):
        row = stock_deliveries.deliver(work, relationship, item, email)
        bound = relationships.get(work.connection, relationship)
        keyring = application.guard.keyring
        shown = [row["id"]] if reveal else []
        serials = stock_items.serials_of(work.connection, keyring, bound, shown)
    if reveal:
        row["serial"] = serials[row["id"]]
    facts = {
        "item": row["id"],
        "status": state(row["status"]),
        "delivered": row["delivered_at"],
        **({"serial": row["serial"]} if reveal else {}),
    }
    emit(row, details(facts), as_json=as_json)


@app.command("list")
def listing(
    *,
    relationship: OfRelationship = None,
    status: Annotated[
        str | None,
        typer.Option(help=f"One of {', '.join(stock_transfer_states.STATUSES)}.", metavar="S"),
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List stock purchases, oldest first."""
    with reading() as connection:
        bound = None if relationship is None else relationships.get(connection, relationship)
        rows = stock_transfers.listing(connection, bound, status=status, limit=limit)
    empty = "No stock purchases: tillbell stock-purchases create REL --product ID --quantity N"
    view = table(rows, _COLUMNS, empty=empty)
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


@app.command()
def show(
    relationship: Relationship, transfer: Transfer, *, reveal: Reveal = False, as_json: Json = False
) -> None:
    """Show a purchase, who moved it, and its items."""
    with opened() as application, application.database.read() as connection:
        bound = relationships.get(connection, relationship)
        row = stock_transfers.get(connection, bound, transfer)
        steps = stock_transfers.timeline(connection, row["id"])
        items = stock_items.listing(connection, bound, transfer_id=row["id"], limit=row["quantity"])
        if reveal:
            reveal_serials(connection, application.guard.keyring, bound, items)
    view = page(
        [
            _facts(row),
            section("Timeline", table(steps, _STEPS, empty="Nothing.")),
            section("Items", items_table(items)),
        ]
    )
    document = {**with_money(row), "timeline": steps, "items": items}
    emit(document, view, as_json=as_json)


def _emit(row: Row, *, as_json: bool) -> None:
    emit(with_money(row), _facts(row), as_json=as_json)


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "relationship": row["relationship_id"],
            "product": row["product_id"],
            "status": state(row["status"]),
            "pieces": f"{row['quantity']:,} ({row['delivered_quantity']:,} delivered)",
            "a piece": money(row["unit_price_minor"], row["currency"]),
            "in all": money(row["total_minor"], row["currency"]),
            "invoice": row["invoice_id"],
            "paid by": row["payment_method"],
            "payment": row["payment_reference"],
            "payable until": row["expires_at"],
            "requested": row["created_at"],
            "paid": row["paid_at"],
            "allocated": row["allocated_at"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("STATUS", lambda row: state(row["status"])),
    Column("PIECES", "quantity", right=True),
    Column("TOTAL", lambda row: money(row["total_minor"], row["currency"]), right=True),
    Column("REQUESTED", lambda row: brief(row["created_at"])),
    Column("RELATIONSHIP", "relationship_id", wide=True),
    Column("PRODUCT", "product_id", wide=True),
)
_STEPS = (
    Column("STATUS", lambda row: state(row["to_status"])),
    Column("BY", "action"),
    Column("ACTOR", "actor", flexible=True),
    Column("AT", lambda row: brief(row["at"])),
)
