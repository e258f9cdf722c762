"""Verify the books: every invariant recomputed from entries and holds; nothing is mended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Select, case, func, literal, select

from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.postings import PLATFORM, WALLET, payable, receivable

Finding = dict[str, Any]
_ACCOUNT = ledger_accounts.c
_ENTRY = ledger_entries.c


def verify(connection: Connection) -> list[Finding]:
    """Return what does not agree: ``check``, ``subject``, ``expected``, ``actual`` (minor units).

    L1: a transaction adds up to zero per book and currency. L2: an account equals its entries and
    the end of their chain, and the chain has no gap. L3: every wallet equals the platform's
    liability, and what one book is owed another owes. L4: pending amounts equal the open holds.
    """
    found = [*_transactions(connection), *_accounts(connection), *_chains(connection)]
    return [*found, *_mirrors(connection), *_pending(connection)]


def _finding(check: str, subject: str, expected: Any, actual: Any) -> Finding:
    return {
        "check": check,
        "subject": subject,
        "expected": int(expected or 0),
        "actual": int(actual or 0),
    }


def _transactions(connection: Connection) -> Iterator[Finding]:
    total = func.sum(_ENTRY.amount_minor)
    query = (
        select(_ENTRY.transaction_id, _ACCOUNT.book, _ACCOUNT.currency, total.label("total"))
        .join_from(ledger_entries, ledger_accounts, _ACCOUNT.id == _ENTRY.account_id)
        .join(ledger_transactions, ledger_transactions.c.id == _ENTRY.transaction_id)
        .group_by(_ENTRY.transaction_id, _ACCOUNT.book, _ACCOUNT.currency)
        .having(total != 0)
    )
    for row in connection.execute(query):
        yield _finding("L1", f"{row.transaction_id}/{row.book}/{row.currency}", 0, row.total)


def _accounts(connection: Connection) -> Iterator[Finding]:
    """Compare the counters of each account with its entries and the end of their chain."""
    amount = _ENTRY.amount_minor
    sums = (
        select(
            _ENTRY.account_id,
            func.sum(case((amount > 0, amount), else_=0)).label("debits"),
            func.sum(case((amount < 0, -amount), else_=0)).label("credits"),
            func.max(_ENTRY.account_version).label("version"),
        )
        .group_by(_ENTRY.account_id)
        .subquery()
    )
    newest = ledger_entries.alias()
    query = (
        select(ledger_accounts, sums, newest.c.current_balance)
        .outerjoin_from(ledger_accounts, sums, sums.c.account_id == _ACCOUNT.id)
        .outerjoin(
            newest,
            (newest.c.account_id == _ACCOUNT.id) & (newest.c.account_version == sums.c.version),
        )
    )
    for row in connection.execute(query):
        balance = row.posted_debits - row.posted_credits
        pairs = (
            ("posted_debits", row.debits, row.posted_debits),
            ("posted_credits", row.credits, row.posted_credits),
            ("chain_end", row.current_balance, balance),
        )
        for name, expected, actual in pairs:
            if int(expected or 0) != actual:
                yield _finding("L2", f"{row.book}/{row.code}/{name}", expected, actual)


def _chains(connection: Connection) -> Iterator[Finding]:
    """Find entries that do not continue where the one before them ended."""
    version, account_id = _ENTRY.account_version, _ENTRY.account_id
    earlier = func.lag(_ENTRY.current_balance).over(partition_by=account_id, order_by=version)
    place = func.row_number().over(partition_by=account_id, order_by=version)
    links = select(
        _ENTRY.id,
        _ENTRY.account_version,
        (_ENTRY.current_balance - _ENTRY.amount_minor).label("start"),
        _ENTRY.previous_balance,
        func.coalesce(earlier, 0).label("ended"),
        place.label("place"),
    ).subquery()
    broken: Select[Any] = select(links).where(
        (links.c.previous_balance != links.c.ended)
        | (links.c.start != links.c.previous_balance)
        | (links.c.place != links.c.account_version)
    )
    for row in connection.execute(broken):
        yield _finding("L2", f"entry {row.id}", row.ended, row.previous_balance)


def _mirrors(connection: Connection) -> Iterator[Finding]:
    """Add each wallet to its liability, each receivable to its payable: nothing is left."""
    query = select(
        _ACCOUNT.book,
        _ACCOUNT.code,
        _ACCOUNT.currency,
        (_ACCOUNT.posted_debits - _ACCOUNT.posted_credits).label("balance"),
    )
    left: dict[tuple[str, str, str], int] = {}
    for row in connection.execute(query):
        key = _mirror_key(row.book, row.code)
        if key is not None:
            left[*key, row.currency] = left.get((*key, row.currency), 0) + row.balance
    for (book, code, currency), total in sorted(left.items()):
        if total:
            yield _finding("L3", f"{book}/{code}/{currency}", 0, total)


def _mirror_key(book: str, code: str) -> tuple[str, str] | None:
    """Return the pair of books an account stands between, the same for both of its sides."""
    if book == PLATFORM and code.startswith("wallet_liab:"):
        return code.removeprefix("wallet_liab:"), WALLET
    if code == WALLET:
        return book, WALLET
    if code.startswith(payable("")):
        return book, code
    if code.startswith(receivable("")):
        return code.removeprefix(receivable("")), payable(book)
    return None


def _pending(connection: Connection) -> Iterator[Finding]:
    open_holds: dict[tuple[str, str, str], int] = {}
    for side, column in (
        ("pending_credits", holds.c.payer_id),
        ("pending_debits", holds.c.payee_id),
    ):
        query = (
            select(column, holds.c.currency, func.sum(holds.c.amount_minor), literal(side))
            .where(holds.c.status == "open", column.is_not(None))
            .group_by(column, holds.c.currency)
        )
        for tenant_id, currency, total, name in connection.execute(query):
            open_holds[tenant_id, currency, name] = int(total)
    for row in connection.execute(select(ledger_accounts)).mappings():
        for name in ("pending_credits", "pending_debits"):
            key = (row["book"], row["currency"], name)
            expected = open_holds.get(key, 0) if row["code"] == WALLET else 0
            if expected != row[name]:
                yield _finding("L4", f"{row['book']}/{row['code']}/{name}", expected, row[name])
