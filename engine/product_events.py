"""``product.updated``: each tenant that sells it hears of it, with its own price (document 000)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft
from engine.money import money_fields
from engine.price_cascade import Offer
from engine.unit_of_work import UnitOfWork

#: What document 000 calls a change, and the fields of the payload that show it.
CHANGES = {
    "price": ("price_minor",),
    "stock": ("stock",),
    "status": ("status", "is_available"),
}


def raise_updates(
    work: UnitOfWork,
    *,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    offers_before: Mapping[str, Offer],
    offers_after: Mapping[str, Offer],
) -> int:
    """Raise an event per tenant that could or can sell it and sees a change; return how many."""
    raised = 0
    for tenant_id, offer in offers_after.items():
        earlier = offers_before.get(tenant_id)
        if earlier is None or not (earlier.is_available or offer.is_available):
            continue
        old, new = view(before, earlier), view(after, offer)
        changed = [
            name for name, keys in CHANGES.items() if any(old[key] != new[key] for key in keys)
        ]
        if changed:
            work.raise_event(_draft(work, tenant_id, after, changed, {"old": old, "new": new}))
            raised += 1
    return raised


def view(product: Mapping[str, Any], offer: Offer) -> dict[str, Any]:
    """Return price, stock, status and availability as one tenant sees them."""
    return {
        **money_fields(product["currency"], price=offer.cost_minor),
        "stock": product["stock_quantity"] - product["stock_allocated"],
        "status": product["status"],
        "is_available": offer.is_available,
    }


def _draft(
    work: UnitOfWork,
    tenant_id: str,
    product: Mapping[str, Any],
    changed: list[str],
    views: dict[str, dict[str, Any]],
) -> EventDraft:
    return EventDraft(
        tenant_id=tenant_id,
        type="product.updated",
        subject_type="product",
        subject_id=product["id"],
        sequence=product["version"],
        dedupe_key=f"product:{product['id']}:{product['version']}",
        raised_by=work.actor,
        data={
            "product_id": product["id"],
            "sku": product["sku"],
            "changed": changed,
            "currency": product["currency"],
            **views,
            "version": product["version"],
            "coalesced_count": 1,
        },
    )
