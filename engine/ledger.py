"""The ledger: balanced, immutable transactions and two-phase holds; nothing else moves money.

``post`` is the only way in. It locks every account it touches in one order, checks what the payer
can bear, writes the chain of entries and evaluates the wallets' thresholds, all under those locks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
from sqlalchemy import Connection, func, insert, select, tuple_, update

from engine import accounts, wallet_levels
from engine.accounts import Change, Key
from engine.errors import (
    BooksDoNotBalance,
    IdempotencyKeyReused,
    InsufficientBalance,
    InvalidStatus,
    NotFound,
)
from engine.ids import new_id
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.money import money_fields
from engine.postings import WALLET, Close, Entry, Posting
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing


@dataclass(slots=True)
class Draft:
    """A posting worked out in memory, before its accounts are written."""

    posting: Posting
    transaction: dict[str, Any]
    entries: dict[Key, int]
    closing: list[dict[str, Any]]
    before: dict[Key, dict[str, Any]] = field(default_factory=dict)
    after: dict[Key, dict[str, Any]] = field(default_factory=dict)


def post(work: UnitOfWork, posting: Posting) -> dict[str, Any]:
    """Write one posting and return its transaction row; the same key again returns the first.

    Raises BooksDoNotBalance (a defect), IdempotencyKeyReused, InsufficientBalance for a
    discretionary debit the wallet cannot bear, InvalidAmount, or NotFound (no such open hold).
    """
    entries = merged(posting.entries)
    transaction, is_new = _begin(work, posting)
    if not is_new:
        return transaction
    draft = Draft(posting, transaction, entries, _open_holds(work.connection, posting.closes))
    changes = _changes(draft)
    draft.before = accounts.lock(work.connection, set(changes), posting.currency)
    draft.after = {key: accounts.changed(row, changes[key]) for key, row in draft.before.items()}
    limits = wallet_levels.limits_of(work, {book for book, code in changes if code == WALLET})
    _require_funds(work.connection, draft, limits)
    if changes:
        accounts.store(work.connection, draft.after.values())
    _write_entries(work, draft)
    _write_holds(work, draft)
    for tenant_id, wallet in sorted(limits.items()):
        figures = wallet_levels.figures_of(draft.after[tenant_id, WALLET], wallet)
        wallet_levels.watch(work, wallet, figures)
    return transaction


def merged(entries: Iterable[Entry]) -> dict[Key, int]:
    """Return one signed amount per account, or raise BooksDoNotBalance naming the book."""
    amounts: dict[Key, int] = {}
    books: dict[str, int] = {}
    for entry in entries:
        key = (entry.book, entry.code)
        amounts[key] = amounts.get(key, 0) + entry.amount_minor
        books[entry.book] = books.get(entry.book, 0) + entry.amount_minor
    for book, total in books.items():
        if total:
            raise BooksDoNotBalance(f"book {book} is off by {total} minor units", book=book)
    return {key: amount for key, amount in amounts.items() if amount}


def entries_of(connection: Connection, transaction_id: str) -> tuple[Entry, ...]:
    """Return what a transaction posted, as a builder of postings would say it."""
    table, account = ledger_entries.c, ledger_accounts.c
    rows = connection.execute(
        select(account.book, account.code, table.amount_minor)
        .join_from(ledger_entries, ledger_accounts, account.id == table.account_id)
        .where(table.transaction_id == transaction_id)
        .order_by(account.book, account.code)
    )
    return tuple(Entry(row.book, row.code, row.amount_minor) for row in rows)


def has_open_hold(connection: Connection, reason: str, reference_id: str) -> bool:
    """Tell whether money is set aside for something."""
    found = select(holds.c.id).where(
        holds.c.reason == reason, holds.c.reference_id == reference_id, holds.c.status == "open"
    )
    return connection.execute(found).first() is not None


def _begin(work: UnitOfWork, posting: Posting) -> tuple[dict[str, Any], bool]:
    """Take the idempotency key; a repetition waits for the first and finds its row."""
    content = orjson.dumps(asdict(posting), option=orjson.OPT_SORT_KEYS)
    row = {
        "id": new_id(),
        "kind": posting.kind,
        "reference_type": posting.reference_type,
        "reference_id": posting.reference_id,
        "currency": posting.currency,
        "idempotency_key": posting.idempotency_key,
        "fingerprint": hashlib.sha256(content).hexdigest(),
        "reverses_id": posting.reverses_id,
        "event_at": work.now,
        "created_at": work.now,
    }
    if insert_missing(work.connection, ledger_transactions, [row], ["idempotency_key"]):
        return row, True
    same_key = ledger_transactions.c.idempotency_key == posting.idempotency_key
    standing = work.connection.execute(select(ledger_transactions).where(same_key)).mappings().one()
    if standing["fingerprint"] != row["fingerprint"]:
        raise IdempotencyKeyReused(
            f"key {posting.idempotency_key!r} names another posting already",
            idempotency_key=posting.idempotency_key,
        )
    return dict(standing), False


def _open_holds(connection: Connection, closes: tuple[Close, ...]) -> list[dict[str, Any]]:
    """Return the holds to close, in the order given."""
    wanted = [(close.reference_id, close.reason) for close in closes]
    query = select(holds).where(
        tuple_(holds.c.reference_id, holds.c.reason).in_(wanted), holds.c.status == "open"
    )
    found = {
        (row["reference_id"], row["reason"]): dict(row)
        for row in (connection.execute(query).mappings() if wanted else ())
    }
    for reference_id, reason in wanted:
        if (reference_id, reason) not in found:
            raise NotFound(f"no open {reason} hold for {reference_id}", value=reference_id)
    return [found[key] for key in wanted]


def _changes(draft: Draft) -> dict[Key, Change]:
    changes: dict[Key, Change] = {}
    for key, amount_minor in draft.entries.items():
        changes.setdefault(key, Change()).amount_minor = amount_minor
    moves = [(hold.payer_id, hold.payee_id, hold.amount_minor) for hold in draft.posting.opens]
    moves += [(row["payer_id"], row["payee_id"], -row["amount_minor"]) for row in draft.closing]
    for payer_id, payee_id, amount_minor in moves:
        changes.setdefault((payer_id, WALLET), Change()).pending_credits += amount_minor
        if payee_id is not None:
            changes.setdefault((payee_id, WALLET), Change()).pending_debits += amount_minor
    return changes


def _require_funds(connection: Connection, draft: Draft, limits: dict[str, dict[str, Any]]) -> None:
    """Refuse what the wallet cannot bear, before an account is written."""
    for hold in draft.posting.opens:
        if hold.kind == "discretionary":
            figures = _figures(draft, hold.payer_id, limits)
            _require(draft, figures.spendable, hold.amount_minor)
    payer_id = draft.posting.paid_by
    if payer_id is not None:
        # Money owed to others does not keep a debt from being paid; money set aside by choice does.
        figures = _figures(draft, payer_id, limits)
        left = figures.balance + figures.credit_limit - _discretionary(connection, draft, payer_id)
        _require(draft, left, -draft.entries.get((payer_id, WALLET), 0))


def _figures(
    draft: Draft, tenant_id: str, limits: dict[str, dict[str, Any]]
) -> wallet_levels.Figures:
    return wallet_levels.figures_of(draft.after[tenant_id, WALLET], limits.get(tenant_id))


def _require(draft: Draft, left_minor: int, required_minor: int) -> None:
    if left_minor < 0:
        raise InsufficientBalance(
            "Insufficient balance",
            **money_fields(
                draft.posting.currency,
                required=required_minor,
                available=left_minor + required_minor,
            ),
        )


def _discretionary(connection: Connection, draft: Draft, payer_id: str) -> int:
    """Return what stays set aside by choice in a locked wallet."""
    closing = {row["id"] for row in draft.closing}
    total = select(func.coalesce(func.sum(holds.c.amount_minor), 0)).where(
        holds.c.payer_id == payer_id,
        holds.c.status == "open",
        holds.c.kind == "discretionary",
        holds.c.id.not_in(closing),
    )
    return int(connection.execute(total).scalar_one())


def _write_entries(work: UnitOfWork, draft: Draft) -> None:
    rows = [
        {
            "id": new_id(),
            "transaction_id": draft.transaction["id"],
            "account_id": draft.after[key]["id"],
            "amount_minor": amount_minor,
            "account_version": draft.after[key]["version"],
            "previous_balance": accounts.balance(draft.before[key]),
            "current_balance": accounts.balance(draft.after[key]),
            "created_at": work.now,
        }
        for key, amount_minor in sorted(draft.entries.items())
    ]
    if rows:
        work.connection.execute(insert(ledger_entries), rows)


def _write_holds(work: UnitOfWork, draft: Draft) -> None:
    opened = [
        {
            "id": new_id(),
            **asdict(hold),
            "currency": draft.posting.currency,
            "status": "open",
            "opened_by_id": draft.transaction["id"],
            "created_at": work.now,
        }
        for hold in draft.posting.opens
    ]
    if opened:
        work.connection.execute(insert(holds), opened)
    for row, close in zip(draft.closing, draft.posting.closes, strict=True):
        closed = work.connection.execute(
            update(holds)
            .where(holds.c.id == row["id"], holds.c.status == "open")
            .values(status=close.status, closed_by_id=draft.transaction["id"], closed_at=work.now)
        )
        if closed.rowcount != 1:
            raise InvalidStatus(f"the hold for {close.reference_id} was closed meanwhile")
