"""``product.updated``: each tenant that sells it hears of it, with its own price (document 000)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.events import EventDraft
from engine.money import money_fields

#: What document 000 calls a change, and the columns of ``told_offers`` that show it.
CHANGES = {
    "price": ("price_minor",),
    "stock": ("stock",),
    "status": ("status", "is_available"),
}


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return document 000's names of what differs between two rows of ``told_offers``. Pure."""
    return [name for name, keys in CHANGES.items() if any(old[key] != new[key] for key in keys)]


def updated(
    product: Mapping[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    changes: int,
    raised_by: str,
) -> EventDraft | None:
    """Return the event that leads a tenant from ``old`` to ``new``, or None: nothing to tell. Pure.

    Who could not sell it and still cannot is told once it can. ``changes`` is how many the window
    gathered; what they undid again is no change.
    """
    names = changed(old, new)
    if not names or not (old["is_available"] or new["is_available"]):
        return None
    occurred_at: datetime = product["updated_at"]
    return EventDraft(
        tenant_id=new["tenant_id"],
        type="product.updated",
        subject_type="product",
        subject_id=product["id"],
        sequence=new["version"],
        dedupe_key=f"product:{product['id']}:{new['version']}",
        raised_by=raised_by,
        occurred_at=occurred_at,
        data={
            "product_id": product["id"],
            "sku": product["sku"],
            "changed": names,
            "currency": product["currency"],
            "old": _view(old, product["currency"]),
            "new": _view(new, product["currency"]),
            "version": new["version"],
            "coalesced_count": changes,
        },
    )


def _view(offer: Mapping[str, Any], currency: str) -> dict[str, Any]:
    return {
        **money_fields(currency, price=offer["price_minor"]),
        "stock": offer["stock"],
        "status": offer["status"],
        "is_available": offer["is_available"],
    }
