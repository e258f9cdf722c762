"""Write-offs: a remittance that nobody will ever pay is the payee's loss, openly (A14)."""

from __future__ import annotations

from sqlalchemy import update

from engine import cash_collections, ledger, milestones, order_rows, postings, remittance_events
from engine import remittances as remittance_rows
from engine.errors import InvalidStatus
from engine.inputs import check_text
from engine.order_rows import Row
from engine.postings import Close, Posting
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork

REASON_LENGTH_MAX = 500


def write_off(work: UnitOfWork, remittance_id: str, *, reason: str) -> Row:
    """Cancel a pending remittance as bad debt of its payee and return it with ``write_off_id``.

    The payer is forgiven, its hold is freed, nobody is reminded any more, and both hear
    ``remittance.cancelled``. Raises NotFound, InvalidInput for want of a reason, AccountFrozen, or
    InvalidStatus with ``current_status`` for one that is not pending.
    """
    said = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = remittance_rows.get(work.connection, remittance_id)
    # The order first, as whoever pays a remittance does: only one of the two finds it pending.
    order = order_rows.get(work.connection, row["chain_order_id"], locked=True)
    row |= _cancel(work, row)
    transaction = ledger.post(work, _posting(row, said))
    row["write_off_id"] = transaction["id"]
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id == row["id"])
        .values(write_off_id=transaction["id"])
    )
    milestones.cancel(work, [row["id"]])
    balances = remittance_rows.balances_of(work.connection, [row])
    for draft in remittance_events.closed(row, balances):
        work.raise_event(draft)
    cash_collections.settle_if_paid(work, order)
    return row


def _cancel(work: UnitOfWork, row: Row) -> Row:
    """Take the one transition out of ``pending``, or raise InvalidStatus."""
    closed = {"status": "cancelled", "cancelled_at": work.now}
    taken = work.connection.execute(
        update(remittances)
        .where(remittances.c.id == row["id"], remittances.c.status == "pending")
        .values(closed)
    )
    if taken.rowcount != 1:
        current = remittance_rows.get(work.connection, row["id"])["status"]
        raise InvalidStatus("Remittance is not pending", current_status=current, allowed=[])
    return closed


def _posting(row: Row, reason: str) -> Posting:
    return Posting(
        kind="write_off",
        reference_type="remittance",
        reference_id=row["id"],
        idempotency_key=f"remittance:{row['id']}:write_off",
        currency=row["currency"],
        entries=postings.written_off(row["payer_id"], row["payee_id"], row["amount_minor"]),
        closes=(Close(reason="remittance", reference_id=row["id"], status="released"),),
        metadata={"reason": reason},
    )
