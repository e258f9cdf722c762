"""Examples of the events of reseller programs (document 002), as complete as real ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.money import money_fields

COUNTERPARTY = "01900000-0000-7000-8000-00000000000b"
PRODUCT = "01900000-0000-7000-8000-000000000002"
RELATIONSHIP = "01900000-0000-7000-8000-000000000006"
INVITATION = "01900000-0000-7000-8000-000000000007"
SALE = "01900000-0000-7000-8000-000000000008"
CAMPAIGN = "01900000-0000-7000-8000-000000000009"
TRANSFER = "01900000-0000-7000-8000-00000000000c"
ITEM = "01900000-0000-7000-8000-00000000000d"
FULFILLMENT = "01900000-0000-7000-8000-00000000000e"
PAYMENT = "01900000-0000-7000-8000-000000000010"
INVOICE = "01900000-0000-7000-8000-00000000000f"
CURRENCY = "INR"

_RELATIONSHIP = {
    "reseller_relationship_id": RELATIONSHIP,
    "role": "reseller",
    "counterparty_tenant_id": COUNTERPARTY,
}
_TERMS = {
    **_RELATIONSHIP,
    "status": "active",
    "mode": "both",
    "custom_commission_percent": 30,
    "custom_wholesale_discount_percent": None,
    "purchase_limit_daily": 50,
    "terms_days": 7,
    "currency": CURRENCY,
    **money_fields(CURRENCY, credit_limit=500_000, min_payout_threshold=5000),
}
_SALE = {
    **_RELATIONSHIP,
    "sale_id": SALE,
    "sale_reference": "order-1001",
    "product_id": PRODUCT,
    "campaign_id": CAMPAIGN,
    "quantity": 1,
    "status": "accrued",
    "currency": CURRENCY,
    **money_fields(CURRENCY, amount=15500, commission=4650),
    "commission_percent": 30,
    "created_at": "2026-03-02T09:30:00Z",
}
_CAMPAIGN = {
    **_RELATIONSHIP,
    "campaign_id": CAMPAIGN,
    "name": "Discord Launch",
    "product_ids": [PRODUCT],
    "status": "active",
}
_TRANSFER = {
    **_RELATIONSHIP,
    "transfer_id": TRANSFER,
    "product_id": PRODUCT,
    "quantity": 25,
    "status": "requested",
    "invoice_id": None,
    "payment_method": None,
    "currency": CURRENCY,
    **money_fields(CURRENCY, unit_price=13000, total=325_000),
    "created_at": "2026-03-02T09:30:00Z",
    "changed_at": "2026-03-02T09:30:00Z",
}
_INVOICED = {**_TRANSFER, "status": "invoiced", "invoice_id": INVOICE}
_PAID = {**_INVOICED, "status": "paid", "payment_method": "prepaid"}
_FULFILLMENT = {
    **_RELATIONSHIP,
    "fulfillment_id": FULFILLMENT,
    "external_order_id": "order-1001",
    "product_id": PRODUCT,
    "quantity": 1,
    "status": "delivered",
    "currency": CURRENCY,
    **money_fields(CURRENCY, unit_price=13000, cost=13000),
    "delivered_at": "2026-03-02T09:30:00Z",
}

RESELLER_EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "reseller.invited": {
        "invitation_id": INVITATION,
        "mode": "both",
        "custom_commission_percent": 30,
        "status": "pending",
        "expires_at": "2026-03-16T09:30:00Z",
    },
    "reseller.accepted": {
        **_TERMS,
        "invitation_id": INVITATION,
        "accepted_at": "2026-03-03T08:00:00Z",
    },
    "reseller.updated": _TERMS,
    "reseller.sale": _SALE,
    "reseller.sale_refunded": {**_SALE, "status": "refunded"},
    "reseller.commission_paid": {
        **_RELATIONSHIP,
        "payment_id": PAYMENT,
        "sales": 3,
        "sales_refunded": 1,
        "currency": CURRENCY,
        **money_fields(CURRENCY, amount=9300, due=13950, back=4650),
    },
    "reseller.embed_campaign_created": _CAMPAIGN,
    "reseller.embed_campaign_updated": {**_CAMPAIGN, "status": "paused"},
    "stock_transfer.requested": _TRANSFER,
    "stock_transfer.invoiced": _INVOICED,
    "stock_transfer.paid": _PAID,
    "stock_transfer.allocated": {**_PAID, "status": "allocated"},
    "stock_transfer.cancelled": {**_TRANSFER, "status": "cancelled"},
    "stock_transfer.expired": {**_INVOICED, "status": "expired"},
    "stock_item.delivered": {
        **_RELATIONSHIP,
        "item_id": ITEM,
        "transfer_id": TRANSFER,
        "product_id": PRODUCT,
        "delivered_at": "2026-03-04T12:00:00Z",
        "transfer_status": "partially_delivered",
        "delivered_quantity": 1,
        "quantity": 25,
    },
    "fulfillment.delivered": _FULFILLMENT,
    "fulfillment.refunded": {
        **_FULFILLMENT,
        "status": "refunded",
        "refunded_at": "2026-03-03T09:30:00Z",
    },
}
