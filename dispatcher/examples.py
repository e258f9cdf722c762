"""An example ``data`` for every type of the catalogue, as complete as a real one (domain.md 2.10).

They follow one order of document 001 through its life: placed by a retailer, delivered against
cash, remitted along the chain. Their ids name nothing that exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from dispatcher.reseller_examples import RESELLER_EXAMPLES
from engine.catalogue import CATALOGUE, check_data, require_types
from engine.errors import InvalidInput
from engine.money import money_fields

TENANT = "01900000-0000-7000-8000-00000000000a"
COUNTERPARTY = "01900000-0000-7000-8000-00000000000b"
ORDER = "01900000-0000-7000-8000-000000000001"
PRODUCT = "01900000-0000-7000-8000-000000000002"
REMITTANCE = "01900000-0000-7000-8000-000000000003"
COLLECTION = "01900000-0000-7000-8000-000000000004"
ENDPOINT = "01900000-0000-7000-8000-000000000005"
PAYOUT = "01900000-0000-7000-8000-000000000006"
CURRENCY = "INR"

_ORDER = {"chain_order_id": ORDER, "origin_order_number": "ORD-10001"}
_PRICING = money_fields(
    CURRENCY,
    origin_total=31000,
    your_cost=27600,
    your_margin=3400,
    cod_amount=31000,
)
_REMITTANCE = {
    "remittance_id": REMITTANCE,
    "direction": "outgoing",
    "counterparty_tenant_id": COUNTERPARTY,
    **money_fields(CURRENCY, amount=27600),
    "currency": CURRENCY,
    "status": "pending",
    "due_date": "2026-03-20",
    "due_at": "2026-03-20T18:30:00Z",
    "chain_order_ids": [ORDER],
}
_DRAFT = {
    "order_id": ORDER,
    "external_order_id": "PO-2026-0117",
    "expires_at": "2026-03-09T09:30:00Z",
    "items_count": 2,
}
_CLOSED = money_fields(CURRENCY, new_balance=1_250_000)
_COLLECTION = {
    "collection_id": COLLECTION,
    "chain_order_id": ORDER,
    "flow_type": "upstream",
    "status": "pending",
    "currency": CURRENCY,
    **money_fields(CURRENCY, expected=31000, collected=31000),
}


def _wallet(balance_minor: int) -> dict[str, Any]:
    return {
        "wallet_id": TENANT,
        "currency": CURRENCY,
        "episode": 1,
        **money_fields(
            CURRENCY,
            balance=balance_minor,
            available_balance=balance_minor,
            spendable=balance_minor + 500_000,
            credit_limit=500_000,
            threshold=200_000,
            rearm_level=220_000,
        ),
        "watched": "available",
    }


def _payout(status: str, **changes: str) -> dict[str, Any]:
    return {
        "payout_id": PAYOUT,
        "tenant_id": TENANT,
        **money_fields(CURRENCY, amount=300_000),
        "currency": CURRENCY,
        "status": status,
        "method": "bank_transfer",
        "reference": None,
        "reason": None,
        "requested_at": "2026-03-02T09:30:00Z",
        "changed_at": "2026-03-03T10:00:00Z",
        **changes,
    }


def _offer(price_minor: int, stock: int) -> dict[str, Any]:
    return {
        **money_fields(CURRENCY, price=price_minor),
        "stock": stock,
        "status": "active",
        "is_available": True,
    }


EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "chain_order.created": {
        **_ORDER,
        "chain_status": "pending_forward",
        "payment": {"method": "cod", "status": "pending"},
        "pricing": _PRICING,
        "items": [
            {
                "product_id": PRODUCT,
                "sku": "PROD-001",
                "name": "Product",
                "quantity": 2,
                **money_fields(CURRENCY, unit_price=15500),
            }
        ],
        "created_at": "2026-03-02T09:30:00Z",
        "customer": {"name": "Asha Rao", "phone": "+91 98765 43210"},
        "shipping_address": {"line1": "1 Station Road", "city": "Pune", "postal_code": "411001"},
    },
    "chain_order.status_changed": {
        **_ORDER,
        "previous_status": "processing",
        "status": "shipped",
        "changed_at": "2026-03-03T11:00:00Z",
        "seq": 5,
        "pricing": _PRICING,
        "reason": "Handed to the carrier",
        "shipping": {
            "carrier": "delhivery",
            "tracking_number": "DEL123456789",
            "shipped_at": "2026-03-03T11:00:00Z",
        },
    },
    "chain_order.delivered": {
        **_ORDER,
        "delivered_at": "2026-03-05T16:45:00Z",
        **money_fields(CURRENCY, cod_amount=31000),
        "settlement": {"flow_type": "upstream", "remittance_ids": [REMITTANCE]},
    },
    "chain_order.reminder": {
        **_ORDER,
        "chain_status": "pending_forward",
        "since": "2026-03-02T09:30:00Z",
        "limit_hours": 24,
    },
    "order.line_updated": {
        "deliver_id": "your_deliver_id",
        "order_detail_id": 55501,
        "status": 1,
        "delivery_data": ["test-code-1", "test-code-2"],
        "delivery_note": None,
        "chain_order_id": ORDER,
    },
    "draft_order.expiring": _DRAFT,
    "draft_order.expired": _DRAFT,
    "product.updated": {
        "product_id": PRODUCT,
        "sku": "PROD-001",
        "changed": ["price", "stock"],
        "currency": CURRENCY,
        "old": _offer(13800, 500),
        "new": _offer(14490, 480),
        "version": 17,
        "coalesced_count": 3,
    },
    "remittance.created": _REMITTANCE,
    "remittance.due": {
        **_REMITTANCE,
        "milestone": "T-3",
        "schedule_version": 1,
        "late": False,
        "days_until_due": 3,
    },
    "remittance.overdue": {
        **_REMITTANCE,
        "milestone": "T+1",
        "schedule_version": 1,
        "late": False,
        "days_overdue": 1,
        "overdue_since": "2026-03-20T18:30:00Z",
    },
    "remittance.rescheduled": {
        **_REMITTANCE,
        "due_date": "2026-03-27",
        "due_at": "2026-03-27T18:30:00Z",
        "previous_due_date": "2026-03-20",
        "schedule_version": 2,
        "reason": "Agreed by telephone",
    },
    "remittance.completed": {
        **_REMITTANCE,
        "status": "completed",
        "completed_at": "2026-03-19T08:00:00Z",
        **_CLOSED,
    },
    "remittance.cancelled": {
        **_REMITTANCE,
        "status": "cancelled",
        "cancelled_at": "2026-03-19T08:00:00Z",
        "written_off": False,
        **_CLOSED,
    },
    "wallet.low_balance": _wallet(150_000),
    "wallet.balance_recovered": _wallet(250_000),
    "payout.requested": _payout("requested", changed_at="2026-03-02T09:30:00Z"),
    "payout.approved": _payout("approved"),
    "payout.rejected": _payout("rejected", reason="The bank account is not the tenant's"),
    "payout.completed": _payout("completed", reference="UTR-2026-000123"),
    "payout.cancelled": _payout("cancelled", reason="Not needed any more"),
    "cod_collection.recorded": _COLLECTION,
    "cod_collection.resolved": {
        **_COLLECTION,
        **money_fields(CURRENCY, collected=30500),
        "resolution": "borne",
    },
    "cod_collection.settled": {**_COLLECTION, "status": "settled"},
    **RESELLER_EXAMPLES,
    "reconciliation.discrepancy": {
        "check": "K07",
        "subject": f"event {ORDER}",
        "severity": "warning",
        "expected": "fanned out",
        "actual": "in the outbox",
    },
    "endpoint.failing": {
        "endpoint_id": ENDPOINT,
        "since": "2026-03-02T09:30:00Z",
        "attempts": 42,
    },
    "endpoint.recovered": {
        "endpoint_id": ENDPOINT,
        "since": "2026-03-02T09:30:00Z",
        "attempts": 43,
    },
    "endpoint.disabled": {
        "endpoint_id": ENDPOINT,
        "reason": "failing",
        "since": "2026-03-07T09:30:00Z",
    },
    "webhook.test": {
        "endpoint_id": ENDPOINT,
        "message": "If you can read this, deliveries work.",
    },
}


def example_of(connection: Connection, type_name: str) -> Mapping[str, Any]:
    """Return an example ``data`` of a type, or raise UnknownEventType.

    For a type the operator registered it is the first of its schema's ``examples``, or an empty
    object where the schema allows that; else InvalidInput.
    """
    schema = require_types(connection, [type_name])[type_name]
    if type_name in CATALOGUE:
        return EXAMPLES[type_name]
    data: Mapping[str, Any] = next(iter(schema.get("examples", [])), {})
    try:
        check_data(data, schema, type_name)
    except InvalidInput as error:
        raise InvalidInput(
            f"there is no example of {type_name}: give its schema 'examples' ({error.message})",
            field="type",
            value=type_name,
        ) from None
    return dict(data)
