"""Ledger accounts: made when first used, locked in one order, changed only under that lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, tuple_, update

from engine.errors import InvalidAmount
from engine.ids import new_id
from engine.ledger_tables import ledger_accounts
from engine.money import AMOUNT_MINOR_MAX
from engine.postings import normal_side
from engine.upserts import insert_missing

#: A book and a code: one account in each currency.
Key = tuple[str, str]
COUNTERS = ("posted_debits", "posted_credits", "pending_debits", "pending_credits", "version")


@dataclass(slots=True)
class Change:
    """What one posting does to one account; ``amount_minor`` is signed, debits positive."""

    amount_minor: int = 0
    pending_debits: int = 0
    pending_credits: int = 0


def lock(connection: Connection, keys: Collection[Key], currency: str) -> dict[Key, dict[str, Any]]:
    """Return the accounts, made where missing, locked in the one order every posting uses."""
    wanted = _wanted(keys, currency)
    present = {(row.book, row.code) for row in connection.execute(wanted)}
    # New accounts come before any lock is held, so that two postings cannot wait for each other.
    missing = [_new_account(key, currency) for key in sorted(set(keys) - present)]
    insert_missing(connection, ledger_accounts, missing, ["book", "code", "currency"])
    rows = connection.execute(wanted.with_for_update(key_share=True)).mappings()
    return {(row["book"], row["code"]): dict(row) for row in rows}


def find(connection: Connection, keys: Collection[Key], currency: str) -> dict[Key, dict[str, Any]]:
    """Return those of the accounts that exist, without locking them."""
    rows = connection.execute(_wanted(keys, currency)).mappings()
    return {(row["book"], row["code"]): dict(row) for row in rows}


def balance(account: Mapping[str, Any]) -> int:
    """Return the signed balance: debits less credits."""
    return int(account["posted_debits"] - account["posted_credits"])


def changed(account: Mapping[str, Any], change: Change) -> dict[str, Any]:
    """Return the account after a change, or raise InvalidAmount beyond exact amounts."""
    amount_minor = change.amount_minor
    after = {
        **account,
        "posted_debits": account["posted_debits"] + max(amount_minor, 0),
        "posted_credits": account["posted_credits"] + max(-amount_minor, 0),
        "pending_debits": account["pending_debits"] + change.pending_debits,
        "pending_credits": account["pending_credits"] + change.pending_credits,
        "version": account["version"] + bool(amount_minor),
    }
    if max(abs(balance(after)), after["posted_debits"], after["posted_credits"]) > AMOUNT_MINOR_MAX:
        raise InvalidAmount(
            f"account {account['code']} of {account['book']} would pass the largest exact amount",
            field="amount",
        )
    return after


def store(connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """Write the counters of locked accounts."""
    connection.execute(
        update(ledger_accounts)
        .where(ledger_accounts.c.id == bindparam("account_id"))
        .values({name: bindparam(f"new_{name}") for name in COUNTERS}),
        [
            {"account_id": row["id"], **{f"new_{name}": row[name] for name in COUNTERS}}
            for row in rows
        ],
    )


def _wanted(keys: Collection[Key], currency: str) -> Select[Any]:
    table = ledger_accounts.c
    return (
        select(ledger_accounts)
        .where(tuple_(table.book, table.code).in_(sorted(keys)), table.currency == currency)
        .order_by(table.book, table.code)
    )


def _new_account(key: Key, currency: str) -> dict[str, Any]:
    book, code = key
    return {
        "id": new_id(),
        "book": book,
        "code": code,
        "currency": currency,
        "normal": normal_side(code),
        **dict.fromkeys(COUNTERS, 0),
    }
