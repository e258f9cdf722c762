"""Reversals: a ledger transaction is undone by its opposite, and only once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from engine import ledger, ledger_holds, postings
from engine.errors import NotFound
from engine.ids import is_id, new_id
from engine.ledger_tables import ledger_transactions
from engine.postings import Close, Hold, Posting
from engine.unit_of_work import UnitOfWork

KIND = "reversal"


def reverse(
    work: UnitOfWork,
    transaction_id: str,
    *,
    reason: str,
    idempotency_key: str | None = None,
    paid: Iterable[tuple[str, str]] = (),
    opens: tuple[Hold, ...] = (),
) -> dict[str, Any]:
    """Post the opposite of a transaction, release what it still sets aside; return the new row.

    ``paid`` are the (payer, payee) of obligations that were paid meanwhile: these are owed back,
    and ``opens`` holds them. A correction is never refused for lack of funds. The same idempotency
    key and reason again return the first reversal.

    Raises NotFound, AlreadyReversed (by another call), IdempotencyKeyReused, or AccountFrozen.
    """
    original = find(work.connection, transaction_id)
    # The holds before the reversal: whoever sees none open sees who closed them.
    standing = ledger_holds.opened_by(work.connection, [original["id"]])
    made = reversal_of(work.connection, original["id"])
    if made is not None:
        return _repeated(made, idempotency_key, reason)
    return ledger.post(
        work,
        Posting(
            kind=KIND,
            reference_type=original["reference_type"],
            reference_id=original["reference_id"],
            idempotency_key=idempotency_key or f"{KIND}:{original['id']}:{new_id()}",
            currency=original["currency"],
            entries=postings.reversal(
                ledger.entries_of(work.connection, original["id"]), tuple(paid)
            ),
            opens=opens,
            closes=tuple(
                Close(reason=row["reason"], reference_id=row["reference_id"], status="released")
                for row in standing
            ),
            reverses_id=original["id"],
            metadata={"reason": reason},
        ),
    )


def reversal_of(connection: Connection, transaction_id: str) -> dict[str, Any] | None:
    """Return the transaction that reversed this one, or None."""
    query = select(ledger_transactions).where(ledger_transactions.c.reverses_id == transaction_id)
    found = connection.execute(query).mappings().first()
    return dict(found) if found else None


def find(connection: Connection, transaction_id: str) -> dict[str, Any]:
    """Return a ledger transaction's row, or raise NotFound."""
    found = None
    if is_id(transaction_id):
        mine = ledger_transactions.c.id == transaction_id.lower()
        found = connection.execute(select(ledger_transactions).where(mine)).mappings().first()
    if found is None:
        raise NotFound(
            f"no ledger transaction {transaction_id!r}",
            field="transaction_id",
            value=transaction_id,
        )
    return dict(found)


def _repeated(made: dict[str, Any], idempotency_key: str | None, reason: str) -> dict[str, Any]:
    if made["idempotency_key"] != idempotency_key:
        raise ledger.already_reversed(made["reverses_id"], made["id"])
    if made["metadata"] != {"reason": reason}:
        raise ledger.key_reused(made["idempotency_key"])
    return made
