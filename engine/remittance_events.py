"""What payer and payee hear of a remittance, and collector and origin of a collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import EventDraft, iso_seconds
from engine.money import money_fields

Row = Mapping[str, Any]

#: What is told of a collection, in the order it can happen.
COLLECTION_STATES = ("recorded", "resolved", "settled")


def view(remittance: Row, tenant_id: str) -> dict[str, Any]:
    """Return a remittance as one of its two tenants sees it."""
    outgoing = tenant_id == remittance["payer_id"]
    return {
        "remittance_id": remittance["id"],
        "direction": "outgoing" if outgoing else "incoming",
        "counterparty_tenant_id": remittance["payee_id" if outgoing else "payer_id"],
        **money_fields(remittance["currency"], amount=remittance["amount_minor"]),
        "currency": remittance["currency"],
        "status": remittance["status"],
        "due_date": remittance["due_date"].isoformat(),
        "due_at": iso_seconds(remittance["due_at"]),
        "chain_order_ids": [remittance["chain_order_id"]],
    }


def created(remittance: Row) -> list[EventDraft]:
    """Return ``remittance.created`` for payer and payee."""
    return [
        _draft(remittance, tenant_id, "remittance.created", ("created", 1), {})
        for tenant_id in _parties(remittance)
    ]


def closed(remittance: Row, balances_minor: Mapping[str, int]) -> list[EventDraft]:
    """Return ``remittance.completed`` or ``.cancelled``; each party reads its own new balance."""
    status = remittance["status"]
    drafts = []
    for tenant_id in _parties(remittance):
        balance = money_fields(remittance["currency"], new_balance=balances_minor[tenant_id])
        at = iso_seconds(remittance[f"{status}_at"])
        extra = {f"{status}_at": at, **balance}
        if status == "cancelled":
            extra["written_off"] = remittance["write_off_id"] is not None
        final = ("final", 100 * remittance["schedule_version"] + 99)
        drafts.append(_draft(remittance, tenant_id, f"remittance.{status}", final, extra))
    return drafts


def milestone(remittance: Row, row: Row, rank: int, extra: Mapping[str, Any]) -> EventDraft:
    """Return ``remittance.due`` or ``.overdue``; ``rank`` is the place in the ladder."""
    version = row["schedule_version"]
    return _draft(
        remittance,
        row["recipient_tenant_id"],
        row["event"],
        (f"{version}:{row['code']}", 100 * version + rank),
        {"milestone": row["code"], "schedule_version": version, **extra},
    )


def rescheduled(remittance: Row, change: Row) -> list[EventDraft]:
    """Return ``remittance.rescheduled`` for payer and payee; ``change`` is what was recorded."""
    version = change["schedule_version"]
    extra = {
        "previous_due_date": change["previous_due_date"].isoformat(),
        "schedule_version": version,
        "reason": change["reason"],
    }
    # Behind everything of the old schedule, before everything of the new one.
    key = (f"{version}:rescheduled", 100 * version - 1)
    return [
        _draft(remittance, tenant_id, "remittance.rescheduled", key, extra)
        for tenant_id in _parties(remittance)
    ]


def collection(row: Row, order: Mapping[str, Any], state: str) -> list[EventDraft]:
    """Return ``cod_collection.recorded``, ``.resolved`` or ``.settled``; collector and origin hear.

    ``resolution`` says what was decided of cash that was missing or too much.
    """
    data = {
        "collection_id": row["id"],
        "chain_order_id": row["chain_order_id"],
        "flow_type": row["flow_type"],
        "status": row["status"],
        "currency": row["currency"],
        **money_fields(
            row["currency"], expected=row["expected_minor"], collected=row["collected_minor"]
        ),
    }
    if row.get("resolution") is not None:
        data["resolution"] = row["resolution"]
    tenants = dict.fromkeys((row["collector_tenant_id"], order["origin_tenant_id"]))
    return [
        EventDraft(
            tenant_id=tenant_id,
            type=f"cod_collection.{state}",
            subject_type="cod_collection",
            subject_id=row["id"],
            sequence=1 + COLLECTION_STATES.index(state),
            dedupe_key=f"cod_collection:{row['id']}:{state}",
            raised_by="engine",
            data=data,
        )
        for tenant_id in tenants
    ]


def _parties(remittance: Row) -> tuple[str, str]:
    return remittance["payer_id"], remittance["payee_id"]


def _draft(
    remittance: Row,
    tenant_id: str,
    name: str,
    key: tuple[str, int],
    extra: Mapping[str, Any],
) -> EventDraft:
    return EventDraft(
        tenant_id=tenant_id,
        type=name,
        subject_type="remittance",
        subject_id=remittance["id"],
        sequence=key[1],
        dedupe_key=f"remittance:{remittance['id']}:{key[0]}",
        raised_by="engine",
        data={**view(remittance, tenant_id), **extra},
    )
