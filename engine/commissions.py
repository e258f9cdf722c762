"""Affiliate sales: what a reseller earns by the sales it brought, once per sale (document 002)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, select, update

from engine import (
    campaigns,
    ledger,
    programs,
    relationships,
    reseller_access,
    reseller_postings,
    reversals,
    sale_events,
)
from engine.errors import IdempotencyKeyReused, NotFound
from engine.ids import check_id, is_id, new_id
from engine.inputs import check_integer, check_keys, check_text
from engine.money import parse_amount, percent_of
from engine.postings import Posting
from engine.program_tables import affiliate_sales
from engine.relationships import MERCHANT
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

Row = dict[str, Any]
ACCRUED, PAID, REFUNDED = "accrued", "paid", "refunded"
STATUSES = (ACCRUED, PAID, REFUNDED)
FIELDS = ("sale_reference", "product_id", "quantity", "amount", "campaign_id")
REASON_LENGTH_MAX = 500
_TABLE = affiliate_sales.c


def percent_for(
    override: Decimal | None, relationship: Mapping[str, Any], program: Mapping[str, Any]
) -> Decimal:
    """Return the commission that counts: the product's, else the reseller's, else the default."""
    if override is not None:
        return override
    if relationship["custom_commission_percent"] is not None:
        return Decimal(relationship["custom_commission_percent"])
    return Decimal(program["default_commission_percent"])


def record_sale(
    work: UnitOfWork,
    relationship_id: str,
    sale: Mapping[str, Any],
    *,
    tenant_id: str | None = None,
) -> Row:
    """Record a sale a reseller brought and what it earns; the same reference again is one sale.

    ``sale_reference`` is the merchant's name of the sale. Raises NotFound, Forbidden for the
    reseller, ProgramUnavailable, InvalidInput or InvalidAmount naming the field, InvalidStatus for
    a campaign that is not active, or IdempotencyKeyReused for a reference of another sale.
    """
    relationship = relationships.get(
        work.connection, relationship_id, tenant_id=tenant_id, side=MERCHANT
    )
    wanted = _read(sale, relationship["currency"])
    standing = _standing(work.connection, relationship, wanted)
    if standing is not None:
        return standing
    program = programs.require_enabled(work.connection, relationship["parent_id"])
    relationships.require_mode(relationship, programs.AFFILIATE)
    granted = reseller_access.granted(work.connection, relationship, wanted["product_id"])
    campaigns.require_active(work.connection, relationship["id"], wanted)
    row = _row(
        work,
        relationship,
        wanted,
        percent_for(granted.commission_percent_override, relationship, program),
    )
    if not insert_missing(work.connection, affiliate_sales, [row], ["parent_id", "sale_reference"]):
        # Recorded by someone else while we were looking.
        found = _standing(work.connection, relationship, wanted)
        assert found is not None
        return found
    row["transaction_id"] = _accrue(work, relationship, row)
    for draft in sale_events.made(relationship, row):
        work.raise_event(draft)
    return row


def refund_sale(
    work: UnitOfWork,
    relationship_id: str,
    sale_id: str,
    *,
    reason: str,
    tenant_id: str | None = None,
) -> Row:
    """Take a sale and its commission back; refunded again, it is what it was. Returns the row.

    A commission that was paid meanwhile is owed back by the reseller. Raises NotFound (also for a
    sale of another relationship), Forbidden for the reseller, or InvalidInput.
    """
    relationship = relationships.get(
        work.connection, relationship_id, tenant_id=tenant_id, side=MERCHANT
    )
    reason = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    before = get(work.connection, relationship, sale_id, locked=True)
    if before["status"] == REFUNDED:
        return before
    changes = {"status": REFUNDED, "refunded_at": work.now}
    if before["transaction_id"] is not None:
        paid = [(relationship["parent_id"], relationship["child_id"])]
        changes["reversal_id"] = reversals.reverse(
            work,
            before["transaction_id"],
            reason=reason,
            idempotency_key=f"affiliate_sale:{before['id']}:refund",
            paid=paid if before["status"] == PAID else (),
        )["id"]
    work.connection.execute(
        update(affiliate_sales).where(_TABLE.id == before["id"]).values(changes)
    )
    row = before | changes
    for draft in sale_events.refunded(relationship, row):
        work.raise_event(draft)
    return row


def get(
    connection: Connection,
    relationship: Mapping[str, Any],
    sale_id: str,
    *,
    locked: bool = False,
) -> Row:
    """Return one sale of a relationship, named by its id or reference, or raise NotFound."""
    named = _TABLE.sale_reference == sale_id
    query = select(affiliate_sales).where(_TABLE.relationship_id == relationship["id"])
    if is_id(sale_id):
        # A merchant's references may look like our ids; then ours counts.
        mine = _TABLE.id == sale_id.lower()
        query = query.where(mine | named).order_by(mine.desc())
    else:
        query = query.where(named)
    row = connection.execute(query.with_for_update() if locked else query).mappings().first()
    if row is None:
        raise NotFound(f"no sale {sale_id!r}", field="sale_reference", value=sale_id)
    return dict(row)


def listing(
    connection: Connection, relationship: Mapping[str, Any], *, limit: int = 100, offset: int = 0
) -> list[Row]:
    """Return the sales of a relationship, oldest first."""
    query = select(affiliate_sales).where(_TABLE.relationship_id == relationship["id"])
    rows = connection.execute(query.order_by(_TABLE.id).limit(limit).offset(offset)).mappings()
    return [dict(row) for row in rows]


def _read(sale: Mapping[str, Any], currency: str) -> Row:
    given = check_keys(sale, FIELDS, field="sale")
    reference = check_text(given.get("sale_reference"), field="sale_reference", length_max=200)
    return {
        "sale_reference": reference,
        "product_id": check_id(given.get("product_id"), field="product_id"),
        "quantity": check_integer(
            given.get("quantity", 1), field="quantity", minimum=1, maximum=1_000_000
        ),
        "amount_minor": parse_amount(given.get("amount"), currency, field="amount"),
        "campaign_id": None
        if given.get("campaign_id") is None
        else check_id(given["campaign_id"], field="campaign_id"),
    }


def _standing(connection: Connection, relationship: Row, wanted: Row) -> Row | None:
    query = select(affiliate_sales).where(
        _TABLE.parent_id == relationship["parent_id"],
        _TABLE.sale_reference == wanted["sale_reference"],
    )
    found = connection.execute(query).mappings().first()
    if found is not None and found["fingerprint"] != _fingerprint(relationship, wanted):
        raise IdempotencyKeyReused(
            f"sale {wanted['sale_reference']!r} was recorded with other content",
            field="sale_reference",
        )
    return None if found is None else dict(found)


def _fingerprint(relationship: Row, wanted: Row) -> str:
    content = {**wanted, "relationship_id": relationship["id"]}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _row(work: UnitOfWork, relationship: Row, wanted: Row, percent: Decimal) -> Row:
    return {
        "id": new_id(),
        "relationship_id": relationship["id"],
        "parent_id": relationship["parent_id"],
        "fingerprint": _fingerprint(relationship, wanted),
        **wanted,
        "currency": relationship["currency"],
        "commission_percent": percent,
        "commission_minor": percent_of(wanted["amount_minor"], percent),
        "status": ACCRUED,
        "transaction_id": None,
        "reversal_id": None,
        "payment_id": None,
        "recovery_id": None,
        "created_at": work.now,
        "refunded_at": None,
    }


def _accrue(work: UnitOfWork, relationship: Row, row: Row) -> str | None:
    """Post A13 and return its transaction; nothing earned is nothing posted."""
    if not row["commission_minor"]:
        return None
    posted = ledger.post(
        work,
        Posting(
            kind="commission",
            reference_type="affiliate_sale",
            reference_id=row["id"],
            idempotency_key=f"affiliate_sale:{row['id']}:commission",
            currency=row["currency"],
            entries=reseller_postings.commission(
                relationship["parent_id"], relationship["child_id"], row["commission_minor"]
            ),
        ),
    )
    work.connection.execute(
        update(affiliate_sales).where(_TABLE.id == row["id"]).values(transaction_id=posted["id"])
    )
    return str(posted["id"])
