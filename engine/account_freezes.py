"""Freezing an account: it takes no postings until a person has looked; recorded both ways."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import accounts
from engine.errors import InvalidStatus
from engine.ids import new_id
from engine.inputs import check_text
from engine.ledger_tables import account_freezes, ledger_accounts
from engine.unit_of_work import UnitOfWork

REASON_LENGTH_MAX = 500
Row = dict[str, Any]


def freeze(work: UnitOfWork, account: str, *, reason: str) -> Row:
    """Refuse every posting on an account from now on; return the record.

    ``account`` is an id or ``book/code/currency``. A posting that holds the account's lock is
    waited for. Raises NotFound, InvalidInput for want of a reason, or InvalidStatus when frozen.
    """
    said = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = _set(work, account, frozen=True)
    record = {
        "id": new_id(),
        "account_id": row["id"],
        "reason": said,
        "frozen_by": work.actor,
        "frozen_at": work.now,
        "unfreeze_reason": None,
        "unfrozen_by": None,
        "unfrozen_at": None,
    }
    work.connection.execute(insert(account_freezes).values(record))
    return record


def unfreeze(work: UnitOfWork, account: str, *, reason: str) -> Row:
    """Let an account take postings again; return the closed record.

    Raises NotFound, InvalidInput for want of a reason, or InvalidStatus when it is not frozen.
    """
    said = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = _set(work, account, frozen=False)
    closed = (
        update(account_freezes)
        .where(account_freezes.c.account_id == row["id"], account_freezes.c.unfrozen_at.is_(None))
        .values(unfreeze_reason=said, unfrozen_by=work.actor, unfrozen_at=work.now)
        .returning(*account_freezes.columns)
    )
    return dict(work.connection.execute(closed).mappings().one())


def history(connection: Connection, account_id: str) -> list[Row]:
    """Return when an account was frozen and why, newest first."""
    query = (
        select(account_freezes)
        .where(account_freezes.c.account_id == account_id)
        .order_by(account_freezes.c.id.desc())
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _set(work: UnitOfWork, account: str, *, frozen: bool) -> Row:
    """Turn the flag by one guarded update: of two who try, one is told that it was done."""
    row = accounts.get(work.connection, account)
    turned = work.connection.execute(
        update(ledger_accounts)
        .where(ledger_accounts.c.id == row["id"], ledger_accounts.c.frozen.is_(not frozen))
        .values(frozen=frozen)
    )
    if turned.rowcount != 1:
        state = "frozen already" if frozen else "not frozen"
        raise InvalidStatus(f"account {accounts.name(row)} is {state}", account_id=row["id"])
    return row
