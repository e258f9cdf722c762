"""Pay commissions: from the merchant's wallet to the reseller's (document 002).

What a reseller was paid for a sale that was refunded later is kept back from its next payment. A
merchant's payout threshold holds here, for what this merchant owes, and not for the wallet, where
other merchants' money is too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, text, update

from engine import ledger, programs, relationships, reseller_postings, sale_events
from engine.commissions import ACCRUED, PAID
from engine.errors import InvalidStatus, PayoutTooSmall
from engine.ids import new_id
from engine.money import format_amount, money_fields
from engine.postings import Posting
from engine.program_tables import COMMISSION_OPEN, affiliate_sales
from engine.relationships import ACTIVE, MERCHANT
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]
#: Of one payment; the next takes the rest.
SALES_MAX = 10_000
_TABLE = affiliate_sales.c


def owed(
    connection: Connection, relationship_id: str, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Return what is ``due`` to the reseller, and what it owes ``back``.

    Raises NotFound when the relationship is not the tenant's. Costs what is open.
    """
    relationship = relationships.get(connection, relationship_id, tenant_id=tenant_id)
    query = select(_TABLE.status, func.sum(_TABLE.commission_minor)).where(
        _TABLE.relationship_id == relationship["id"], text(COMMISSION_OPEN)
    )
    found = {row[0]: int(row[1]) for row in connection.execute(query.group_by(_TABLE.status))}
    due = found.get(ACCRUED, 0)
    back = sum(found.values()) - due
    return {
        "reseller_relationship_id": relationship["id"],
        "currency": relationship["currency"],
        **money_fields(relationship["currency"], due=due, back=back),
    }


def pay(work: UnitOfWork, relationship_id: str, *, tenant_id: str | None = None) -> dict[str, Any]:
    """Pay a reseller what it has earned and return the payment; both sides are told.

    Raises NotFound, Forbidden for the reseller, InvalidStatus when nothing is due, PayoutTooSmall
    below the merchant's payout threshold, or InsufficientBalance when its wallet cannot bear it.
    """
    # One payment at a time: the next sees what this one has paid.
    relationship = relationships.lock(work, relationship_id, tenant_id=tenant_id, side=MERCHANT)
    query = (
        select(_TABLE.id, _TABLE.status, _TABLE.commission_minor)
        .where(_TABLE.relationship_id == relationship["id"], text(COMMISSION_OPEN))
        .order_by(_TABLE.id)
        .limit(SALES_MAX)
        .with_for_update()
    )
    rows = [dict(row) for row in work.connection.execute(query).mappings()]
    earned = [row for row in rows if row["status"] == ACCRUED]
    refunded = [row for row in rows if row["status"] != ACCRUED]
    due, back = _total(earned), _total(refunded)
    if due <= back:
        figures = money_fields(relationship["currency"], due=due, back=back)
        raise InvalidStatus("no commission is due", **figures)
    _require_threshold(work.connection, relationship, due - back)
    posted = _post(work, relationship, due, back)
    _mark(work, earned, status=PAID, payment_id=posted["id"])
    _mark(work, refunded, recovery_id=posted["id"])
    payment = {
        "payment_id": posted["id"],
        "sales": len(earned),
        "sales_refunded": len(refunded),
        "currency": relationship["currency"],
        **money_fields(relationship["currency"], amount=due - back, due=due, back=back),
    }
    for draft in sale_events.commission_paid(relationship, payment):
        work.raise_event(draft)
    return {"reseller_relationship_id": relationship["id"], **payment}


def _require_threshold(
    connection: Connection, relationship: Mapping[str, Any], amount_minor: int
) -> None:
    """Refuse what is less than was agreed on; who no longer sells is paid whatever is left."""
    minimum_minor = relationship["min_payout_threshold_minor"]
    if minimum_minor is None:
        program = programs.show(connection, relationship["parent_id"])
        minimum_minor = program["min_payout_threshold_minor"]
    if relationship["status"] != ACTIVE or amount_minor >= minimum_minor:
        return
    currency = relationship["currency"]
    raise PayoutTooSmall(
        f"{format_amount(amount_minor, currency)} {currency} is due; this merchant pays"
        f" {format_amount(minimum_minor, currency)} {currency} or more at a time",
        field="amount",
        **money_fields(currency, minimum=minimum_minor, due=amount_minor),
    )


def _post(work: UnitOfWork, relationship: Mapping[str, Any], due: int, back: int) -> Row:
    parent_id, child_id = relationship["parent_id"], relationship["child_id"]
    return ledger.post(
        work,
        Posting(
            kind="commission_payment",
            reference_type="reseller_relationship",
            reference_id=relationship["id"],
            idempotency_key=f"commission_payment:{new_id()}",
            currency=relationship["currency"],
            entries=reseller_postings.commission_paid(parent_id, child_id, due, back),
            paid_by=parent_id,
        ),
    )


def _mark(work: UnitOfWork, rows: Sequence[Row], **values: Any) -> None:
    ids = [row["id"] for row in rows]
    for start in range(0, len(ids), 1000):
        batch = _TABLE.id.in_(ids[start : start + 1000])
        work.connection.execute(update(affiliate_sales).where(batch).values(values))


def _total(rows: Sequence[Row]) -> int:
    return sum(row["commission_minor"] for row in rows)
