"""``tillbell sales``: sales a reseller brought, and what it earned by them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from engine import commission_payments, commissions, relationships
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit
from worker.cli.output import Column, Row, details, emit, money, state, table, with_money
from worker.cli.programs import percent
from worker.cli.resellers import Relationship

app = typer.Typer(rich_markup_mode=None)

Reference = Annotated[
    str, typer.Argument(help="The sale's reference or id.", metavar="SALE", show_default=False)
]


@app.command()
def record(
    relationship: Relationship,
    reference: Reference,
    *,
    product: Annotated[str, typer.Option(help="The product's id.", metavar="ID")],
    amount: Annotated[str, typer.Option(help="What the customer paid.", metavar="AMOUNT")],
    quantity: Annotated[int, typer.Option(help="How many pieces.", metavar="N")] = 1,
    campaign: Annotated[
        str | None, typer.Option(help="The campaign it came by.", metavar="ID")
    ] = None,
    as_json: Json = False,
) -> None:
    """Record a sale a reseller brought; its commission is owed from then on."""
    sale = {
        "sale_reference": reference,
        "product_id": product,
        "amount": amount,
        "quantity": quantity,
        "campaign_id": campaign,
    }
    with writing() as (_, work):
        row = commissions.record_sale(work, relationship, sale)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command()
def refund(
    relationship: Relationship,
    reference: Reference,
    *,
    reason: Annotated[str, typer.Option(help="Why; it stays in the books.", metavar="TEXT")],
    as_json: Json = False,
) -> None:
    """Take a sale and its commission back."""
    with writing() as (_, work):
        row = commissions.refund_sale(work, relationship, reference, reason=reason)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command("list")
def listing(relationship: Relationship, *, limit: Limit = 100, as_json: Json = False) -> None:
    """List the sales a reseller brought, oldest first."""
    with reading() as connection:
        bound = relationships.get(connection, relationship)
        rows = commissions.listing(connection, bound, limit=limit)
    empty = "No sales: tillbell sales record REL SALE --product ID --amount A"
    view = table(rows, _COLUMNS, empty=empty)
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


@app.command()
def owed(relationship: Relationship, *, as_json: Json = False) -> None:
    """Show what commission is due to a reseller, and what it owes back."""
    with reading() as connection:
        found = commission_payments.owed(connection, relationship)
    names = {"due": "due", "owed back": "back"}
    facts = {
        title: money(found[f"{name}_minor"], found["currency"]) for title, name in names.items()
    }
    emit(found, details(facts), as_json=as_json)


@app.command()
def pay(relationship: Relationship, *, as_json: Json = False) -> None:
    """Pay a reseller its commissions, from the merchant's wallet to its own."""
    with writing() as (_, work):
        paid = commission_payments.pay(work, relationship)
    facts = {
        "payment": paid["payment_id"],
        "paid": money(paid["amount_minor"], paid["currency"]),
        "for sales": paid["sales"],
        "kept back": money(paid["back_minor"], paid["currency"]),
    }
    emit(paid, details(facts), as_json=as_json)


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "sale": row["sale_reference"],
            "product": row["product_id"],
            "campaign": row["campaign_id"],
            "amount": money(row["amount_minor"], row["currency"]),
            "commission": money(row["commission_minor"], row["currency"]),
            "that is": percent(row["commission_percent"]),
            "status": state(row["status"]),
            "recorded": row["created_at"],
            "refunded": row["refunded_at"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("SALE", "sale_reference", flexible=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
    Column("COMMISSION", lambda row: money(row["commission_minor"], row["currency"]), right=True),
    Column("AT", lambda row: brief(row["created_at"])),
    Column("PRODUCT", "product_id", wide=True),
    Column("CAMPAIGN", "campaign_id", wide=True),
)
