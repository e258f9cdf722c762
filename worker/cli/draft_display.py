"""How drafts are shown, and the orders they become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import RenderableType

from worker.cli.moments import brief
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


def emit_draft(shown: Row, *, as_json: bool) -> None:
    """Answer with one draft, or the order it became."""
    total_minor = sum(item["quantity"] * item["unit_price_minor"] for item in shown["items"])
    expires_at = shown["expires_at"]
    facts = details(
        {
            "id": shown["id"],
            "number": shown["external_order_id"],
            "stage": shown["stage"],
            "status": state(shown["status"]),
            "account": shown["account_id"],
            "customer": _words(shown["customer"]),
            "address": _words(shown["shipping_address"]),
            "payment": shown["payment"]["method"],
            "total": money(total_minor, shown["currency"]),
            "date": shown["order_date"],
            "expires": None if expires_at is None else datetime.fromisoformat(expires_at),
        }
    )
    parts = [facts, section("Items", _items(shown["items"], shown["currency"]))]
    if shown["custom_fields"]:
        parts.append(section("Custom fields", details(shown["custom_fields"])))
    emit(shown, page(parts), as_json=as_json)


def emit_items(rows: Sequence[Row], currency: str, *, as_json: bool) -> None:
    """Answer with the items of an order."""
    emit({"data": list(rows)}, _items(rows, currency), as_json=as_json)


def emit_stages(rows: Sequence[Row], total: int, *, as_json: bool) -> None:
    """Answer with drafts and orders side by side."""
    document = {"data": [with_money(row) for row in rows], "total": total}
    empty = "None: a draft is made with tillbell drafts create --tenant ID"
    emit(document, table(rows, _STAGES, empty=empty), as_json=as_json)


def emit_fields(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Answer with custom fields or characteristics."""
    emit(dict(found), details(found), as_json=as_json)


def emit_status(found: Row, *, as_json: bool) -> None:
    """Answer with the execution of an order."""
    facts = details(
        {
            "id": found["order_id"],
            "execution": state(found["status"]),
            "status": state(found["chain_status"]),
            "payment": found["payment_status"],
            "updated": datetime.fromisoformat(found["updated_at"]),
        }
    )
    lines = table(found["items"], _EXECUTED, empty="")
    emit(found, page([facts, section("Items", lines)]), as_json=as_json)


def _items(rows: Sequence[Row], currency: str) -> RenderableType:
    priced = [{**row, "currency": currency} for row in rows]
    return table(priced, _ITEMS, empty="None yet: tillbell drafts items add ID --sku SKU")


def _words(document: Row) -> str:
    return ", ".join(str(value) for value in document.values())


_ITEMS = (
    Column("ID", "id"),
    Column("SKU", "sku", flexible=True),
    Column("PIECES", "quantity", right=True),
    Column("PRICE", lambda row: money(row["unit_price_minor"], row["currency"]), right=True),
    Column("STATE", lambda row: state(row["status"])),
    Column("CHARACTERISTICS", lambda row: row["characteristics"] or None, wide=True, flexible=True),
)
_STAGES = (
    Column("ID", "id"),
    Column("NUMBER", "number", flexible=True),
    Column("STAGE", "stage", flexible=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("TOTAL", lambda row: money(row["total_minor"], row["currency"]), right=True),
    Column("EXPIRES", lambda row: brief(row["expires_at"])),
    Column("CREATED", lambda row: brief(row["created_at"]), wide=True),
    Column("RESELLER", "tenant_id", wide=True),
    Column("ACCOUNT", "account_id", wide=True),
)
_EXECUTED = (
    Column("ID", "id"),
    Column("SKU", "sku", flexible=True),
    Column("STATE", lambda row: state(row["status"])),
)
