"""Profiles: the same event as different receivers expect its body. Pure."""

from __future__ import annotations

from typing import Any

import orjson

from dispatcher import shoppex
from engine.money import json_amount

#: ``envelope`` is document 001's, ``flat`` document 000's, ``shoppex`` document 002's.
PROFILES = ("envelope", "flat", "shoppex")


def render(profile: str, envelope: bytes) -> bytes:
    """Return the bytes a profile sends for an event whose envelope is given.

    ``flat`` reshapes order lines and product updates; a type that document 000 does not know keeps
    its envelope.
    """
    if profile == "envelope":
        return envelope
    if profile == "shoppex":
        return shoppex.render(envelope)
    event = orjson.loads(envelope)
    shape = _FLAT.get(event["event"])
    return envelope if shape is None else orjson.dumps(shape(event))


def _order_line(event: dict[str, Any]) -> dict[str, Any]:
    """Document 000, Order Delivery Webhook."""
    data = event["data"]
    return {
        "DeliverID": data["deliver_id"],
        "OrderDetailID": data["order_detail_id"],
        "Status": data["status"],
        "DeliveryData": data.get("delivery_data") or [],
        "DeliveryNote": data.get("delivery_note"),
    }


def _product(event: dict[str, Any]) -> dict[str, Any]:
    """Document 000, Product Update Webhook: what changed, flat, with the receiver's own price."""
    data = event["data"]
    new = data["new"]
    return {
        "ProductID": data["product_id"],
        "Sku": data["sku"],
        "Changed": data["changed"],
        "Price": json_amount(new["price_minor"], data["currency"]),
        "Stock": new["stock"],
        "Status": new["status"],
        "IsAvailable": new["is_available"],
        "Currency": data["currency"],
        "Version": data["version"],
        "UpdatedAt": event["timestamp"],
    }


_FLAT = {"order.line_updated": _order_line, "product.updated": _product}
