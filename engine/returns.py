"""Undo the settlement of an order whose goods came back (document 001, finance).

What nobody paid yet is simply no longer owed; what was paid is owed back at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from engine import (
    cash_collections,
    ledger_holds,
    milestones,
    obligations,
    remittance_events,
    reversals,
)
from engine.differences import difference_key
from engine.ledger_tables import ledger_transactions
from engine.order_rows import Row
from engine.postings import Obligation
from engine.remittances import balances_of
from engine.settlement import settlement_key
from engine.settlement_tables import cod_collections, remittances
from engine.unit_of_work import UnitOfWork

REASON = "the goods came back"


def undo(work: UnitOfWork, order: Row) -> bool:
    """Reverse what settled an order, posting by posting; tell whether anything had.

    The caller holds the order's lock, so no remittance of it is paid meanwhile.
    """
    collection = cash_collections.of_order(work.connection, order["id"])
    keys = {obligations.SETTLEMENT: settlement_key(order["id"])}
    if collection is not None:
        keys[obligations.DIFFERENCE] = difference_key(collection["id"])
    rows = _remittances(work.connection, order["id"])
    back, posted = [], _posted(work.connection, keys)
    # Several postings follow: every hold that they end is locked before the first account.
    ledger_holds.opened_by(work.connection, posted.values())
    for row in rows:
        if row["write_off_id"] is not None:
            # What was written off stands on the accounts again, to be reversed with the rest.
            reversals.reverse(work, row["write_off_id"], reason=REASON)
    # The last posting first, as it stands on the earlier one.
    for reason, transaction_id in reversed(posted.items()):
        back += _reverse(work, order, transaction_id, [r for r in rows if r["reason"] == reason])
    if collection is not None:
        work.connection.execute(
            update(cod_collections)
            .where(cod_collections.c.id == collection["id"])
            .values(status="reversed")
        )
        obligations.record(work, collection["id"], back)
    _cancel(work, [row for row in rows if row["status"] == "pending"])
    return bool(posted)


def _posted(connection: Connection, keys: dict[str, str]) -> dict[str, str]:
    """Return the transactions that exist of those the keys name."""
    table = ledger_transactions.c
    query = select(table.idempotency_key, table.id).where(table.idempotency_key.in_(keys.values()))
    found = {row.idempotency_key: row.id for row in connection.execute(query)}
    return {reason: found[key] for reason, key in keys.items() if key in found}


def _remittances(connection: Connection, order_id: str) -> list[Row]:
    mine = select(remittances).where(remittances.c.chain_order_id == order_id)
    rows = connection.execute(mine.order_by(remittances.c.id).with_for_update(key_share=True))
    return [dict(row) for row in rows.mappings()]


def _reverse(work: UnitOfWork, order: Row, transaction_id: str, rows: Sequence[Row]) -> list[Row]:
    """Reverse one posting and return the remittances that give back what was paid of it."""
    paid = [row for row in rows if row["status"] == "completed"]
    opposite = [
        Obligation(row["payee_id"], row["payer_id"], row["amount_minor"], row["hop"])
        for row in paid
    ]
    back = obligations.owed(work, order, opposite, obligations.RETURN)
    reversals.reverse(
        work,
        transaction_id,
        reason=REASON,
        idempotency_key=f"chain_order:{order['id']}:reversal:{transaction_id}",
        paid=[(row["payer_id"], row["payee_id"]) for row in paid],
        opens=obligations.holds(back),
    )
    return back


def _cancel(work: UnitOfWork, unpaid: Sequence[Row]) -> None:
    """Cancel remittances that nobody paid and tell both sides of each."""
    if not unpaid:
        return
    ids = [row["id"] for row in unpaid]
    closed = {"status": "cancelled", "cancelled_at": work.now}
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id.in_(ids), remittances.c.status == "pending")
        .values(closed)
    )
    milestones.cancel(work, ids)
    balances = balances_of(work.connection, unpaid)
    for row in unpaid:
        for draft in remittance_events.closed(row | closed, balances):
            work.raise_event(draft)
