"""Products: what a tenant sells at the top of its chains (document 001, master products)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy import update as update_rows

from engine import stock, tenants
from engine.errors import AlreadyExists, InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.inputs import (
    check_choice,
    check_document,
    check_flag,
    check_integer,
    check_keys,
    check_percent,
    check_text,
)
from engine.money import parse_amount
from engine.price_cascade import Offer, reprice
from engine.product_changes import keep_first, mark
from engine.product_tables import products
from engine.stock import STOCK_MAX, Move
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

STATUSES = ("active", "inactive", "archived")
FIELDS = {
    "sku",
    "name",
    "description",
    "base_cost",
    "minimum_margin_percent",
    "recommended_retail_price",
    "stock_quantity",
    "track_inventory",
    "images",
    "attributes",
    "status",
}
REQUIRED = ("sku", "name", "base_cost")
#: Columns whose change the tenants that sell a product hear of (document 000).
TOLD = ("base_cost_minor", "stock_quantity", "stock_allocated", "status")


def create(work: UnitOfWork, tenant_id: str, product: Mapping[str, Any]) -> dict[str, Any]:
    """Add a product of ``tenant_id`` from document 001's fields and return its row.

    Raises InvalidInput naming the field, NotFound (tenant) or AlreadyExists (sku).
    """
    owner = tenants.get(work.connection, tenant_id)
    for name in REQUIRED:
        if name not in product:
            raise InvalidInput(f"a product needs {name}", field=name)
    row = {
        "id": new_id(),
        "tenant_id": owner["id"],
        "currency": owner["currency"],
        "stock_allocated": 0,
        "version": 1,
        "created_at": work.now,
        "updated_at": work.now,
        **_columns({**_DEFAULTS, **product}, owner["currency"]),
    }
    if not insert_missing(work.connection, products, [row], ["tenant_id", "sku"]):
        raise AlreadyExists(f"tenant {tenant_id} has a product {row['sku']!r}", field="sku")
    stock.write_move(work, row, Move("opening", on_hand=row["stock_quantity"]))
    keep_first(work, row, Offer(owner["id"], row["base_cost_minor"], is_sellable=True))
    return row


def update(
    work: UnitOfWork, product_id: str, changes: Mapping[str, Any], *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Change fields of a product, cascade its price and return the row.

    Who sells it hears ``product.updated`` soon after. Raises NotFound (also when it is not
    ``tenant_id``'s), InvalidInput, or AlreadyExists (sku).
    """
    before = lock(work, product_id, tenant_id=tenant_id)
    columns = _columns(changes, before["currency"])
    if all(before[name] == value for name, value in columns.items()):
        return before
    if columns.get("sku", before["sku"]) != before["sku"]:
        _require_free_sku(work.connection, before, columns["sku"])
    return change(work, before, columns | _allocation(work.connection, before, columns))


def change(
    work: UnitOfWork,
    before: Mapping[str, Any],
    columns: Mapping[str, Any],
    reason: str = "correction",
) -> dict[str, Any]:
    """Store the next version of a locked product with all that follows from it; return the row.

    Raises InvalidInput for a stock below what is set aside, or InvalidAmount (a price below it).
    """
    after = {**before, **columns, "version": before["version"] + 1, "updated_at": work.now}
    _check_stock(after)
    values = {name: value for name, value in after.items() if name != "id"}
    work.connection.execute(
        update_rows(products).where(products.c.id == after["id"]).values(values)
    )
    if any(after[name] != before[name] for name in ("stock_quantity", "stock_allocated")):
        stock.write_correction(work, after, reason)
    if after["base_cost_minor"] != before["base_cost_minor"]:
        reprice(work.connection, after, work.now)
    if any(after[name] != before[name] for name in TOLD):
        mark(work, after["id"])
    return after


def recount(work: UnitOfWork, product_id: str) -> bool:
    """Set aside exactly what accepted orders wait for; tell whether that could be done.

    It cannot when they wait for more than there is, or no move explains what is there: then
    somebody has to count, and a correction of the one must not swallow the other.
    """
    row = lock(work, product_id)
    newest = stock.moves_of(work.connection, row["id"], limit=1)
    if [move["on_hand"] for move in newest] != [row["stock_quantity"]]:
        return False
    tracked = row["track_inventory"]
    waiting = stock.open_items(work.connection, row["id"]) if tracked else 0
    if waiting == row["stock_allocated"] or waiting > row["stock_quantity"]:
        return False
    change(work, row, {"stock_allocated": waiting}, "recounted")
    return True


def get(connection: Connection, product_id: str) -> dict[str, Any]:
    """Return one product's row, or raise NotFound."""
    return _get(connection, product_id, locked=False)


def lock(work: UnitOfWork, product_id: str, *, tenant_id: str | None = None) -> dict[str, Any]:
    """Return a product's row, locked, or raise NotFound when it is not the tenant's."""
    row = _get(work.connection, product_id, locked=True)
    if tenant_id is not None and row["tenant_id"] != tenant_id:
        raise NotFound(f"no product {product_id!r}", field="product_id", value=product_id)
    return row


def listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    status: str | None = None,
    search: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Return products in the order of their creation; ``search`` looks into name and sku."""
    query = select(products).order_by(products.c.id).limit(limit).offset(offset)
    if tenant_id is not None:
        query = query.where(products.c.tenant_id == tenant_id)
    if status is not None:
        query = query.where(products.c.status == check_choice(status, STATUSES, field="status"))
    if search:
        found_in_name = products.c.name.icontains(search, autoescape=True)
        query = query.where(found_in_name | products.c.sku.icontains(search, autoescape=True))
    return [dict(row) for row in connection.execute(query).mappings()]


_DEFAULTS = {
    "description": "",
    "minimum_margin_percent": 0,
    "recommended_retail_price": None,
    "stock_quantity": 0,
    "track_inventory": True,
    "images": [],
    "attributes": {},
    "status": "active",
}


def _columns(fields: Mapping[str, Any], currency: str) -> dict[str, Any]:
    """Return the columns that document 001's field names stand for."""
    columns: dict[str, Any] = {}
    for name, value in check_keys(fields, FIELDS, field="product").items():
        match name:
            case "sku" | "name":
                columns[name] = check_text(
                    value, field=name, length_max=100 if name == "sku" else 300
                )
            case "description":
                columns[name] = check_text(value, field=name, length_max=10_000, empty=True)
            case "base_cost":
                columns["base_cost_minor"] = parse_amount(value, currency, field=name)
            case "recommended_retail_price":
                columns["rrp_minor"] = (
                    None if value is None else parse_amount(value, currency, field=name)
                )
            case _:
                columns.update(_other_column(name, value))
    return columns


def _other_column(name: str, value: object) -> dict[str, Any]:
    match name:
        case "minimum_margin_percent":
            return {"min_margin_percent": check_percent(value, field=name)}
        case "stock_quantity":
            return {name: check_integer(value, field=name, minimum=0, maximum=STOCK_MAX)}
        case "track_inventory":
            return {name: check_flag(value, field=name)}
        case "status":
            return {name: check_choice(value, STATUSES, field=name)}
        case _:
            kind = list if name == "images" else dict
            return {name: check_document(value, kind, field=name)}


def _check_stock(row: Mapping[str, Any]) -> None:
    if row["stock_quantity"] < row["stock_allocated"]:
        raise InvalidInput(
            f"{row['stock_allocated']} pieces are reserved by orders; the stock cannot be fewer",
            field="stock_quantity",
            value=row["stock_quantity"],
        )


def _allocation(
    connection: Connection, before: Mapping[str, Any], columns: Mapping[str, Any]
) -> dict[str, int]:
    """Return what is set aside once tracking begins or ends: what accepted orders wait for."""
    tracked = columns.get("track_inventory", before["track_inventory"])
    if tracked == before["track_inventory"]:
        return {}
    return {"stock_allocated": stock.open_items(connection, before["id"]) if tracked else 0}


def _require_free_sku(connection: Connection, row: Mapping[str, Any], sku: str) -> None:
    same = (products.c.tenant_id == row["tenant_id"]) & (products.c.sku == sku)
    if connection.execute(select(products.c.id).where(same)).first() is not None:
        raise AlreadyExists(f"there is a product {sku!r} already", field="sku")


def _get(connection: Connection, product_id: str, *, locked: bool) -> dict[str, Any]:
    row = None
    if is_id(product_id):
        query = select(products).where(products.c.id == product_id.lower())
        row = (
            connection.execute(query.with_for_update(key_share=True) if locked else query)
            .mappings()
            .first()
        )
    if row is None:
        raise NotFound(f"no product {product_id!r}", field="product_id", value=product_id)
    return dict(row)
