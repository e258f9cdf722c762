"""``tillbell products``: what is sold, and what each level of a chain pays for it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import pricing, products
from engine.stock import moves_of
from worker.cli.documents import read_object
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, OfTenant, Tenant
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

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The product's id.", metavar="ID", show_default=False)]
Sku = Annotated[str | None, typer.Option(help="Its number, unique per tenant.", metavar="SKU")]
Name = Annotated[str | None, typer.Option(help="What it is called.", metavar="N")]
BaseCost = Annotated[str | None, typer.Option(help="What its owner pays.", metavar="AMOUNT")]
RetailPrice = Annotated[
    str | None, typer.Option("--rrp", help="The recommended retail price.", metavar="AMOUNT")
]
Stock = Annotated[int | None, typer.Option(help="Pieces in stock.", metavar="N")]
Status = Annotated[str | None, typer.Option(help=" or ".join(products.STATUSES), metavar="S")]
Data = Annotated[
    str, typer.Option(help="More of document 001's fields: a JSON object or @file.", metavar="JSON")
]


@app.command()
def create(
    *,
    tenant: Tenant,
    sku: Sku = None,
    name: Name = None,
    base_cost: BaseCost = None,
    rrp: RetailPrice = None,
    stock: Stock = None,
    status: Status = None,
    data: Data = "{}",
    as_json: Json = False,
) -> None:
    """Add a product that a tenant sells at the top of its chains."""
    fields = _fields(
        data,
        sku=sku,
        name=name,
        base_cost=base_cost,
        recommended_retail_price=rrp,
        stock_quantity=stock,
        status=status,
    )
    with writing() as (_, work):
        row = products.create(work, tenant, fields)
    emit(_public(row), _facts(row), as_json=as_json)


@app.command()
def update(
    product_id: Id,
    *,
    sku: Sku = None,
    name: Name = None,
    base_cost: BaseCost = None,
    rrp: RetailPrice = None,
    stock: Stock = None,
    status: Status = None,
    data: Data = "{}",
    as_json: Json = False,
) -> None:
    """Change what is given; a new price runs down the chain, and all who sell it are told."""
    fields = _fields(
        data,
        sku=sku,
        name=name,
        base_cost=base_cost,
        recommended_retail_price=rrp,
        stock_quantity=stock,
        status=status,
    )
    with writing() as (_, work):
        row = products.update(work, product_id, fields)
    emit(_public(row), _facts(row), as_json=as_json)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    status: Status = None,
    search: Annotated[str | None, typer.Option(help="Part of the name or sku.")] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List products in the order of their creation."""
    with reading() as connection:
        rows = products.listing(
            connection, tenant_id=tenant, status=status, search=search, limit=limit
        )
    empty = "No products: tillbell products create --tenant ID --sku S --name N --base-cost A"
    view = table(rows, _COLUMNS, empty=empty)
    emit({"data": [_public(row) for row in rows]}, view, as_json=as_json)


@app.command()
def show(product_id: Id, *, as_json: Json = False) -> None:
    """Show one product."""
    with reading() as connection:
        row = products.get(connection, product_id)
    emit(_public(row), _facts(row), as_json=as_json)


@app.command()
def moves(product_id: Id, *, limit: Limit = 100, as_json: Json = False) -> None:
    """List what moved a product's stock, newest first."""
    with reading() as connection:
        rows = moves_of(connection, products.get(connection, product_id)["id"], limit=limit)
    view = table(rows, _MOVES, empty="No moves.")
    emit({"data": rows}, view, as_json=as_json)


@app.command()
def price(
    product_id: Id,
    *,
    tenant: Tenant,
    margin: Annotated[
        str, typer.Option(help="What it pays above its parent's cost, in percent.", metavar="P")
    ],
    available: Annotated[bool, typer.Option(help="Whether it may sell the product.")] = True,
    as_json: Json = False,
) -> None:
    """Set the markup a tenant pays its parent, and re-price everything below it."""
    with writing() as (_, work):
        row = pricing.set_margin(work, product_id, tenant, margin, is_available=available)
        currency = products.get(work.connection, product_id)["currency"]
    facts = details(
        {
            "product": row["product_id"],
            "tenant": row["tenant_id"],
            "pays its parent": money(row["cost_minor"], currency),
            "markup": f"{row['margin_percent'].normalize():f} %",
            "may sell it": row["is_available"],
        }
    )
    emit(with_money({"currency": currency, **row}), facts, as_json=as_json)


@app.command()
def breakdown(product_id: Id, *, tenant: Tenant, as_json: Json = False) -> None:
    """Show how a tenant's cost comes about, level by level."""
    with reading() as connection:
        found = pricing.breakdown(connection, product_id, tenant)
        currency = products.get(connection, product_id)["currency"]
    rows = [{**level, "currency": currency} for level in found["breakdown"]]
    view = page(
        [
            details(
                {
                    "product": f"{found['product']['name']}  {found['product']['id']}",
                    "its cost": money(found["your_cost_minor"], currency),
                }
            ),
            section("Level by level", table(rows, _LEVELS, empty="The owner pays the base cost.")),
        ]
    )
    emit({**found, "currency": currency}, view, as_json=as_json)


def _fields(data: str, **given: Any) -> dict[str, Any]:
    """Return document 001's fields: those of ``data``, and over them those given by name."""
    named = {name: value for name, value in given.items() if value is not None}
    return {**read_object(data, field="data"), **named}


def _public(row: Row) -> dict[str, Any]:
    """Return a product's JSON with document 001's names."""
    document = with_money(row, rrp="recommended_retail_price")
    document["minimum_margin_percent"] = document.pop("min_margin_percent")
    return document


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "tenant": row["tenant_id"],
            "sku": row["sku"],
            "name": row["name"],
            "description": row["description"],
            "base cost": money(row["base_cost_minor"], row["currency"]),
            "retail price": money(row["rrp_minor"], row["currency"]),
            "least margin": f"{row['min_margin_percent'].normalize():f} %",
            "stock": _stock(row),
            "status": state(row["status"]),
            "version": row["version"],
            "created": row["created_at"],
            "updated": row["updated_at"],
        }
    )


def _stock(row: Row) -> Text:
    if not row["track_inventory"]:
        return Text("not tracked", style="dim")
    written = Text(f"{row['stock_quantity']:,}")
    reserved = f" ({row['stock_allocated']:,} reserved)" if row["stock_allocated"] else ""
    return written.append(reserved, style="dim")


def _moved(row: Row, name: str) -> Text:
    """Return what there was afterwards, and before it how that came."""
    delta = row[f"{name}_delta"]
    return Text(f"{delta:+,}  " if delta else "", style="dim").append(f"{row[name]:,}", style="")


_COLUMNS = (
    Column("ID", "id"),
    Column("SKU", "sku", flexible=True),
    Column("NAME", "name", flexible=True),
    Column("BASE COST", lambda row: money(row["base_cost_minor"], row["currency"]), right=True),
    Column("STOCK", _stock, right=True),
    Column("STATUS", lambda row: state(row["status"]), wide=True),
    Column("TENANT", "tenant_id", wide=True),
)
_MOVES = (
    Column("VERSION", "version", right=True),
    Column("WHY", "reason"),
    Column("ON HAND", lambda row: _moved(row, "on_hand"), right=True),
    Column("RESERVED", lambda row: _moved(row, "allocated"), right=True),
    Column("FOR", "reference_id"),
    Column("WHEN", lambda row: brief(row["created_at"])),
    Column("BY", "actor", wide=True),
)
_LEVELS = (
    Column("LEVEL", "level", right=True),
    Column("SELLER", "tenant_name", flexible=True),
    Column("PAYS", lambda row: money(row["cost_minor"], row["currency"]), right=True),
    Column("MARKUP", lambda row: money(row["margin_amount_minor"], row["currency"]), right=True),
    Column("SELLS FOR", lambda row: money(row["selling_price_minor"], row["currency"]), right=True),
)
