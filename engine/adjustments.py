"""Adjustments: corrections of the books that one person asks for and another decides (A14).

Nothing moves until the second person approves; what was approved is posted whatever the balance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import chart, idempotency, ledger, posting_rules, postings, tenants
from engine.adjustment_tables import adjustments
from engine.errors import InvalidAmount, InvalidInput, InvalidStatus, NotFound, SecondPersonRequired
from engine.ids import is_id, new_id
from engine.inputs import check_choice, check_integer, check_text
from engine.money import AMOUNT_MINOR_MAX, check_currency
from engine.postings import Entry, Posting
from engine.unit_of_work import UnitOfWork

REQUESTED, APPROVED, REJECTED = "requested", "approved", "rejected"
STATUSES = (REQUESTED, APPROVED, REJECTED)
ENTRIES_MAX = 100
REASON_LENGTH_MAX = 500
LIMIT_MAX = 1000

Row = dict[str, Any]


def request(
    work: UnitOfWork,
    tenant_id: str,
    amount_minor: int,
    *,
    reason: str,
    idempotency_key: str | None = None,
) -> Row:
    """Ask that money be added to a wallet, or taken from it (below zero); nothing moves yet.

    Raises InvalidAmount for nothing, InvalidInput for want of a reason, IdempotencyKeyReused, or
    NotFound.
    """
    tenant = tenants.get(work.connection, tenant_id)
    if amount_minor == 0 or abs(amount_minor) > AMOUNT_MINOR_MAX:
        raise InvalidAmount(
            f"an adjustment of {amount_minor} minor units", field="amount", value=amount_minor
        )
    row = _row(work, tenant["currency"], postings.adjusted(tenant["id"], amount_minor), reason)
    row |= {"tenant_id": tenant["id"], "amount_minor": amount_minor}
    asked = {"operation": "adjustment", "amount_minor": amount_minor, "reason": row["reason"]}
    first = idempotency.claim(work, tenant["id"], idempotency_key, asked, subject_id=row["id"])
    if first != row["id"]:
        return get(work.connection, first)
    work.connection.execute(insert(adjustments).values(row))
    return row


def request_entries(
    work: UnitOfWork, entries: Sequence[Entry], *, currency: str, reason: str
) -> Row:
    """Ask for any balanced set of entries, such as a shortage that finance takes on itself.

    Raises BooksDoNotBalance, UnknownAccount, InvalidAmount, or InvalidInput.
    """
    if not posting_rules.merged(entries) or len(entries) > ENTRIES_MAX:
        raise InvalidInput(f"an adjustment has 2 to {ENTRIES_MAX} entries", field="entries")
    for entry in entries:
        chart.normal_side(entry.code)
    row = _row(work, check_currency(currency), entries, reason)
    work.connection.execute(insert(adjustments).values(row))
    return row


def approve(work: UnitOfWork, adjustment_id: str, *, reason: str | None = None) -> Row:
    """Post what was asked for, in the name of both; return the adjustment.

    Raises SecondPersonRequired to who asked for it, InvalidStatus when it is decided already,
    NotFound, or what the ledger refuses, such as AccountFrozen; then it waits on.
    """
    row = _decide(work, adjustment_id, APPROVED, reason)
    transaction = ledger.post(
        work,
        Posting(
            kind="adjustment",
            reference_type="adjustment",
            reference_id=row["id"],
            idempotency_key=f"adjustment:{row['id']}",
            currency=row["currency"],
            entries=tuple(Entry(**entry) for entry in row["entries"]),
            metadata={
                "reason": row["reason"],
                "requested_by": row["requested_by"],
                "approved_by": row["decided_by"],
            },
        ),
    )
    posted = {"transaction_id": transaction["id"]}
    work.connection.execute(update(adjustments).where(adjustments.c.id == row["id"]).values(posted))
    return row | posted


def reject(work: UnitOfWork, adjustment_id: str, *, reason: str) -> Row:
    """Decide that nothing is posted; who asked may take it back so. Raises as ``approve`` does."""
    return _decide(work, adjustment_id, REJECTED, reason)


def get(connection: Connection, adjustment_id: str) -> Row:
    """Return one adjustment, or raise NotFound."""
    found = None
    if is_id(adjustment_id):
        query = select(adjustments).where(adjustments.c.id == adjustment_id.lower())
        found = connection.execute(query).mappings().first()
    if found is None:
        raise NotFound(
            f"no adjustment {adjustment_id!r}", field="adjustment_id", value=adjustment_id
        )
    return dict(found)


def listing(
    connection: Connection,
    *,
    status: str | None = None,
    tenant_id: str | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return ``data``, newest first, and ``next_cursor``."""
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    query = select(adjustments).order_by(adjustments.c.id.desc()).limit(limit + 1)
    if status is not None:
        query = query.where(adjustments.c.status == check_choice(status, STATUSES, field="status"))
    if tenant_id is not None:
        query = query.where(adjustments.c.tenant_id == tenants.get(connection, tenant_id)["id"])
    if after is not None:
        if not is_id(after):
            raise InvalidInput(f"{after!r} is no cursor of this list", field="after")
        query = query.where(adjustments.c.id < after.lower())
    rows = [dict(row) for row in connection.execute(query).mappings()]
    more = len(rows) > limit
    return {"data": rows[:limit], "next_cursor": rows[limit - 1]["id"] if more else None}


def _row(work: UnitOfWork, currency: str, entries: Iterable[Entry], reason: str) -> Row:
    row: Row = dict.fromkeys(column.name for column in adjustments.columns)
    return row | {
        "id": new_id(),
        "currency": currency,
        "entries": [
            {"book": each.book, "code": each.code, "amount_minor": each.amount_minor}
            for each in entries
        ],
        "reason": check_text(reason, field="reason", length_max=REASON_LENGTH_MAX),
        "status": REQUESTED,
        "requested_by": work.actor,
        "requested_at": work.now,
    }


def _decide(work: UnitOfWork, adjustment_id: str, status: str, reason: str | None) -> Row:
    """Take the one decision by one guarded update, or say why it cannot be taken."""
    row = get(work.connection, adjustment_id)
    if reason is not None:
        reason = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    if status == APPROVED and row["requested_by"] == work.actor:
        raise SecondPersonRequired(
            f"{work.actor} asked for this adjustment: another person has to approve it",
            requested_by=row["requested_by"],
        )
    decided = {
        "status": status,
        "decided_by": work.actor,
        "decided_at": work.now,
        "decision_reason": reason,
    }
    taken = work.connection.execute(
        update(adjustments)
        .where(adjustments.c.id == row["id"], adjustments.c.status == REQUESTED)
        .values(decided)
    )
    if taken.rowcount != 1:
        current = get(work.connection, row["id"])["status"]
        raise InvalidStatus(
            f"the adjustment is {current} already", current_status=current, allowed=[]
        )
    return row | decided
