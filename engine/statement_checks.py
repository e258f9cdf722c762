"""Verify that each wallet's statement tells what its ledger account went through; mends nothing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, String, case, cast, func, select, true

from engine.ledger_tables import ledger_accounts
from engine.postings import WALLET
from engine.tables import tenants
from engine.wallet_statement import CREDIT, DEBIT, HOLD
from engine.wallet_tables import wallet_transactions

Finding = dict[str, Any]
_LINE = wallet_transactions.c


def verify(connection: Connection) -> list[Finding]:
    """Return L7: what does not agree in any statement, having read every line.

    The last line has its account's balances, lines are numbered without a gap and never run back
    in time, each continues the balances of the one before it and the sums of its kind.
    """
    return [*ends(connection), *lines(connection, true())]


def wallets(connection: Connection) -> list[str]:
    """Return the tenants whose wallet was ever used."""
    books = select(ledger_accounts.c.book).where(ledger_accounts.c.code == WALLET).distinct()
    return sorted(connection.execute(books).scalars())


def ends(connection: Connection) -> list[Finding]:
    """Compare the end of each statement with its account; costs the wallets, not their lines."""
    account = ledger_accounts.c
    newest = (
        select(func.max(_LINE.seq))
        .where(_LINE.tenant_id == tenants.c.id)
        .correlate(tenants)
        .scalar_subquery()
    )
    query = (
        select(ledger_accounts, _LINE.balance_minor, _LINE.available_minor)
        .select_from(ledger_accounts)
        .join(tenants, cast(tenants.c.id, String(36)) == account.book)
        .outerjoin(wallet_transactions, (_LINE.tenant_id == tenants.c.id) & (_LINE.seq == newest))
        .where(account.code == WALLET)
    )
    found = []
    for row in connection.execute(query):
        balance = row.posted_debits - row.posted_credits
        for name, expected, actual in (
            ("balance", balance, row.balance_minor or 0),
            ("available", balance - row.pending_credits, row.available_minor or 0),
        ):
            if expected != actual:
                found.append(_finding(f"statement of {row.book}: {name}", name, expected, actual))
    return found


def lines(connection: Connection, scope: ColumnElement[bool]) -> list[Finding]:
    """Return lines that do not continue where the one before them ended.

    ``scope`` is a condition on ``wallet_transactions.tenant_id``.
    """
    wallet: dict[str, Any] = {"partition_by": _LINE.tenant_id, "order_by": _LINE.seq}
    kind = [_LINE.tenant_id, _LINE.type, _LINE.reference_type]
    alike: dict[str, Any] = {"partition_by": kind, "order_by": _LINE.seq}
    amount, earlier = _LINE.amount_minor, _earlier(wallet)
    moved = case((_LINE.type == CREDIT, amount), (_LINE.type == DEBIT, -amount), else_=0)
    freed = case((_LINE.type.in_((DEBIT, HOLD)), -amount), else_=amount)
    judged = select(
        _LINE.id,
        _LINE.seq,
        (
            (_LINE.seq != func.row_number().over(**wallet))
            | (_LINE.balance_minor != earlier(_LINE.balance_minor) + moved)
            | (_LINE.available_minor != earlier(_LINE.available_minor) + freed)
            | (_LINE.created_at < func.lag(_LINE.created_at, 1, _LINE.created_at).over(**wallet))
            | (_LINE.number != func.row_number().over(**alike))
            | (_LINE.total_minor != _earlier(alike)(_LINE.total_minor) + amount)
        ).label("broken"),
    )
    each = judged.where(scope).subquery()
    return [
        _finding(f"wallet transaction {row.id}: line {row.seq}", "line", "continues", "does not")
        for row in connection.execute(select(each).where(each.c.broken))
    ]


def _finding(subject: str, field: str, expected: object, actual: object) -> Finding:
    return {
        "check": "L7",
        "subject": subject,
        "field": field,
        "expected": expected,
        "actual": actual,
    }


def _earlier(window: dict[str, Any]) -> Any:
    return lambda column: func.coalesce(func.lag(column).over(**window), 0)
