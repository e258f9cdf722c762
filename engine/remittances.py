"""Remittances: what one neighbour owes another, paid from wallet to wallet (document 001)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, select, update

from config.errors import TillbellError
from engine import (
    accounts,
    cash_collections,
    ledger,
    milestones,
    order_rows,
    postings,
    relationships,
    remittance_events,
)
from engine.errors import (
    AccountFrozen,
    Forbidden,
    InsufficientBalance,
    InvalidInput,
    InvalidStatus,
    NotFound,
)
from engine.ids import is_id
from engine.money import money_fields
from engine.order_rows import Row
from engine.postings import WALLET, Close, Posting
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork, UnitsOfWork

BULK_MAX = 500
#: What keeps one remittance of a bulk from being paid and the others not.
REFUSALS = (
    AccountFrozen,
    Forbidden,
    InsufficientBalance,
    InvalidInput,
    InvalidStatus,
    NotFound,
)


def process(
    work: UnitOfWork, remittance_id: str, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Pay a pending remittance; return ``message``, ``remittance``, ``wallet`` (document 001).

    Raises NotFound for one that is not the tenant's, Forbidden when it is the payee, InvalidStatus
    with ``current_status``, or InsufficientBalance; debts to others do not stand in the way.
    """
    row = get(work.connection, remittance_id, tenant_id=tenant_id)
    if tenant_id not in {None, row["payer_id"]}:
        raise Forbidden("only the payer may process a remittance", remittance_id=row["id"])
    # The order first: of two remittances of one order, the later to finish sees the other done.
    order = order_rows.get(work.connection, row["chain_order_id"], locked=True)
    row = _complete(work, row)
    transaction = ledger.post(work, _posting(work.connection, row))
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id == row["id"])
        .values(transaction_id=transaction["id"])
    )
    milestones.cancel(work, [row["id"]])
    balances = balances_of(work.connection, [row])
    for draft in remittance_events.closed(row, balances):
        work.raise_event(draft)
    cash_collections.settle_if_paid(work, order)
    return {
        "message": "Remittance processed successfully",
        "remittance": {**row, "transaction_id": transaction["id"]},
        "wallet": money_fields(
            row["currency"],
            new_balance=balances[row["payer_id"]],
            deducted=row["amount_minor"],
        ),
    }


def bulk_process(
    units: UnitsOfWork,
    remittance_ids: Sequence[str],
    *,
    actor: str,
    source: str = "cli",
    tenant_id: str | None = None,
) -> dict[str, Any]:
    """Pay several, each in a transaction of its own, in the order given (document 001).

    Returns ``processed``, ``errors`` by id and ``message``; ``codes`` adds the stable code of each
    error to that document's texts. A remittance named twice is paid once. Raises InvalidInput
    before anything is paid when none or more than ``BULK_MAX`` are named.
    """
    if not 1 <= len(remittance_ids) <= BULK_MAX:
        raise InvalidInput(f"1 to {BULK_MAX} remittances at a time", field="remittance_ids")
    processed: list[str] = []
    refusals: dict[str, TillbellError] = {}
    for remittance_id in dict.fromkeys(remittance_ids):
        try:
            units.run(
                partial(process, remittance_id=remittance_id, tenant_id=tenant_id),
                actor=actor,
                source=source,
            )
            processed.append(remittance_id)
        except REFUSALS as refusal:
            refusals[remittance_id] = refusal
    return {
        "processed": processed,
        "errors": {key: refusal.message for key, refusal in refusals.items()},
        "codes": {key: refusal.code for key, refusal in refusals.items()},
        "message": f"Processed {len(processed)} remittances, {len(refusals)} failed",
    }


def get(connection: Connection, remittance_id: str, *, tenant_id: str | None = None) -> Row:
    """Return one remittance's row, or raise NotFound when it is not the tenant's to see."""
    row = None
    if is_id(remittance_id):
        query = select(remittances).where(remittances.c.id == remittance_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["payer_id"], row["payee_id"]}:
        raise NotFound(
            f"no remittance {remittance_id!r}", field="remittance_id", value=remittance_id
        )
    return dict(row)


def listing(
    connection: Connection,
    *,
    order_id: str | None = None,
    status: str | None = None,
    overdue: bool = False,
    limit: int = 1000,
) -> list[Row]:
    """Return the remittances of an order (None: of all), oldest first, next to the cash first."""
    oldest_first = (remittances.c.created_at, remittances.c.hop, remittances.c.id)
    query = select(remittances).order_by(*oldest_first).limit(limit)
    if order_id is not None:
        query = query.where(remittances.c.chain_order_id == order_id)
    if status is not None:
        query = query.where(remittances.c.status == status)
    if overdue:
        query = query.where(remittances.c.overdue_since.is_not(None))
    return [dict(row) for row in connection.execute(query).mappings()]


def balances_of(connection: Connection, rows: Sequence[Row]) -> dict[str, int]:
    """Return what payers and payees of some remittances have in their wallets, in minor units."""
    keys = {(row[side], WALLET) for row in rows for side in ("payer_id", "payee_id")}
    found = accounts.find(connection, keys, rows[0]["currency"]) if rows else {}
    return {
        book: accounts.balance(found[book, code]) if (book, code) in found else 0
        for book, code in keys
    }


def _complete(work: UnitOfWork, row: Row) -> Row:
    """Take the one transition out of ``pending``, or raise InvalidStatus."""
    closed = {"status": "completed", "completed_at": work.now}
    taken = work.connection.execute(
        update(remittances)
        .where(remittances.c.id == row["id"], remittances.c.status == "pending")
        .values(closed)
    )
    if taken.rowcount != 1:
        current = get(work.connection, row["id"])["status"]
        raise InvalidStatus("Remittance is not pending", current_status=current, allowed=[])
    return row | closed


def _posting(connection: Connection, row: Row) -> Posting:
    return Posting(
        kind="remittance",
        reference_type="remittance",
        reference_id=row["id"],
        idempotency_key=f"remittance:{row['id']}:payment",
        currency=row["currency"],
        entries=postings.remittance_processed(
            row["payer_id"], row["payee_id"], row["amount_minor"]
        ),
        closes=(Close(reason="remittance", reference_id=row["id"], status="captured"),),
        paid_by=row["payer_id"],
        # The payer's own limit counts, unless the two agreed on less, or on none.
        credit_max_minor=relationships.credit_between(connection, row["payer_id"], row["payee_id"]),
    )
