"""What a tenant and its platform hear of a payout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields
from engine.unit_of_work import UnitOfWork


def announce(work: UnitOfWork, row: Mapping[str, Any]) -> None:
    """Tell the tenant and the platform, which may be one, of the payout's new status."""
    data = {
        "payout_id": row["id"],
        "tenant_id": row["tenant_id"],
        **money_fields(row["currency"], amount=row["amount_minor"]),
        "currency": row["currency"],
        "status": row["status"],
        "method": row["method"],
        "reference": row["reference"],
        "reason": row["reason"],
        "requested_at": iso_seconds(row["created_at"]),
        "changed_at": iso_seconds(row["updated_at"]),
    }
    for tenant_id in dict.fromkeys((row["tenant_id"], row["platform_id"])):
        work.raise_event(
            EventDraft(
                tenant_id=tenant_id,
                type=f"payout.{row['status']}",
                subject_type="payout",
                subject_id=row["id"],
                sequence=row["version"],
                dedupe_key=f"payout:{row['id']}:{row['status']}",
                raised_by=work.actor,
                data=data,
            )
        )
