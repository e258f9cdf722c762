"""``tillbell drafts items``: what a draft holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine import draft_views, drafts
from engine.database import database_now
from worker.cli.documents import read_object
from worker.cli.draft_display import emit_draft, emit_items
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.order_options import Acting, Id

app = typer.Typer(rich_markup_mode=None)

ItemId = Annotated[str, typer.Argument(help="The item's id.", metavar="ITEM", show_default=False)]
Price = Annotated[
    str | None, typer.Option("--price", help="What the customer pays a piece.", metavar="AMOUNT")
]


@app.command("list")
def listing(order_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """List the items of a draft, or of the order it became."""
    with reading() as connection:
        now = database_now(connection)
        rows = draft_views.items(connection, order_id, now, tenant_id=tenant)
        currency = draft_views.show(connection, order_id, now, tenant_id=tenant)["currency"]
    emit_items(rows, currency, as_json=as_json)


@app.command()
def add(
    order_id: Id,
    *,
    sku: Annotated[str, typer.Option(help="The product.", metavar="SKU")],
    quantity: Annotated[int, typer.Option(help="How many pieces.", metavar="N")] = 1,
    price: Price = None,
    characteristics: Annotated[
        str | None, typer.Option(help="Of the item: JSON or @file.", metavar="JSON")
    ] = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Add an item; without --price it is the recommended price, or the reseller's own cost."""
    item: dict[str, Any] = {"sku": sku, "quantity": quantity, "unit_price": price}
    if characteristics is not None:
        item["characteristics"] = read_object(characteristics, field="characteristics")
    with writing() as (_, work):
        row = drafts.add_item(work, order_id, item, tenant_id=tenant)
        shown = draft_views.show(work.connection, row["draft_order_id"], work.now)
    emit_draft(shown, as_json=as_json)


@app.command("set")
def set_(
    order_id: Id,
    item_id: ItemId,
    *,
    quantity: Annotated[int | None, typer.Option(help="How many pieces.", metavar="N")] = None,
    price: Price = None,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Change how many pieces of an item, or their price."""
    asked = {"quantity": quantity, "unit_price": price}
    values = {name: value for name, value in asked.items() if value is not None}
    with writing() as (_, work):
        row = drafts.set_item(work, order_id, item_id, values, tenant_id=tenant)
        shown = draft_views.show(work.connection, row["draft_order_id"], work.now)
    emit_draft(shown, as_json=as_json)


@app.command()
def remove(order_id: Id, item_id: ItemId, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Take an item out of a draft."""
    with writing() as (_, work):
        drafts.remove_item(work, order_id, item_id, tenant_id=tenant)
        shown = draft_views.show(work.connection, order_id, work.now)
    emit_draft(shown, as_json=as_json)
