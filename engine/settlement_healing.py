"""Settle what was delivered and is not settled, or not wholly: every part once, whoever else runs.

The ledger is what was: where it has the settlement already, what is missing is made to match it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update

from engine import (
    cash_collections,
    ledger,
    ledger_holds,
    obligations,
    order_rows,
    settlement,
)
from engine.ledger_tables import ledger_transactions
from engine.order_rows import Row
from engine.order_tables import chain_orders
from engine.postings import Obligation
from engine.settlement import CashFlow
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork


def settle_missing(work: UnitOfWork, order_id: str) -> str | None:
    """Settle a delivered COD order as far as it is not, and return the transaction; None if it is.

    A remittance whose money is not set aside any more cannot be made again: None, for people.
    """
    order = order_rows.get(work.connection, order_id, locked=True)
    if order["chain_status"] != "delivered" or order["payment_method"] != "cod":
        return None
    flow = settlement.cash_flow(order, order_rows.hops_of(work.connection, order["id"]))
    key = ledger_transactions.c.idempotency_key == settlement.settlement_key(order["id"])
    query = select(ledger_transactions.c.id).where(key)
    transaction_id = work.connection.execute(query).scalar()
    if transaction_id is None:
        collection, _ = settlement.collect(work, order, flow, order["cod_amount_minor"])
        _collected(work, order, flow)
        return str(collection["transaction_id"])
    return transaction_id if _complete(work, order, flow, transaction_id) else None


def missing(flow: CashFlow, standing: Sequence[Row]) -> list[Obligation]:
    """Return the obligations of a settlement that no remittance stands for; pure."""
    made = [(row["payer_id"], row["payee_id"]) for row in standing]
    return [each for each in flow.obligations if (each.payer_id, each.payee_id) not in made]


def standing(connection: Connection, order_id: str) -> list[Row]:
    """Return the remittances that an order's settlement made."""
    mine = (remittances.c.chain_order_id == order_id) & (
        remittances.c.reason == obligations.SETTLEMENT
    )
    rows = connection.execute(select(remittances).where(mine).order_by(remittances.c.hop))
    return [dict(row) for row in rows.mappings()]


def _complete(work: UnitOfWork, order: Row, flow: CashFlow, transaction_id: str) -> bool:
    """Make the collection and the remittances that the posting says there are."""
    lacking = missing(flow, standing(work.connection, order["id"]))
    kept = {
        (row["payer_id"], row["payee_id"], row["amount_minor"]): row["reference_id"]
        for row in ledger_holds.opened_by(work.connection, [transaction_id])
    }
    wanted = [(each.payer_id, each.payee_id, each.amount_minor) for each in lacking]
    if any(each not in kept for each in wanted):
        return False
    collection = cash_collections.of_order(work.connection, order["id"])
    if collection is None:
        collected = _cash(work.connection, transaction_id, flow)
        collection = settlement.record(work, order, flow, collected, transaction_id)
    elif not lacking:
        return False
    rows = obligations.owed(work, order, lacking, obligations.SETTLEMENT)
    for row in rows:
        # What the posting set aside names the remittance that was lost.
        row["id"] = kept[row["payer_id"], row["payee_id"], row["amount_minor"]]
    obligations.record(work, collection["id"], rows)
    _collected(work, order, flow)
    return True


def _cash(connection: Connection, transaction_id: str, flow: CashFlow) -> int:
    """Return the cash that the posting says was taken."""
    holder = flow.levels[flow.collector].tenant_id
    entries = ledger.entries_of(connection, transaction_id)
    return sum(
        entry.amount_minor for entry in entries if (entry.book, entry.code) == (holder, "cod_cash")
    )


def _collected(work: UnitOfWork, order: Row, flow: CashFlow) -> None:
    """Let the order say that its cash was collected, where it says nothing yet."""
    status = "collected" if flow.obligations else "settled"
    values: dict[str, Any] = {"payment_status": status, "updated_at": work.now}
    work.connection.execute(
        update(chain_orders)
        .where(chain_orders.c.id == order["id"], chain_orders.c.payment_status == "pending")
        .values(values)
    )
