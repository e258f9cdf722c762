"""Verify that each wallet's statement tells what its ledger account went through; mends nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, String, case, cast, func, or_, select, true

from engine.ledger_tables import ledger_accounts
from engine.postings import WALLET
from engine.tables import tenants
from engine.wallet_statement import CREDIT, DEBIT, HOLD
from engine.wallet_tables import wallet_transactions

Finding = dict[str, Any]
_LINE = wallet_transactions.c
#: Tenants looked at together, and lines read together.
PAGE_TENANTS = 1_000
GROUP_LINES = 20_000


def verify(connection: Connection) -> list[Finding]:
    """Return L7: what does not agree in any statement, having read every line.

    The last line has its account's balances, lines are numbered without a gap and never run back
    in time, each continues the balances of the one before it and the sums of its kind.
    """
    return [*ends(connection), *lines(connection, true())]


def wallets(connection: Connection, after: str) -> tuple[list[list[str]], str | None]:
    """Return the tenants behind ``after`` that have a statement, in groups to read one by one.

    A group has few lines together, or is a single long statement. The second part is the next
    ``after``, None at the end.
    """
    newest = _newest(tenants.c.id)
    page = select(tenants.c.id, newest.label("lines")).where(tenants.c.id > after)
    rows = connection.execute(page.order_by(tenants.c.id).limit(PAGE_TENANTS)).all()
    groups: list[list[str]] = []
    room = 0
    for row in rows:
        if row.lines is None:
            continue
        if row.lines > room:
            groups.append([])
            room = GROUP_LINES
        groups[-1].append(row.id)
        room -= row.lines
    return groups, rows[-1].id if len(rows) == PAGE_TENANTS else None


def _newest(tenant_id: Any) -> Any:
    """Select the number of a wallet's newest line: one probe."""
    return (
        select(func.max(_LINE.seq))
        .where(_LINE.tenant_id == tenant_id)
        .correlate(tenants)
        .scalar_subquery()
    )


def ends(connection: Connection, tenant_ids: Collection[str] | None = None) -> list[Finding]:
    """Compare the end of each statement with its account, of these wallets or of all.

    Costs the wallets, not their lines; the server compares.
    """
    if tenant_ids is None:
        return _ends(connection, true())
    ordered = sorted(tenant_ids)
    parts = (ordered[at : at + PAGE_TENANTS] for at in range(0, len(ordered), PAGE_TENANTS))
    of_both = ((tenants.c.id.in_(part), ledger_accounts.c.book.in_(part)) for part in parts)
    return [found for scope in of_both for found in _ends(connection, *scope)]


def _ends(connection: Connection, *scope: ColumnElement[bool]) -> list[Finding]:
    account = ledger_accounts.c
    balance = account.posted_debits - account.posted_credits
    said = func.coalesce(_LINE.balance_minor, 0), func.coalesce(_LINE.available_minor, 0)
    query = (
        select(ledger_accounts, _LINE.balance_minor, _LINE.available_minor)
        .select_from(ledger_accounts)
        .join(tenants, cast(tenants.c.id, String(36)) == account.book)
        .outerjoin(
            wallet_transactions,
            (_LINE.tenant_id == tenants.c.id) & (_LINE.seq == _newest(tenants.c.id)),
        )
        .where(account.code == WALLET, *scope)
        .where(or_(balance != said[0], balance - account.pending_credits != said[1]))
    )
    found = []
    for row in connection.execute(query):
        balance_minor = row.posted_debits - row.posted_credits
        for name, expected, actual in (
            ("balance", balance_minor, row.balance_minor or 0),
            ("available", balance_minor - row.pending_credits, row.available_minor or 0),
        ):
            if expected != actual:
                subject = f"statement of {row.book}: {name}"
                found.append(_finding(row.book, subject, name, expected, actual))
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
        _LINE.tenant_id,
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
        _finding(
            row.tenant_id,
            f"wallet transaction {row.id}: line {row.seq}",
            "line",
            "continues",
            "does not",
        )
        for row in connection.execute(select(each).where(each.c.broken))
    ]


def _finding(tenant_id: str, subject: str, field: str, expected: object, actual: object) -> Finding:
    return {
        "key": [tenant_id],
        "check": "L7",
        "subject": subject,
        "field": field,
        "expected": expected,
        "actual": actual,
    }


def _earlier(window: dict[str, Any]) -> Any:
    return lambda column: func.coalesce(func.lag(column).over(**window), 0)
