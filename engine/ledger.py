"""The ledger: balanced, immutable transactions and two-phase holds; nothing else moves money.

``post`` is the only way in. It locks every account it touches in one order, checks what the payer
can bear, writes the chain of entries and evaluates the wallets' thresholds, all under those locks.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select

from engine import accounts, ledger_holds, posting_rules, wallet_levels, wallet_statement
from engine.accounts import Change, Key
from engine.errors import AlreadyReversed, IdempotencyKeyReused, InsufficientBalance
from engine.ids import new_id
from engine.ledger_chain import entry_digest, transaction_digest
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.money import money_fields
from engine.postings import WALLET, Entry, Posting
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

    Raises BooksDoNotBalance (a defect), IdempotencyKeyReused, AlreadyReversed,
    InsufficientBalance for a discretionary debit the wallet cannot bear, InvalidAmount,
    UnknownAccount, AccountFrozen, or NotFound (no such open hold).
    """
    entries = posting_rules.check(posting, work.now)
    transaction, is_new = _begin(work, posting)
    if not is_new:
        return transaction
    closing = ledger_holds.find_open(work.connection, posting.closes)
    posting_rules.check_captures(posting, entries, closing)
    draft = Draft(posting, transaction, entries, closing)
    changes = _changes(draft)
    draft.before = accounts.lock(work.connection, set(changes), posting.currency)
    accounts.require_open(draft.before.values())
    draft.after = {key: accounts.changed(row, changes[key]) for key, row in draft.before.items()}
    limits = wallet_levels.limits_of(work, {book for book, code in changes if code == WALLET})
    _require_funds(work.connection, draft, limits)
    rows = _entries(work, draft)
    if changes:
        accounts.store(work.connection, draft.after.values())
    if rows:
        work.connection.execute(insert(ledger_entries), rows)
    ledger_holds.write(work, transaction["id"], posting, draft.closing)
    wallet_statement.write(
        work,
        posting,
        transaction,
        before=draft.before,
        entries=entries,
        closing=draft.closing,
    )
    for tenant_id, wallet in sorted(limits.items()):
        figures = wallet_levels.figures_of(draft.after[tenant_id, WALLET], wallet)
        wallet_levels.watch(work, wallet, figures)
    return transaction


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


def already_reversed(transaction_id: str, reversed_by: str) -> AlreadyReversed:
    """Return the refusal of a second reversal."""
    return AlreadyReversed(
        f"transaction {transaction_id} was reversed already, by {reversed_by}",
        transaction_id=transaction_id,
        reversed_by=reversed_by,
    )


def key_reused(idempotency_key: str) -> IdempotencyKeyReused:
    """Return the refusal of a key that names another posting."""
    return IdempotencyKeyReused(
        f"key {idempotency_key!r} names another posting already", idempotency_key=idempotency_key
    )


def _begin(work: UnitOfWork, posting: Posting) -> tuple[dict[str, Any], bool]:
    """Take the idempotency key; a repetition waits for the first and finds its row."""
    content = orjson.dumps(asdict(posting), option=orjson.OPT_SORT_KEYS)
    row: dict[str, Any] = {
        "id": new_id(),
        "kind": posting.kind,
        "reference_type": posting.reference_type,
        "reference_id": posting.reference_id,
        "currency": posting.currency,
        "idempotency_key": posting.idempotency_key,
        "fingerprint": hashlib.sha256(content).hexdigest(),
        "reverses_id": posting.reverses_id,
        "metadata": posting.metadata,
        "posted_by": work.actor,
        "event_at": posting.event_at or work.now,
        "created_at": work.now,
    }
    row["digest"] = transaction_digest(row)
    if insert_missing(work.connection, ledger_transactions, [row]):
        return row, True
    return _standing(work.connection, row), False


def _standing(connection: Connection, row: dict[str, Any]) -> dict[str, Any]:
    """Return the transaction that was written first; raise when it is not the same request."""
    table = ledger_transactions.c
    same_key = select(ledger_transactions).where(table.idempotency_key == row["idempotency_key"])
    standing = connection.execute(same_key).mappings().first()
    if standing is None:
        reversed_by = connection.execute(
            select(table.id).where(table.reverses_id == row["reverses_id"])
        ).scalar_one()
        raise already_reversed(row["reverses_id"], reversed_by)
    if standing["fingerprint"] != row["fingerprint"]:
        raise key_reused(row["idempotency_key"])
    return dict(standing)


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
    buyer_id = draft.posting.spent_by
    if buyer_id is not None:
        figures = _figures(draft, buyer_id, limits)
        _require(draft, figures.spendable, -draft.entries.get((buyer_id, WALLET), 0))
    payer_id = draft.posting.paid_by
    if payer_id is not None:
        # Money owed to others does not keep a debt from being paid; money set aside by choice does.
        figures = _figures(draft, payer_id, limits)
        set_aside = ledger_holds.discretionary(connection, payer_id, draft.closing)
        left = figures.effective - set_aside
        _require(draft, left, -draft.entries.get((payer_id, WALLET), 0))


def _figures(
    draft: Draft, tenant_id: str, limits: dict[str, dict[str, Any]]
) -> wallet_levels.Figures:
    """Return what a wallet would be, with as much of its credit as the posting may use."""
    figures = wallet_levels.figures_of(draft.after[tenant_id, WALLET], limits.get(tenant_id))
    agreed = draft.posting.credit_max_minor
    if agreed is None or agreed >= figures.credit_limit:
        return figures
    return replace(figures, credit_limit=agreed)


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


def _entries(work: UnitOfWork, draft: Draft) -> list[dict[str, Any]]:
    """Return the entries of a draft and carry their digests on to the accounts."""
    rows = []
    for key, amount_minor in sorted(draft.entries.items()):
        before, after = draft.before[key], draft.after[key]
        row: dict[str, Any] = {
            "id": new_id(),
            "transaction_id": draft.transaction["id"],
            "account_id": after["id"],
            "amount_minor": amount_minor,
            "account_version": after["version"],
            "previous_balance": accounts.balance(before),
            "current_balance": accounts.balance(after),
            "created_at": work.now,
        }
        row["digest"] = entry_digest(before["digest"], draft.transaction["digest"], row)
        after["digest"] = row["digest"]
        rows.append(row)
    return rows
