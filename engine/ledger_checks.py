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

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
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
    tuple_,
    union,
    union_all,
)

from engine import ledger_plan, ledger_walk, statement_checks
from engine.chart import LIABILITY, PAYABLE, RECEIVABLE, mirror, sides
from engine.ids import first_id
from engine.ledger_chain import transaction_digest
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.postings import PLATFORM, WALLET

Finding = dict[str, Any]
#: An account of any currency: its book and code.
Name = tuple[str, str]
#: Names that one statement asks about.
NAMES_PER_QUERY = 1_000
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


def touched(connection: Connection, since: datetime) -> set[Name]:
    """Return book and code of the accounts that have entries since then: costs those entries."""
    query = (
        select(_ACCOUNT.book, _ACCOUNT.code)
        .join(ledger_entries, _ENTRY.account_id == _ACCOUNT.id)
        # Identifiers are ordered by time: the newest entries are the end of the primary key.
        .where(_ENTRY.id >= first_id(since))
        .distinct()
    )
    return {(row.book, row.code) for row in connection.execute(query)}


def unmirrored(connection: Connection, names: Collection[Name] | None = None) -> list[Finding]:
    """Return L3: pairs of accounts that should add up to nothing.

    Of the accounts with these books and codes and what mirrors them, or of all: O(accounts) then.
    """
    if names is None:
        return _unmirrored(connection, true())
    pairs = sorted({pair for name in names if (pair := mirror(*name)) is not None})
    found: list[Finding] = []
    for start in range(0, len(pairs), NAMES_PER_QUERY):
        both = [side for pair in pairs[start : start + NAMES_PER_QUERY] for side in sides(*pair)]
        # The books by themselves too: SQLite has no index for pairs in a list.
        mine = _ACCOUNT.book.in_(sorted({book for book, _ in both}))
        found += _unmirrored(connection, mine & tuple_(_ACCOUNT.book, _ACCOUNT.code).in_(both))
    return found


def _unmirrored(connection: Connection, scope: ColumnElement[bool]) -> list[Finding]:
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
        ),
        scope,
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
            "key": list(_key(row)),
        }
        for row in connection.execute(query)
    ]


def holding(connection: Connection, since: datetime) -> set[str]:
    """Return the books whose holds were opened or closed since then: costs those holds."""
    low = first_id(since)
    sides_of = (holds.c.payer_id, holds.c.payee_id)
    # A hold is closed by a transaction, and its identifier too is ordered by time.
    queries = [
        select(side).where(column >= low, side.is_not(None))
        for side in sides_of
        for column in (holds.c.id, holds.c.closed_by_id)
    ]
    return set(connection.execute(union(*queries)).scalars())


def pending(connection: Connection, books: Collection[str] | None = None) -> list[Finding]:
    """Return L4: wallets whose pending amounts are not their open holds; one statement, one view.

    Of these books, or of all: O(accounts and what is open) then.
    """
    if books is None:
        return _pending(connection, None)
    ordered = sorted(books)
    parts = range(0, len(ordered), NAMES_PER_QUERY)
    return [
        found
        for start in parts
        for found in _pending(connection, ordered[start : start + NAMES_PER_QUERY])
    ]


def _pending(connection: Connection, books: Sequence[str] | None) -> list[Finding]:
    found = _pending_query(holds.c.payer_id, "pending_credits", books)
    other = _pending_query(holds.c.payee_id, "pending_debits", books)
    return [
        {
            "check": "L4",
            "subject": f"account {row.book}/{row.code}/{row.currency}: {row.field}",
            "field": row.field,
            "expected": int(row.expected),
            "actual": int(row.actual),
            "account": f"{row.book}/{row.code}/{row.currency}",
            "key": [row.book],
        }
        for query in (found, other)
        for row in connection.execute(query)
    ]


def _pending_query(tenant: Any, field: str, books: Sequence[str] | None) -> Select[Any]:
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
    if books is not None:
        kept, opened = kept.where(_ACCOUNT.book.in_(books)), opened.where(tenant.in_(books))
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


def _key(row: Any) -> Name:
    """Return book and code of the debtor's side of a pair."""
    of_wallet = row.creditor == PLATFORM
    return row.debtor, WALLET if of_wallet else f"{PAYABLE}{row.creditor}"


def _starts(prefix: str) -> Any:
    return func.substr(_ACCOUNT.code, 1, len(prefix)) == prefix
