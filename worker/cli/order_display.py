"""How orders are shown: to the operator whole, to a participant as it sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from sqlalchemy import Connection

from engine import order_rows, order_views, tenants
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


def whole(connection: Connection, order_id: str) -> dict[str, Any]:
    """Return an order as the operator sees it: every hop, every line, the timeline."""
    order = order_rows.get(connection, order_id)
    currency = order["currency"]
    names = {row["id"]: row["name"] for row in tenants.chain(connection, order["origin_tenant_id"])}
    hops = order_rows.hops_of(connection, order["id"])
    lines = order_rows.lines_of(connection, order["id"])
    return {
        **_order(order),
        "chain": [
            with_money({**hop, "currency": currency, "name": names.get(hop["tenant_id"])})
            for hop in hops
        ],
        "items": [
            with_money(
                {name: line[name] for name in line if name != "unit_costs_minor"}
                | {"currency": currency}
            )
            for line in lines
        ],
        "timeline": order_views.timeline(connection, order["id"]),
    }


def emit_order(order: Row, *, as_json: bool) -> None:
    """Answer with one order as the operator sees it."""
    view = page(
        [
            _facts(order),
            section("Chain", table(order["chain"], _HOPS, empty="")),
            section("Items", table(order["items"], _LINES, empty="")),
            section("Timeline", table(order["timeline"], _STEPS, empty="")),
        ]
    )
    emit(order, view, as_json=as_json)


def emit_orders(rows: Sequence[Row], *, as_json: bool) -> None:
    """Answer with a list of orders."""
    view = table(rows, _ORDERS, empty="No orders: tillbell orders import FILE.jsonl --tenant ID")
    emit({"data": [_order(row) for row in rows]}, view, as_json=as_json)


def emit_view(seen: dict[str, Any], *, as_json: bool) -> None:
    """Answer with one order as a participant sees it (document 001)."""
    pricing, shipping, payment = seen["pricing"], seen["shipping"], seen["payment"]
    facts = details(
        {
            "id": seen["id"],
            "number": seen["origin_order_number"],
            "status": state(seen["chain_status"]),
            "customer": _words(seen["customer"]),
            "address": _words(seen["shipping_address"]),
            "total": money(pricing["origin_total_minor"], seen["currency"]),
            "its cost": money(pricing["your_cost_minor"], seen["currency"]),
            "its margin": money(pricing["your_margin_minor"], seen["currency"]),
            "payment": f"{payment['method']}, {payment['status']}",
            "shipping": " ".join(filter(None, (shipping["carrier"], shipping["tracking_number"]))),
        }
    )
    items = [{**item, "currency": seen["currency"]} for item in seen["items"]]
    view = page(
        [
            facts,
            section("Items", table(items, _ITEMS, empty="")),
            section("Timeline", table(seen["timeline"], _STEPS, empty="")),
        ]
    )
    emit(seen, view, as_json=as_json)


def _order(row: Row) -> dict[str, Any]:
    document = with_money(row)
    del document["fingerprint"]
    return document


def _facts(order: Row) -> RenderableType:
    shipping = (order["carrier"], order["tracking_number"])
    return details(
        {
            "id": order["id"],
            "number": order["origin_order_number"],
            "status": state(order["chain_status"]).append(_why(order)),
            "customer": _words(order["customer"]),
            "address": _words(order["shipping_address"]),
            "total": money(order["origin_total_minor"], order["currency"]),
            "payment": f"{order['payment_method']}, {order['payment_status']}",
            "shipping": " ".join(filter(None, shipping)) or None,
            "created": order["created_at"],
            "updated": order["updated_at"],
        }
    )


def _words(document: Row) -> str:
    return ", ".join(str(value) for value in document.values())


def _why(order: Row) -> str:
    return f" ({order['cancel_reason']})" if order["cancel_reason"] else ""


def _minor(name: str) -> Any:
    return lambda row: money(row[f"{name}_minor"], row["currency"])


_PRICE = Column("PRICE", _minor("unit_price"), right=True)
_ORDERS = (
    Column("ID", "id"),
    Column("NUMBER", "origin_order_number", flexible=True),
    Column("STATUS", lambda row: state(row["chain_status"])),
    Column("TOTAL", _minor("origin_total"), right=True),
    Column("CREATED", lambda row: brief(row["created_at"])),
    Column("PAYMENT", lambda row: f"{row['payment_method']}, {row['payment_status']}", wide=True),
    Column("ORIGIN", "origin_tenant_id", wide=True),
)
_HOPS = (
    Column("TENANT", "tenant_id"),
    Column("NAME", "name", flexible=True),
    Column("PAYS", _minor("cost"), right=True),
    Column("SELLS FOR", _minor("price"), right=True),
    Column("STATE", lambda row: state(row["hop_status"])),
)
_LINES = (
    Column("SKU", "sku", flexible=True),
    Column("NAME", "name", flexible=True),
    Column("PIECES", "quantity", right=True),
    _PRICE,
    Column("STATE", lambda row: state(row["line_status"])),
    Column("DELIVERY", "deliver_id", flexible=True),
)
_ITEMS = (*_LINES[:3], _PRICE)
_STEPS = (
    Column("#", "seq", right=True),
    Column("AT", "at"),
    Column("ACTION", "action"),
    Column("TO", lambda row: state(row["to_status"])),
    Column("BY", "actor", flexible=True),
    Column("REASON", "reason", flexible=True),
)
