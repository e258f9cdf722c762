"""``tillbell fulfillments``: what resellers' own shops sold, paid and delivered at once."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from engine import fulfillments, relationships, stock_items
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
from worker.cli.stock_purchases import Reveal

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[
    str,
    typer.Argument(help="The fulfilment's id, or the shop's order id.", metavar="ID"),
]


@app.command()
def create(
    relationship: Relationship,
    *,
    product: Annotated[str, typer.Option(help="The product's id.", metavar="ID")],
    email: Annotated[str, typer.Option(help="The buyer's; it is not kept.", metavar="EMAIL")],
    quantity: Annotated[int, typer.Option(help="How many pieces.", metavar="N")] = 1,
    order: Annotated[
        str | None, typer.Option(help="The shop's order id: one fulfilment each.", metavar="ID")
    ] = None,
    key: Annotated[str | None, typer.Option(help="Or a key of the request.", metavar="K")] = None,
    as_json: Json = False,
) -> None:
    """Debit a reseller's wallet and deliver serials of its merchant's stock."""
    asked = {
        "external_order_id": order,
        "customer_email": email,
        "product_id": product,
        "quantity": quantity,
    }
    with writing() as (_, work):
        row = fulfillments.create(work, relationship, asked, idempotency_key=key)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command()
def refund(
    relationship: Relationship,
    fulfillment: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why; it stays in the books.", metavar="TEXT")],
    as_json: Json = False,
) -> None:
    """Give the reseller its money back and revoke the serials."""
    with writing() as (_, work):
        row = fulfillments.refund(work, relationship, fulfillment, reason=reason)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command("list")
def listing(
    *,
    relationship: OfRelationship = None,
    status: Annotated[
        str | None, typer.Option(help=" or ".join(fulfillments.STATUSES), metavar="S")
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List fulfilments, oldest first."""
    with reading() as connection:
        bound = None if relationship is None else relationships.get(connection, relationship)
        rows = fulfillments.listing(connection, bound, status=status, limit=limit)
    empty = "No fulfilments: tillbell fulfillments create REL --product ID --email E --order ID"
    view = table(rows, _COLUMNS, empty=empty)
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


@app.command()
def show(
    relationship: Relationship, fulfillment: Id, *, reveal: Reveal = False, as_json: Json = False
) -> None:
    """Show a fulfilment and its items."""
    with opened() as application, application.database.read() as connection:
        bound = relationships.get(connection, relationship)
        row = fulfillments.get(connection, bound, fulfillment)
        items = stock_items.listing(
            connection, bound, fulfillment_id=row["id"], limit=row["quantity"]
        )
        if reveal:
            reveal_serials(connection, application.guard.keyring, bound, items)
    view = page([_facts(row), section("Items", items_table(items))])
    emit({**with_money(row), "items": items}, view, as_json=as_json)


@app.command()
def balance(relationship: Relationship, *, as_json: Json = False) -> None:
    """Show what a reseller has prepaid."""
    with reading() as connection:
        held = fulfillments.balance(connection, relationship)
    facts = {
        "relationship": held["reseller_relationship_id"],
        "balance": money(held["balance_minor"], held["currency"]),
        "available": money(held["available_balance_minor"], held["currency"]),
        "may spend": money(held["spendable_minor"], held["currency"]),
    }
    emit(held, details(facts), as_json=as_json)


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "order": row["external_order_id"],
            "relationship": row["relationship_id"],
            "product": row["product_id"],
            "pieces": row["quantity"],
            "cost": money(row["cost_minor"], row["currency"]),
            "status": state(row["status"]),
            "delivered": row["delivered_at"],
            "refunded": row["refunded_at"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("ORDER", "external_order_id", flexible=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("PIECES", "quantity", right=True),
    Column("COST", lambda row: money(row["cost_minor"], row["currency"]), right=True),
    Column("DELIVERED", lambda row: brief(row["delivered_at"])),
    Column("RELATIONSHIP", "relationship_id", wide=True),
)
