"""Remittances: what one neighbour owes another, paid from wallet to wallet (document 001)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, or_, select, update

from engine import accounts, ledger, milestones, order_rows, postings, remittance_events, wallets
from engine.accounts import Key
from engine.errors import (
    Forbidden,
    InsufficientBalance,
    InvalidInput,
    InvalidStatus,
    NotFound,
)
from engine.ids import is_id
from engine.inputs import check_choice
from engine.money import money_fields
from engine.order_rows import Row
from engine.order_tables import chain_orders
from engine.postings import Close, Posting
from engine.settlement_tables import cod_collections, remittances
from engine.unit_of_work import UnitOfWork

STATUSES = ("pending", "completed", "cancelled")
DIRECTIONS = ("incoming", "outgoing")
BULK_MAX = 500


def process(
    work: UnitOfWork, remittance_id: str, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Pay a pending remittance; return ``remittance`` and the payer's ``wallet`` (document 001).

    Raises NotFound for one that is not the tenant's, Forbidden when it is the payee, InvalidStatus
    with ``current_status``, or InsufficientBalance; debts to others do not stand in the way.
    """
    row = get(work.connection, remittance_id, tenant_id=tenant_id)
    if tenant_id not in {None, row["payer_id"]}:
        raise Forbidden("only the payer may process a remittance", remittance_id=row["id"])
    # The order first: of two remittances of one order, the later to finish sees the other done.
    order = order_rows.get(work.connection, row["chain_order_id"], locked=True)
    row = _complete(work, row)
    transaction = ledger.post(work, _posting(row))
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id == row["id"])
        .values(transaction_id=transaction["id"])
    )
    milestones.cancel(work, [row["id"]])
    balances = {
        party: wallets.show(work.connection, party) for party in (row["payer_id"], row["payee_id"])
    }
    for draft in remittance_events.closed(row, balances):
        work.raise_event(draft)
    _settle_collection(work, order, row)
    return {
        "remittance": {**row, "transaction_id": transaction["id"]},
        "wallet": money_fields(
            row["currency"],
            new_balance=balances[row["payer_id"]]["balance_minor"],
            deducted=row["amount_minor"],
        ),
    }


def bulk_process(
    work: UnitOfWork, remittance_ids: Sequence[str], *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Pay several, each on its own; return ``processed``, ``errors`` by id and ``message``.

    ``codes`` adds the stable code of each error to document 001's texts.
    """
    if not 1 <= len(remittance_ids) <= BULK_MAX:
        raise InvalidInput(f"1 to {BULK_MAX} remittances at a time", field="remittance_ids")
    processed: list[str] = []
    refusals: dict[str, Forbidden | InsufficientBalance | InvalidStatus | NotFound] = {}
    _lock_all(work, [key for key in remittance_ids if is_id(key)])
    for remittance_id in dict.fromkeys(remittance_ids):
        raised = len(work.drafts)
        try:
            with work.connection.begin_nested():
                process(work, remittance_id, tenant_id=tenant_id)
            processed.append(remittance_id)
        except (Forbidden, InsufficientBalance, InvalidStatus, NotFound) as refusal:
            del work.drafts[raised:]
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
    tenant_id: str | None = None,
    status: str | None = None,
    direction: str | None = None,
    order_id: str | None = None,
    overdue: bool = False,
    due_until: date | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return remittances, oldest first; ``direction`` is the tenant's point of view."""
    oldest_first = (remittances.c.created_at, remittances.c.hop, remittances.c.id)
    query = select(remittances).order_by(*oldest_first).limit(limit).offset(offset)
    paid, received = remittances.c.payer_id == tenant_id, remittances.c.payee_id == tenant_id
    if direction is not None:
        outgoing = check_choice(direction, DIRECTIONS, field="direction") == "outgoing"
        query = query.where(paid if outgoing else received)
    elif tenant_id is not None:
        query = query.where(or_(paid, received))
    if status is not None:
        query = query.where(remittances.c.status == check_choice(status, STATUSES, field="status"))
    if order_id is not None:
        query = query.where(remittances.c.chain_order_id == order_id)
    if overdue:
        query = query.where(remittances.c.overdue_since.is_not(None))
    if due_until is not None:
        query = query.where(remittances.c.due_date <= due_until)
    return [dict(row) for row in connection.execute(query).mappings()]


def collections(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    order_id: str | None = None,
    status: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return cash collections in the order of their recording, of one collector or one order."""
    query = select(cod_collections).order_by(cod_collections.c.id).limit(limit).offset(offset)
    if tenant_id is not None:
        query = query.where(cod_collections.c.collector_tenant_id == tenant_id)
    if order_id is not None:
        query = query.where(cod_collections.c.chain_order_id == order_id)
    if status is not None:
        query = query.where(cod_collections.c.status == status)
    return [dict(row) for row in connection.execute(query).mappings()]


def _lock_all(work: UnitOfWork, remittance_ids: Sequence[str]) -> None:
    """Lock all orders and accounts of a bulk in order, so that two cannot wait for each other."""
    wanted = remittances.c.id.in_([remittance_id.lower() for remittance_id in remittance_ids])
    rows = work.connection.execute(select(remittances).where(wanted)).mappings().all()
    for order_id in sorted({row["chain_order_id"] for row in rows}):
        order_rows.get(work.connection, order_id, locked=True)
    keys: dict[str, set[Key]] = {}
    for row in rows:
        entries = _posting(dict(row)).entries
        keys.setdefault(row["currency"], set()).update((each.book, each.code) for each in entries)
    for currency in sorted(keys):
        accounts.lock(work.connection, keys[currency], currency)


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


def _posting(row: Row) -> Posting:
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
    )


def _settle_collection(work: UnitOfWork, order: Row, row: Row) -> None:
    """Settle the collection once nothing of its order is owed; the caller holds the order."""
    owed = select(remittances.c.id).where(
        remittances.c.collection_id == row["collection_id"], remittances.c.status == "pending"
    )
    if work.connection.execute(owed.limit(1)).first() is not None:
        return
    settled = (
        update(cod_collections)
        .where(cod_collections.c.id == row["collection_id"], cod_collections.c.status == "pending")
        .values(status="settled", settled_at=work.now)
        .returning(*cod_collections.columns)
    )
    collection = work.connection.execute(settled).mappings().first()
    if collection is None:
        return
    work.connection.execute(
        update(chain_orders)
        .where(chain_orders.c.id == order["id"], chain_orders.c.payment_status == "collected")
        .values(payment_status="settled", updated_at=work.now)
    )
    for draft in remittance_events.collection(dict(collection), order, "settled"):
        work.raise_event(draft)
