"""API fulfilment: a reseller's shop sold, its balance pays, a serial is delivered (document 002).

All in one transaction: without balance or stock nothing is debited and nothing is taken. The
order's id and the idempotency key each name one fulfilment for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import (
    idempotency,
    ledger,
    purchase_limits,
    relationships,
    reseller_postings,
    reversals,
    stock_events,
    stock_items,
    wallets,
    wholesale,
)
from engine.errors import IdempotencyKeyReused, InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_choice, check_keys, check_text
from engine.postings import Posting
from engine.private_text import check_email, digest
from engine.relationships import MERCHANT, RESELLER
from engine.stock_transfer_tables import fulfillments
from engine.stock_transfer_tables import stock_items as item_rows
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]
DELIVERED, REFUNDED = "delivered", "refunded"
STATUSES = (DELIVERED, REFUNDED)
#: What each status may become; a fulfilment that fails leaves nothing.
TRANSITIONS = {DELIVERED: (REFUNDED,), REFUNDED: ()}
FIELDS = ("external_order_id", "customer_email", "product_id", "quantity")
EXTERNAL_ID_LENGTH_MAX = 100
KEY_LENGTH_MAX = 140
REASON_LENGTH_MAX = 500
_TABLE = fulfillments.c


def create(
    work: UnitOfWork,
    relationship_id: str,
    fulfillment: Mapping[str, Any],
    *,
    tenant_id: str | None = None,
    idempotency_key: str | None = None,
) -> Row:
    """Debit the reseller, deliver serials of its merchant's stock and return the fulfilment.

    Known by ``external_order_id`` or by the key, the first one is returned and nothing moves.
    Raises NotFound, Forbidden for the merchant, ProgramUnavailable, InvalidInput naming the field,
    PurchaseLimitExceeded, StockUnavailable, InsufficientBalance with ``required`` and
    ``available``, or IdempotencyKeyReused for another request, or when the two name different ones.
    """
    relationship = relationships.get(
        work.connection, relationship_id, tenant_id=tenant_id, side=RESELLER
    )
    wanted = _read(relationship, fulfillment)
    row_id = new_id()
    standing = _claim(work, relationship, wanted, idempotency_key, row_id)
    if standing != row_id:
        return get(work.connection, relationship, standing)
    quoted = wholesale.quote(
        work.connection,
        relationship,
        product_id=wanted["product_id"],
        quantity=wanted["quantity"],
    )
    wholesale.take_allowance(work, relationship, quoted)
    row = _row(work, relationship, wanted, quoted) | {"id": row_id}
    work.connection.execute(insert(fulfillments).values(row))
    stock_items.take(
        work,
        relationship,
        row["product_id"],
        row["quantity"],
        reference=("fulfillment", row_id),
        values={
            "status": stock_items.DELIVERED,
            "fulfillment_id": row_id,
            "delivered_to_hash": row["customer_digest"],
            "delivered_at": work.now,
        },
    )
    row["transaction_id"] = _debit(work, relationship, row)
    return _told(work, relationship, row)


def refund(
    work: UnitOfWork,
    relationship_id: str,
    fulfillment_id: str,
    *,
    reason: str,
    tenant_id: str | None = None,
) -> Row:
    """Give the reseller its money back, revoke the serials and return the fulfilment; once.

    The serials do not return to stock: somebody has seen them. Raises NotFound, Forbidden for the
    reseller, or InvalidInput.
    """
    relationship = relationships.lock(work, relationship_id, tenant_id=tenant_id, side=MERCHANT)
    reason = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    before = get(work.connection, relationship, fulfillment_id, locked=True)
    if REFUNDED not in TRANSITIONS[before["status"]]:
        return before
    changes = {
        "status": REFUNDED,
        "version": before["version"] + 1,
        "refunded_at": work.now,
        "reversal_id": _reverse(work, before, reason),
    }
    work.connection.execute(update(fulfillments).where(_TABLE.id == before["id"]).values(changes))
    work.connection.execute(
        update(item_rows)
        .where(item_rows.c.fulfillment_id == before["id"])
        .values(status=stock_items.REVOKED)
    )
    purchase_limits.give_back(
        work,
        relationship,
        before["product_id"],
        before["quantity"],
        before["created_at"].date(),
    )
    return _told(work, relationship, before | changes)


def balance(
    connection: Connection, relationship_id: str, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Return what a reseller has prepaid: ``balance``, and what it may spend now.

    Raises NotFound, or Forbidden for the merchant: a wallet is its owner's to see.
    """
    relationship = relationships.get(
        connection, relationship_id, tenant_id=tenant_id, side=RESELLER
    )
    wallet = wallets.show(connection, relationship["child_id"])
    shown = ("balance", "available_balance", "spendable", "credit_limit")
    return {
        "reseller_relationship_id": relationship["id"],
        "currency": wallet["currency"],
        **{name: wallet[name] for stem in shown for name in (stem, f"{stem}_minor")},
    }


def get(
    connection: Connection,
    relationship: Mapping[str, Any],
    fulfillment_id: str,
    *,
    locked: bool = False,
) -> Row:
    """Return one fulfilment of a relationship, or raise NotFound.

    It is named by its id or by the order's; where a shop's order ids look like ours, ours counts.
    """
    named = _TABLE.external_order_id == fulfillment_id
    query = select(fulfillments).where(_TABLE.relationship_id == relationship["id"])
    if is_id(fulfillment_id):
        mine = _TABLE.id == fulfillment_id.lower()
        query = query.where(mine | named).order_by(mine.desc())
    else:
        query = query.where(named)
    row = connection.execute(query.with_for_update() if locked else query).mappings().first()
    if row is None:
        raise NotFound(
            f"no fulfilment {fulfillment_id!r}", field="fulfillment_id", value=fulfillment_id
        )
    return dict(row)


def listing(
    connection: Connection,
    relationship: Mapping[str, Any] | None = None,
    *,
    status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return the fulfilments of a relationship (None: of all, for the operator), oldest first."""
    query = select(fulfillments).order_by(_TABLE.id).limit(limit).offset(offset)
    if relationship is not None:
        query = query.where(_TABLE.relationship_id == relationship["id"])
    if status is not None:
        query = query.where(_TABLE.status == check_choice(status, STATUSES, field="status"))
    return [dict(row) for row in connection.execute(query).mappings()]


def _read(relationship: Row, fulfillment: Mapping[str, Any]) -> Row:
    given = check_keys(fulfillment, FIELDS, field="fulfillment")
    external = given.get("external_order_id")
    email = check_email(given.get("customer_email"), field="customer_email")
    return {
        "external_order_id": None
        if external is None
        else check_text(external, field="external_order_id", length_max=EXTERNAL_ID_LENGTH_MAX),
        "customer_digest": digest(relationship["id"], email),
        **wholesale.read_wanted({"quantity": 1, **given}),
    }


def _claim(
    work: UnitOfWork, relationship: Row, wanted: Row, idempotency_key: str | None, row_id: str
) -> str:
    """Take the request's names, the order's id first, and return the fulfilment they name."""
    names = [("order", wanted["external_order_id"])]
    if idempotency_key is not None:
        key = check_text(idempotency_key, field="idempotency_key", length_max=KEY_LENGTH_MAX)
        names.append(("key", key))
    names = [(kind, value) for kind, value in names if value is not None]
    if not names:
        raise InvalidInput(
            "a fulfilment needs an external_order_id or an idempotency key",
            field="external_order_id",
        )
    standing: set[str] = set()
    for kind, value in names:
        subject_id = next(iter(standing), row_id)
        name = f"fulfillment:{relationship['id']}:{kind}:{value}"
        try:
            found = idempotency.claim(
                work, relationship["child_id"], name, wanted, subject_id=subject_id
            )
        except IdempotencyKeyReused:
            raise _reused(f"{value!r} came with another request before", kind) from None
        standing.add(found)
    if len(standing) > 1:
        raise _reused("the order's id and the key name different fulfilments", "key")
    return standing.pop()


def _reused(sentence: str, kind: str) -> IdempotencyKeyReused:
    field = "external_order_id" if kind == "order" else "idempotency_key"
    return IdempotencyKeyReused(sentence, field=field)


def _row(work: UnitOfWork, relationship: Row, wanted: Row, quoted: wholesale.Quote) -> Row:
    return {
        "relationship_id": relationship["id"],
        **wanted,
        "currency": relationship["currency"],
        "unit_price_minor": quoted.unit_price_minor,
        "cost_minor": quoted.total_minor,
        "status": DELIVERED,
        "version": 1,
        "transaction_id": None,
        "reversal_id": None,
        "created_at": work.now,
        "delivered_at": work.now,
        "refunded_at": None,
    }


def _debit(work: UnitOfWork, relationship: Row, row: Row) -> str | None:
    """Post A11 and note its transaction; what costs nothing posts nothing."""
    if not row["cost_minor"]:
        return None
    parent_id, child_id = relationship["parent_id"], relationship["child_id"]
    posted = ledger.post(
        work,
        Posting(
            kind="fulfillment",
            reference_type="fulfillment",
            reference_id=row["id"],
            idempotency_key=f"fulfillment:{row['id']}:payment",
            currency=row["currency"],
            entries=reseller_postings.wholesale_prepaid(parent_id, child_id, row["cost_minor"]),
            spent_by=child_id,
            credit_max_minor=relationship["credit_limit_minor"],
        ),
    )
    work.connection.execute(
        update(fulfillments).where(_TABLE.id == row["id"]).values(transaction_id=posted["id"])
    )
    return str(posted["id"])


def _reverse(work: UnitOfWork, row: Row, reason: str) -> str | None:
    if row["transaction_id"] is None:
        return None
    key = f"fulfillment:{row['id']}:refund"
    posted = reversals.reverse(work, row["transaction_id"], reason=reason, idempotency_key=key)
    return str(posted["id"])


def _told(work: UnitOfWork, relationship: Row, row: Row) -> Row:
    for draft in stock_events.fulfillment(relationship, row):
        work.raise_event(draft)
    return row
