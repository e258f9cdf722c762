"""What merchant and reseller hear of affiliate sales and embed campaigns (document 002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields
from engine.pricing import json_percent
from engine.reseller_events import sides

Row = Mapping[str, Any]


def made(relationship: Row, sale: Row) -> list[EventDraft]:
    """Return ``reseller.sale`` for merchant and reseller."""
    return _sale(relationship, sale, "reseller.sale", 1)


def refunded(relationship: Row, sale: Row) -> list[EventDraft]:
    """Return ``reseller.sale_refunded`` for merchant and reseller."""
    return _sale(relationship, sale, "reseller.sale_refunded", 2)


def commission_paid(relationship: Row, payment: Row) -> list[EventDraft]:
    """Return ``reseller.commission_paid`` for merchant and reseller."""
    return [
        EventDraft(
            tenant_id=tenant_id,
            type="reseller.commission_paid",
            subject_type="commission_payment",
            subject_id=payment["payment_id"],
            dedupe_key=f"commission_payment:{payment['payment_id']}",
            raised_by="engine",
            data={**view, **payment},
        )
        for tenant_id, view in sides(relationship).items()
    ]


def campaign(relationship: Row, row: Row, change: str) -> list[EventDraft]:
    """Return ``reseller.embed_campaign_created`` or ``_updated`` for merchant and reseller."""
    return [
        EventDraft(
            tenant_id=tenant_id,
            type=f"reseller.embed_campaign_{change}",
            subject_type="embed_campaign",
            subject_id=row["id"],
            sequence=row["version"],
            dedupe_key=f"embed_campaign:{row['id']}:{row['version']}",
            raised_by="engine",
            data={
                **view,
                "campaign_id": row["id"],
                "name": row["name"],
                "product_ids": row["product_ids"],
                "status": row["status"],
            },
        )
        for tenant_id, view in sides(relationship).items()
    ]


def _sale(relationship: Row, sale: Row, name: str, sequence: int) -> list[EventDraft]:
    data = {
        "sale_id": sale["id"],
        "sale_reference": sale["sale_reference"],
        "product_id": sale["product_id"],
        "campaign_id": sale["campaign_id"],
        "quantity": sale["quantity"],
        "status": sale["status"],
        "currency": sale["currency"],
        **money_fields(
            sale["currency"], amount=sale["amount_minor"], commission=sale["commission_minor"]
        ),
        "commission_percent": json_percent(sale["commission_percent"]),
        "created_at": iso_seconds(sale["created_at"]),
    }
    return [
        EventDraft(
            tenant_id=tenant_id,
            type=name,
            subject_type="affiliate_sale",
            subject_id=sale["id"],
            sequence=sequence,
            dedupe_key=f"affiliate_sale:{sale['id']}:{sequence}",
            raised_by="engine",
            data={**view, **data},
        )
        for tenant_id, view in sides(relationship).items()
    ]
