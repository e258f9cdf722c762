"""Stock purchases: requested, invoiced, paid, then allocated from the merchant's serials (002).

Nothing is allocated before it is paid. ``allocate`` on an unpaid one is the merchant's word that it
was paid outside: it moves no money of the platform, so nobody can make a balance of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, text

from engine import (
    idempotency,
    ledger,
    products,
    purchase_limits,
    relationships,
    reseller_postings,
    stock_events,
    stock_items,
    stock_transfers,
    wholesale,
)
from engine import stock_transfer_states as states
from engine.ids import new_id
from engine.inputs import check_choice, check_keys, check_text
from engine.postings import Entry, Posting
from engine.stock_transfer_tables import UNPAID
from engine.stock_transfer_tables import stock_transfers as transfer_rows
from engine.stock_transfers import Row
from engine.unit_of_work import UnitOfWork

FIELDS = ("product_id", "quantity")
#: How long a purchase may stay unpaid, from its request and again from its invoice.
PAYABLE = timedelta(days=7)
PREPAID, EXTERNAL, DIRECT = "prepaid", "external", "direct"
METHODS = (PREPAID, EXTERNAL)
REFERENCE_LENGTH_MAX = 200


def request(
    work: UnitOfWork,
    relationship_id: str,
    purchase: Mapping[str, Any],
    *,
    tenant_id: str | None = None,
    idempotency_key: str | None = None,
) -> Row:
    """Ask for stock at the wholesale price of now and return the transfer; both sides are told.

    The same key again is the same purchase. Raises NotFound, ProgramUnavailable, InvalidInput
    naming the field, PurchaseLimitExceeded, or IdempotencyKeyReused.
    """
    relationship = relationships.get(work.connection, relationship_id, tenant_id=tenant_id)
    wanted = wholesale.read_wanted(check_keys(purchase, FIELDS, field="purchase"))
    row_id = new_id()
    key = None if idempotency_key is None else f"stock:{relationship['id']}:{idempotency_key}"
    standing = idempotency.claim(work, relationship["child_id"], key, wanted, subject_id=row_id)
    if standing != row_id:
        return stock_transfers.get(work.connection, relationship, standing)
    quoted = wholesale.quote(work.connection, relationship, **wanted)
    wholesale.take_allowance(work, relationship, quoted)
    row = {**_born(work, relationship), "id": row_id, **_of_quote(quoted)}
    work.connection.execute(insert(transfer_rows).values(row))
    stock_transfers.log(work, row, "request", None)
    return _told(work, relationship, row)


def invoice(
    work: UnitOfWork, relationship_id: str, transfer_id: str, *, tenant_id: str | None = None
) -> Row:
    """Give a requested purchase its invoice, payable from now on; return the transfer.

    Raises NotFound or InvalidStatus.
    """
    relationship, before = _find(work, relationship_id, transfer_id, tenant_id)
    row = stock_transfers.move(
        work,
        relationship,
        before,
        "invoice",
        tenant_id,
        invoice_id=new_id(),
        invoiced_at=work.now,
        expires_at=work.now + PAYABLE,
    )
    return _told(work, relationship, row)


def pay(
    work: UnitOfWork,
    relationship_id: str,
    transfer_id: str,
    *,
    method: str = PREPAID,
    reference: str | None = None,
    tenant_id: str | None = None,
) -> Row:
    """Pay an invoice and return the transfer.

    ``prepaid`` takes it from the reseller's wallet; ``external`` says that the platform's bank has
    the money, which only the operator can say, with the payment's reference. Raises NotFound,
    Forbidden, InvalidStatus, InvalidInput, or InsufficientBalance with ``required`` and
    ``available``.
    """
    check_choice(method, METHODS, field="method")
    relationship, before = _find(work, relationship_id, transfer_id, tenant_id)
    if method == EXTERNAL:
        reference = check_text(reference, field="reference", length_max=REFERENCE_LENGTH_MAX)
    return _paid(
        work,
        relationship,
        before,
        ("pay" if method == PREPAID else "confirm_payment", tenant_id),
        payment_method=method,
        payment_reference=reference,
    )


def allocate(
    work: UnitOfWork, relationship_id: str, transfer_id: str, *, tenant_id: str | None = None
) -> Row:
    """Give the reseller its serials, each exactly once; return the transfer. Again, the same row.

    On an unpaid purchase the merchant says that it was paid outside the platform: marked paid and
    allocated in one step, with who said so. Raises NotFound, Forbidden for the reseller,
    InvalidStatus, or StockUnavailable, and then nothing was changed.
    """
    relationship, row = _find(work, relationship_id, transfer_id, tenant_id, relationships.MERCHANT)
    if row["status"] in {states.ALLOCATED, states.PARTIALLY_DELIVERED, states.DELIVERED}:
        return row
    # The product before the accounts, as a fulfilment locks them.
    products.lock(work, row["product_id"])
    if row["status"] != states.PAID:
        row = _paid(work, relationship, row, ("mark_paid", tenant_id), payment_method=DIRECT)
    row = stock_transfers.move(
        work, relationship, row, "allocate", tenant_id, allocated_at=work.now
    )
    stock_items.take(
        work,
        relationship,
        row["product_id"],
        row["quantity"],
        reference=("stock_transfer", row["id"]),
        values={"status": stock_items.ALLOCATED, "transfer_id": row["id"]},
    )
    return _told(work, relationship, row)


def cancel(
    work: UnitOfWork, relationship_id: str, transfer_id: str, *, tenant_id: str | None = None
) -> Row:
    """Call an unpaid purchase off and return the transfer; raises NotFound or InvalidStatus."""
    relationship = relationships.lock(work, relationship_id, tenant_id=tenant_id)
    before = stock_transfers.get(work.connection, relationship, transfer_id, locked=True)
    return _closed(work, relationship, before, "cancel", tenant_id)


def due(connection: Connection, as_of: datetime, limit: int) -> list[Row]:
    """Return the purchases that were not paid by ``as_of``, longest due first."""
    table = transfer_rows.c
    query = select(transfer_rows).where(text(UNPAID), table.expires_at <= as_of)
    query = query.order_by(table.expires_at).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def expire(work: UnitOfWork, rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Close those of the purchases that are past their end by now, and return their ids."""
    closed = []
    # Relationships before their transfers, in one order, as whoever cancels one locks them.
    for due_row in sorted(rows, key=lambda row: (row["relationship_id"], row["id"])):
        relationship = relationships.lock(work, due_row["relationship_id"])
        before = stock_transfers.get(work.connection, relationship, due_row["id"], locked=True)
        # Paid, cancelled or invoiced since we looked.
        if before["status"] in states.UNPAID and before["expires_at"] <= work.now:
            closed.append(_closed(work, relationship, before, "expire", None)["id"])
    return closed


def _find(
    work: UnitOfWork,
    relationship_id: str,
    transfer_id: str,
    tenant_id: str | None,
    side: str | None = None,
) -> tuple[Row, Row]:
    relationship = relationships.get(
        work.connection, relationship_id, tenant_id=tenant_id, side=side
    )
    return relationship, stock_transfers.get(
        work.connection, relationship, transfer_id, locked=True
    )


def _paid(
    work: UnitOfWork,
    relationship: Row,
    before: Row,
    by: tuple[str, str | None],
    **values: Any,
) -> Row:
    action, tenant_id = by
    row = stock_transfers.move(
        work, relationship, before, action, tenant_id, paid_at=work.now, **values
    )
    if row["total_minor"]:
        row["transaction_id"] = _post(work, relationship, row)
    return _told(work, relationship, row)


def _post(work: UnitOfWork, relationship: Row, row: Row) -> str:
    """Post A12 and note its transaction."""
    posted = ledger.post(
        work,
        Posting(
            kind="stock_purchase",
            reference_type="stock_transfer",
            reference_id=row["id"],
            idempotency_key=f"stock_transfer:{row['id']}:payment",
            currency=row["currency"],
            entries=_entries(relationship, row),
            spent_by=relationship["child_id"] if row["payment_method"] == PREPAID else None,
            credit_max_minor=relationship["credit_limit_minor"],
        ),
    )
    work.connection.execute(
        transfer_rows.update()
        .where(transfer_rows.c.id == row["id"])
        .values(transaction_id=posted["id"])
    )
    return str(posted["id"])


def _entries(relationship: Row, row: Row) -> tuple[Entry, ...]:
    parties = (relationship["parent_id"], relationship["child_id"], row["total_minor"])
    match row["payment_method"]:
        case "prepaid":
            return reseller_postings.wholesale_prepaid(*parties)
        case "external":
            return reseller_postings.wholesale_invoiced(*parties)
        case _:
            return reseller_postings.wholesale_direct(*parties)


def _closed(
    work: UnitOfWork, relationship: Row, before: Row, action: str, tenant_id: str | None
) -> Row:
    row = stock_transfers.move(work, relationship, before, action, tenant_id, closed_at=work.now)
    purchase_limits.give_back(
        work, relationship, row["product_id"], row["quantity"], row["created_at"].date()
    )
    return _told(work, relationship, row)


def _told(work: UnitOfWork, relationship: Row, row: Row) -> Row:
    for draft in stock_events.transfer(relationship, row):
        work.raise_event(draft)
    return row


def _born(work: UnitOfWork, relationship: Row) -> Row:
    row: Row = dict.fromkeys(column.name for column in transfer_rows.c)
    return row | {
        "relationship_id": relationship["id"],
        "currency": relationship["currency"],
        "delivered_quantity": 0,
        "status": states.REQUESTED,
        "version": 1,
        "requested_by": work.actor,
        "expires_at": work.now + PAYABLE,
        "created_at": work.now,
        "updated_at": work.now,
    }


def _of_quote(quoted: wholesale.Quote) -> Row:
    return {
        "product_id": quoted.product_id,
        "quantity": quoted.quantity,
        "wholesale_discount_percent": quoted.discount_percent,
        "unit_price_minor": quoted.unit_price_minor,
        "total_minor": quoted.total_minor,
    }
