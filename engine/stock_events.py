"""What merchant and reseller hear of stock transfers, items and fulfilments; never a serial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields
from engine.reseller_events import sides

Row = Mapping[str, Any]


def transfer(relationship: Row, row: Row) -> list[EventDraft]:
    """Return ``stock_transfer.<status>`` for merchant and reseller."""
    data = {
        "transfer_id": row["id"],
        "product_id": row["product_id"],
        "quantity": row["quantity"],
        "status": row["status"],
        "invoice_id": row["invoice_id"],
        "payment_method": row["payment_method"],
        "currency": row["currency"],
        **money_fields(
            row["currency"], unit_price=row["unit_price_minor"], total=row["total_minor"]
        ),
        "created_at": iso_seconds(row["created_at"]),
        "changed_at": iso_seconds(row["updated_at"]),
    }
    name = f"stock_transfer.{row['status']}"
    return _both(relationship, name, ("stock_transfer", row["id"], row["version"]), data)


def item_delivered(relationship: Row, item: Row, row: Row) -> list[EventDraft]:
    """Return ``stock_item.delivered`` for merchant and reseller; ``row`` is the item's transfer."""
    data = {
        "item_id": item["id"],
        "transfer_id": row["id"],
        "product_id": item["product_id"],
        "delivered_at": iso_seconds(item["delivered_at"]),
        "transfer_status": row["status"],
        "delivered_quantity": row["delivered_quantity"],
        "quantity": row["quantity"],
    }
    return _both(relationship, "stock_item.delivered", ("stock_item", item["id"], 1), data)


def fulfillment(relationship: Row, row: Row) -> list[EventDraft]:
    """Return ``fulfillment.delivered`` or ``.refunded`` for reseller and merchant."""
    data = {
        "fulfillment_id": row["id"],
        "external_order_id": row["external_order_id"],
        "product_id": row["product_id"],
        "quantity": row["quantity"],
        "status": row["status"],
        "currency": row["currency"],
        **money_fields(row["currency"], unit_price=row["unit_price_minor"], cost=row["cost_minor"]),
        "delivered_at": iso_seconds(row["delivered_at"]),
    }
    if row["refunded_at"] is not None:
        data["refunded_at"] = iso_seconds(row["refunded_at"])
    name = f"fulfillment.{row['status']}"
    return _both(relationship, name, ("fulfillment", row["id"], row["version"]), data)


def _both(
    relationship: Row, name: str, subject: tuple[str, str, int], data: Row
) -> list[EventDraft]:
    subject_type, subject_id, version = subject
    return [
        EventDraft(
            tenant_id=tenant_id,
            type=name,
            subject_type=subject_type,
            subject_id=subject_id,
            sequence=version,
            dedupe_key=f"{subject_type}:{subject_id}:{version}",
            raised_by="engine",
            data={**view, **data},
        )
        for tenant_id, view in sides(relationship).items()
    ]
