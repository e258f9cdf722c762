"""Turn what neighbours owe each other into remittances: due dates, holds, milestones, events."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from engine import ladder_settings, milestones, relationships, remittance_events, tenants
from engine.due_dates import TERMS_DAYS, due_date, due_fields
from engine.ids import new_id
from engine.ladders import Ladder
from engine.order_rows import Row
from engine.postings import Hold, Obligation
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork

#: What makes neighbours owe each other something.
SETTLEMENT = "settlement"
DIFFERENCE = "difference"
RETURN = "return"


def owed(
    work: UnitOfWork, order: Row, obligations: Collection[Obligation], reason: str
) -> list[Row]:
    """Return the remittances of obligations that arise now, not inserted yet.

    Each is due when the terms of its two tenants are over, a day later per hop from the cash. What
    a return gives back is due today.
    """
    chain = {row["id"]: row for row in tenants.chain(work.connection, order["origin_tenant_id"])}
    nearest_first = sorted(obligations, key=lambda obligation: obligation.hop)
    pairs = [(each.payer_id, each.payee_id) for each in nearest_first]
    terms = relationships.terms_between(work.connection, pairs)
    ladders = ladder_settings.ladders_along(
        work.connection, [(chain[payer_id], chain[payee_id]) for payer_id, payee_id in pairs]
    )
    rows: list[Row] = []
    for each, pair, ladder in zip(nearest_first, pairs, ladders, strict=True):
        timezone = chain[each.payer_id]["timezone"]
        agreed = terms[pair].terms_days
        if reason == RETURN:
            due = due_today(work.now, timezone, ladder)
        else:
            due = due_after(
                work.now,
                timezone,
                ladder,
                hop=each.hop,
                terms_days=TERMS_DAYS if agreed is None else agreed,
                nearer=_nearer(rows, each),
            )
        rows.append(
            {
                "id": new_id(),
                "chain_order_id": order["id"],
                "payer_id": each.payer_id,
                "payee_id": each.payee_id,
                "amount_minor": each.amount_minor,
                "currency": order["currency"],
                "status": "pending",
                "reason": reason,
                "hop": each.hop,
                **due,
                "schedule_version": 1,
                "created_at": work.now,
            }
        )
    return rows


def due_today(now: datetime, timezone: str, ladder: Ladder) -> dict[str, Any]:
    """Return the due date of what is owed at once; pure."""
    return due_fields(due_date(now, timezone, hop=1, terms_days=0), timezone, ladder)


def due_after(
    now: datetime,
    timezone: str,
    ladder: Ladder,
    *,
    hop: int,
    terms_days: int,
    nearer: Row | None,
) -> dict[str, Any]:
    """Return the due date of an obligation ``hop`` neighbours away from the cash; pure.

    It is a day and more behind the one ``nearer`` to the cash, whatever terms and zone that one
    has, so that nobody is late because his debtor is still in time.
    """
    due_on = due_date(now, timezone, hop=hop, terms_days=terms_days)
    if nearer is None:
        return due_fields(due_on, timezone, ladder)
    found = due_fields(max(due_on, nearer["due_date"] + timedelta(days=1)), timezone, ladder)
    while found["due_at"] <= nearer["due_at"]:
        found = due_fields(found["due_date"] + timedelta(days=1), timezone, ladder)
    return found


def holds(rows: Iterable[Row]) -> tuple[Hold, ...]:
    """Return what each payer must keep for them; it never fails for lack of balance."""
    return tuple(
        Hold(
            payer_id=row["payer_id"],
            payee_id=row["payee_id"],
            amount_minor=row["amount_minor"],
            kind="obligation",
            reason="remittance",
            reference_id=row["id"],
        )
        for row in rows
    )


def record(work: UnitOfWork, collection_id: str, rows: Sequence[Row]) -> None:
    """Insert remittances with their milestones and tell both sides of each."""
    for row in rows:
        row["collection_id"] = collection_id
    if rows:
        work.connection.execute(insert(remittances), list(rows))
    milestones.schedule(work, rows)
    for row in rows:
        for draft in remittance_events.created(row):
            work.raise_event(draft)


def _nearer(rows: Iterable[Row], obligation: Obligation) -> Row | None:
    """Return the remittance one hop nearer to the cash that one of its two tenants has part in."""
    sides = {obligation.payer_id, obligation.payee_id}
    for row in rows:
        if row["hop"] == obligation.hop - 1 and sides & {row["payer_id"], row["payee_id"]}:
            return row
    return None
