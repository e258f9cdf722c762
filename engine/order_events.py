"""What each participant hears of a chain order: its own prices only (domain.md 2.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields
from engine.order_rows import Row

#: The line states of document 000.
LINE_CODES = {"cancelled": 0, "delivered": 1, "processing": 2, "removed": 3}


def pricing_view(order: Mapping[str, Any], hop: Row) -> dict[str, Any]:
    """Return document 001's ``pricing`` for one participant; what is hidden from it is null."""
    seen = sees_total(order, hop)
    return money_fields(
        order["currency"],
        origin_total=order["origin_total_minor"] if seen else None,
        your_cost=hop["cost_minor"],
        your_margin=hop["price_minor"] - hop["cost_minor"],
        cod_amount=order["cod_amount_minor"] if seen else None,
    )


def sees_total(order: Mapping[str, Any], hop: Row) -> bool:
    """Tell whether a participant may know what the customer pays: hidden, who collects it too."""
    collector = order["collector_tenant_id"] or order["fulfiller_tenant_id"]
    collects = order["payment_method"] == "cod" and hop["tenant_id"] == collector
    origin = hop["tenant_id"] == order["origin_tenant_id"]
    return not order["hide_origin_total"] or origin or collects


def items_view(order: Mapping[str, Any], lines: Sequence[Row], hop: Row) -> list[dict[str, Any]]:
    """Return the lines at the price this participant sells them for."""
    views = []
    for line in lines:
        prices = [*line["unit_costs_minor"], line["unit_price_minor"]]
        views.append(
            {
                "product_id": line["product_id"],
                "sku": line["sku"],
                "name": line["name"],
                "quantity": line["quantity"],
                **money_fields(order["currency"], unit_price=prices[hop["position"] + 1]),
            }
        )
    return views


def shipping_view(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return document 001's ``shipping``."""
    shipped_at = order["shipped_at"]
    return {
        "carrier": order["carrier"],
        "tracking_number": order["tracking_number"],
        "shipped_at": None if shipped_at is None else iso_seconds(shipped_at),
    }


def sees_customer(order: Mapping[str, Any], hop: Row) -> bool:
    """Tell whether a participant may know the customer: the origin and the fulfiller only."""
    return hop["tenant_id"] in {order["origin_tenant_id"], order["fulfiller_tenant_id"]}


def created(order: Mapping[str, Any], lines: Sequence[Row], hop: Row) -> EventDraft:
    """Return ``chain_order.created`` for a tenant that sees the order for the first time."""
    data = {
        **_head(order),
        "chain_status": order["chain_status"],
        "payment": {"method": order["payment_method"], "status": order["payment_status"]},
        "pricing": pricing_view(order, hop),
        "items": items_view(order, lines, hop),
        "created_at": iso_seconds(order["created_at"]),
        **_customer(order, hop),
    }
    return _draft(order, hop, "chain_order.created", "created", data)


def status_changed(order: Mapping[str, Any], hop: Row, step: Mapping[str, Any]) -> EventDraft:
    """Return ``chain_order.status_changed``; ``step`` is the row of the timeline."""
    data = {
        **_head(order),
        "previous_status": step["from_status"],
        "status": step["to_status"],
        "changed_at": iso_seconds(step["at"]),
        "seq": step["seq"],
        "pricing": pricing_view(order, hop),
    }
    if step["reason"] is not None:
        data["reason"] = step["reason"]
    if order["shipped_at"] is not None:
        data["shipping"] = shipping_view(order)
    if step["to_status"] == "accepted" and hop["tenant_id"] == order["fulfiller_tenant_id"]:
        data.update(_customer(order, hop))
    return _draft(order, hop, "chain_order.status_changed", str(step["seq"]), data)


def delivered(
    order: Mapping[str, Any], hop: Row, flow_type: str | None, owed: Sequence[Row]
) -> EventDraft:
    """Return ``chain_order.delivered``; of the remittances in ``owed`` each hears its own."""
    tenant_id = hop["tenant_id"]
    pricing = pricing_view(order, hop)
    own = [row["id"] for row in owed if tenant_id in {row["payer_id"], row["payee_id"]}]
    data = {
        **_head(order),
        "delivered_at": iso_seconds(order["delivered_at"]),
        "cod_amount": pricing["cod_amount"],
        "cod_amount_minor": pricing["cod_amount_minor"],
        "settlement": {"flow_type": flow_type, "remittance_ids": own},
    }
    return _draft(order, hop, "chain_order.delivered", "delivered", data)


def reminder(order: Mapping[str, Any], hop: Row, limit_hours: int) -> EventDraft:
    """Return ``chain_order.reminder`` for whoever's turn it has been for longer than the limit."""
    data = {
        **_head(order),
        "chain_status": order["chain_status"],
        "since": iso_seconds(order["updated_at"]),
        "limit_hours": limit_hours,
    }
    return _draft(order, hop, "chain_order.reminder", f"reminder:{order['version']}", data)


def line_updated(order: Mapping[str, Any], line: Row) -> EventDraft | None:
    """Return ``order.line_updated`` for the origin, or None for a line without its numbers."""
    code = LINE_CODES.get(line["line_status"])
    if code is None or (line["deliver_id"] is None and line["order_detail_id"] is None):
        return None
    return EventDraft(
        tenant_id=order["origin_tenant_id"],
        type="order.line_updated",
        subject_type="order_line",
        subject_id=line["id"],
        sequence=line["version"],
        dedupe_key=f"order_line:{line['id']}:{line['version']}",
        raised_by="engine",
        data={
            "deliver_id": line["deliver_id"],
            "order_detail_id": line["order_detail_id"],
            "status": code,
            "delivery_data": line["delivery_data"],
            "delivery_note": line["delivery_note"],
            "chain_order_id": order["id"],
        },
    )


def _head(order: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "chain_order_id": order["id"],
        "origin_order_number": order["origin_order_number"],
    }


def _customer(order: Mapping[str, Any], hop: Row) -> dict[str, Any]:
    if not sees_customer(order, hop):
        return {}
    return {"customer": order["customer"], "shipping_address": order["shipping_address"]}


def _draft(
    order: Mapping[str, Any], hop: Row, name: str, key: str, data: dict[str, Any]
) -> EventDraft:
    return EventDraft(
        tenant_id=hop["tenant_id"],
        type=name,
        subject_type="chain_order",
        subject_id=order["id"],
        sequence=order["version"],
        dedupe_key=f"chain_order:{order['id']}:{key}",
        raised_by="engine",
        data=data,
    )
