"""The invariants of the books, recomputed from rows: functions that find, and mend nothing.

L1 a transaction adds up to zero per book and currency. L2 an account is the sum of its entries and
the end of their chain. L3 every wallet is the platform's liability, and what one book is owed
another owes. L4 pending amounts are the open holds. Two more are of calls, not of rows, and tested:
L5 a discretionary debit never takes more than may be spent, L6 a refused call changes nothing.
L7, that a wallet's statement tells what its account went through, is ``statement_checks``.

A finding is a dictionary: ``check``, ``subject`` (in words, one per finding), ``field``,
``expected``, ``actual``, and where known ``account_id``, ``account``, ``account_version``,
``entry_id``, ``transaction_id``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    union_all,
)

from engine import ledger_plan, ledger_walk, statement_checks
from engine.chart import LIABILITY, PAYABLE, RECEIVABLE
from engine.ledger_chain import transaction_digest
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.postings import PLATFORM, WALLET

Finding = dict[str, Any]
_ACCOUNT = ledger_accounts.c
_ENTRY = ledger_entries.c
_TRANSACTION = ledger_transactions.c


def verify(connection: Connection) -> list[Finding]:
    """Return everything that does not agree, having read every row; for small ledgers and tests.

    ``ledger_verification.verify`` does the same in short transactions, with progress, and need not
    read again what it read before.
    """
    found: list[Finding] = []
    after: str | None = ledger_plan.FIRST
    while after is not None:
        plan = ledger_plan.plan(connection, after=after)
        found += plan.findings
        while plan.spans:
            found += ledger_walk.step(connection, plan.spans).findings
        after = plan.last
    found += transactions(connection, true())
    found += [*unmirrored(connection), *pending(connection)]
    return [*found, *statement_checks.verify(connection)]


def transactions(connection: Connection, scope: ColumnElement[bool]) -> list[Finding]:
    """Return what is wrong with the transactions in ``scope``: L1, and their own digests.

    ``scope`` is a condition on ``ledger_transactions.id``.
    """
    return [*_unbalanced(connection, scope), *_altered(connection, scope)]


def unmirrored(connection: Connection) -> list[Finding]:
    """Return L3: pairs of accounts that should add up to nothing; reads accounts only."""
    stem = func.substr
    debtor = case(
        (_ACCOUNT.code == WALLET, _ACCOUNT.book),
        (_starts(LIABILITY), stem(_ACCOUNT.code, len(LIABILITY) + 1)),
        (_starts(PAYABLE), _ACCOUNT.book),
        else_=stem(_ACCOUNT.code, len(RECEIVABLE) + 1),
    )
    creditor = case(
        (or_(_ACCOUNT.code == WALLET, _starts(LIABILITY)), PLATFORM),
        (_starts(PAYABLE), stem(_ACCOUNT.code, len(PAYABLE) + 1)),
        else_=_ACCOUNT.book,
    )
    pairs = select(
        debtor.label("debtor"),
        creditor.label("creditor"),
        _ACCOUNT.currency,
        (_ACCOUNT.posted_debits - _ACCOUNT.posted_credits).label("balance"),
    ).where(
        or_(
            _ACCOUNT.code == WALLET,
            and_(_ACCOUNT.book == PLATFORM, _starts(LIABILITY)),
            _starts(PAYABLE),
            _starts(RECEIVABLE),
        )
    )
    each = pairs.subquery()
    left = func.sum(each.c.balance)
    query = (
        select(each.c.debtor, each.c.creditor, each.c.currency, left.label("left"))
        .group_by(each.c.debtor, each.c.creditor, each.c.currency)
        .having(left != 0)
        .order_by(each.c.debtor, each.c.creditor)
    )
    return [
        {
            "check": "L3",
            "subject": f"{_pair(row)} in {row.currency}: mirror",
            "field": "mirror",
            "expected": 0,
            "actual": int(row.left),
        }
        for row in connection.execute(query)
    ]


def pending(connection: Connection) -> list[Finding]:
    """Return L4: wallets whose pending amounts are not their open holds; one statement, one view.

    Costs the accounts and what is open.
    """
    found = _pending_query(holds.c.payer_id, "pending_credits")
    other = _pending_query(holds.c.payee_id, "pending_debits")
    return [
        {
            "check": "L4",
            "subject": f"account {row.book}/{row.code}/{row.currency}: {row.field}",
            "field": row.field,
            "expected": int(row.expected),
            "actual": int(row.actual),
            "account": f"{row.book}/{row.code}/{row.currency}",
        }
        for query in (found, other)
        for row in connection.execute(query)
    ]


def _pending_query(tenant: Any, field: str) -> Select[Any]:
    """Return accounts beside what is open on them, where the two differ."""
    zero = literal(0)
    kept = select(
        _ACCOUNT.book,
        _ACCOUNT.code,
        _ACCOUNT.currency,
        zero.label("expected"),
        _ACCOUNT[field].label("actual"),
    ).where(_ACCOUNT[field] != 0)
    opened = select(
        cast(tenant, String(36)),
        literal(WALLET),
        holds.c.currency,
        holds.c.amount_minor,
        zero,
    ).where(holds.c.status == "open", tenant.is_not(None))
    both = union_all(kept, opened).subquery()
    expected, actual = func.sum(both.c.expected), func.sum(both.c.actual)
    return (
        select(
            both.c.book,
            both.c.code,
            both.c.currency,
            literal(field).label("field"),
            expected.label("expected"),
            actual.label("actual"),
        )
        .group_by(both.c.book, both.c.code, both.c.currency)
        .having(expected != actual)
        .order_by(both.c.book, both.c.code)
    )


def _unbalanced(connection: Connection, scope: ColumnElement[bool]) -> Iterator[Finding]:
    total = func.sum(_ENTRY.amount_minor)
    foreign = func.sum(case((_TRANSACTION.currency == _ACCOUNT.currency, 0), else_=1))
    query = (
        select(_TRANSACTION.id, _ACCOUNT.book, _ACCOUNT.currency, total.label("total"))
        .join_from(ledger_transactions, ledger_entries, _ENTRY.transaction_id == _TRANSACTION.id)
        .join(ledger_accounts, _ACCOUNT.id == _ENTRY.account_id)
        .where(scope)
        .group_by(_TRANSACTION.id, _ACCOUNT.book, _ACCOUNT.currency)
        .having(or_(total != 0, foreign != 0))
    )
    for row in connection.execute(query):
        yield {
            "check": "L1",
            "subject": f"transaction {row.id} in {row.book}/{row.currency}: sum",
            "field": "sum",
            "expected": 0,
            "actual": int(row.total),
            "transaction_id": row.id,
        }


def _altered(connection: Connection, scope: ColumnElement[bool]) -> Iterator[Finding]:
    for row in connection.execute(select(ledger_transactions).where(scope)).mappings():
        digest = transaction_digest(dict(row))
        if digest != row["digest"]:
            yield {
                "check": "L1",
                "subject": f"transaction {row['id']}: digest",
                "field": "digest",
                "expected": digest.hex(),
                "actual": row["digest"].hex(),
                "transaction_id": row["id"],
            }


def _pair(row: Any) -> str:
    if row.creditor == PLATFORM:
        return f"wallet of {row.debtor} and the platform's liability"
    return f"debt of {row.debtor} to {row.creditor}"


def _starts(prefix: str) -> Any:
    return func.substr(_ACCOUNT.code, 1, len(prefix)) == prefix
