"""Keys that name nothing: taken by a request that never had its effect."""

from __future__ import annotations

from sqlalchemy import Column, ColumnElement, and_, delete, exists

from engine.adjustment_tables import adjustments
from engine.ledger_tables import holds, ledger_transactions
from engine.stock_transfer_tables import fulfillments, stock_transfers
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import idempotency_keys, payouts

#: What a key may name: whoever lets a new kind of request claim one adds its column.
SUBJECTS: tuple[Column[str], ...] = (
    ledger_transactions.c.id,
    holds.c.reference_id,
    payouts.c.id,
    adjustments.c.id,
    stock_transfers.c.id,
    fulfillments.c.id,
)


def without_effect() -> ColumnElement[bool]:
    """Return the condition that nothing is there that a key names: a probe of each index.

    Denied one by one: of an OR of them the server made tables of all that there is.
    """
    named = (exists().where(column == idempotency_keys.c.subject_id) for column in SUBJECTS)
    return and_(*(~each for each in named))


def free(work: UnitOfWork, tenant_id: str, key: str) -> bool:
    """Give back a key that names nothing and tell whether it did; one with its effect stays."""
    freed = work.connection.execute(
        delete(idempotency_keys).where(
            idempotency_keys.c.tenant_id == tenant_id,
            idempotency_keys.c.key == key,
            without_effect(),
        )
    )
    return freed.rowcount == 1
