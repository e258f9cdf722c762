"""What merchant and reseller hear of invitations, relationships, sales and campaigns (002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields
from engine.pricing import json_percent

Row = Mapping[str, Any]


def invited(invitation: Row) -> EventDraft:
    """Return ``reseller.invited`` for the merchant; the e-mail stays where it is sealed."""
    return EventDraft(
        tenant_id=invitation["tenant_id"],
        type="reseller.invited",
        subject_type="reseller_invitation",
        subject_id=invitation["id"],
        dedupe_key=f"reseller_invitation:{invitation['id']}:invited",
        raised_by="engine",
        data={
            "invitation_id": invitation["id"],
            "mode": invitation["mode"],
            "custom_commission_percent": _share(invitation["custom_commission_percent"]),
            "status": invitation["status"],
            "expires_at": iso_seconds(invitation["expires_at"]),
        },
    )


def accepted(relationship: Row, invitation: Row) -> list[EventDraft]:
    """Return ``reseller.accepted`` for merchant and reseller."""
    extra = {
        "invitation_id": invitation["id"],
        "accepted_at": iso_seconds(relationship["created_at"]),
    }
    return _both(relationship, "reseller.accepted", _terms(relationship) | extra)


def updated(relationship: Row) -> list[EventDraft]:
    """Return ``reseller.updated`` for merchant and reseller: terms or status changed."""
    return _both(relationship, "reseller.updated", _terms(relationship))


def sides(relationship: Row) -> dict[str, dict[str, Any]]:
    """Return what each side's view begins with, by tenant: which side it is, and who the other."""
    merchant, reseller = relationship["parent_id"], relationship["child_id"]
    return {
        merchant: {
            "reseller_relationship_id": relationship["id"],
            "role": "merchant",
            "counterparty_tenant_id": reseller,
        },
        reseller: {
            "reseller_relationship_id": relationship["id"],
            "role": "reseller",
            "counterparty_tenant_id": merchant,
        },
    }


def _both(relationship: Row, name: str, data: Row) -> list[EventDraft]:
    return [
        EventDraft(
            tenant_id=tenant_id,
            type=name,
            subject_type="reseller_relationship",
            subject_id=relationship["id"],
            sequence=relationship["version"],
            dedupe_key=f"reseller_relationship:{relationship['id']}:{relationship['version']}",
            raised_by="engine",
            data={**view, **data},
        )
        for tenant_id, view in sides(relationship).items()
    ]


def _terms(relationship: Row) -> dict[str, Any]:
    return {
        "status": relationship["status"],
        "mode": relationship["mode"],
        "custom_commission_percent": _share(relationship["custom_commission_percent"]),
        "custom_wholesale_discount_percent": _share(
            relationship["custom_wholesale_discount_percent"]
        ),
        "purchase_limit_daily": relationship["purchase_limit_daily"],
        "terms_days": relationship["terms_days"],
        "currency": relationship["currency"],
        **money_fields(
            relationship["currency"],
            credit_limit=relationship["credit_limit_minor"],
            min_payout_threshold=relationship["min_payout_threshold_minor"],
        ),
    }


def _share(percent: Any) -> Any:
    return None if percent is None else json_percent(percent)
