"""Ledger accounts: made when first used, locked in one order, changed only under that lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, select, tuple_, update

from engine.chart import normal_side, split
from engine.errors import AccountFrozen, InvalidAmount, InvalidInput, NotFound, UnknownAccount
from engine.ids import is_id, new_id
from engine.ledger_chain import GENESIS
from engine.ledger_tables import ledger_accounts
from engine.money import AMOUNT_MINOR_MAX
from engine.postings import PLATFORM
from engine.tables import tenants
from engine.upserts import insert_missing

#: A book and a code: one account in each currency.
Key = tuple[str, str]
COUNTERS = ("posted_debits", "posted_credits", "pending_debits", "pending_credits")
#: What a posting writes of an account.
WRITTEN = (*COUNTERS, "version", "digest")

_NAME = ("book", "code", "currency")


@dataclass(slots=True)
class Change:
    """What one posting does to one account; ``amount_minor`` is signed, debits positive."""

    amount_minor: int = 0
    pending_debits: int = 0
    pending_credits: int = 0


def lock(connection: Connection, keys: Collection[Key], currency: str) -> dict[Key, dict[str, Any]]:
    """Return the accounts, made where missing, locked in the one order every posting uses.

    Raises UnknownAccount for one that the chart or the tenants do not know, InvalidInput for a
    currency that is not its tenant's.
    """
    wanted = _wanted(keys, currency)
    present = {(row.book, row.code) for row in connection.execute(wanted)}
    absent = sorted(set(keys) - present)
    if absent:
        # New accounts come before any lock is held: two postings cannot wait for each other.
        _require_tenants(connection, absent, currency)
        missing = [new_account(key, currency) for key in absent]
        insert_missing(connection, ledger_accounts, missing, ["book", "code", "currency"])
    rows = connection.execute(wanted.with_for_update(key_share=True)).mappings()
    return {(row["book"], row["code"]): dict(row) for row in rows}


def require_open(rows: Collection[Mapping[str, Any]]) -> None:
    """Raise AccountFrozen when one of the locked accounts takes no postings."""
    for row in rows:
        if row["frozen"]:
            raise AccountFrozen(
                f"account {name(row)} is frozen: 'tillbell ledger accounts show {row['id']}' says"
                " why",
                account_id=row["id"],
                account=name(row),
            )


def name(account: Mapping[str, Any]) -> str:
    """Return what people call an account: its book, code and currency."""
    return "/".join(account[column] for column in _NAME)


def find(connection: Connection, keys: Collection[Key], currency: str) -> dict[Key, dict[str, Any]]:
    """Return those of the accounts that exist, without locking them."""
    rows = connection.execute(_wanted(keys, currency)).mappings()
    return {(row["book"], row["code"]): dict(row) for row in rows}


def get(connection: Connection, account: str) -> dict[str, Any]:
    """Return one account by its id or by ``book/code/currency``, or raise NotFound."""
    table, parts = ledger_accounts.c, account.split("/")
    same = table.id == account.lower() if is_id(account) else None
    if len(parts) == len(_NAME):
        same = and_(*(table[column] == part for column, part in zip(_NAME, parts, strict=True)))
    row = None
    if same is not None:
        row = connection.execute(select(ledger_accounts).where(same)).mappings().first()
    if row is None:
        raise NotFound(
            f"no ledger account {account!r}: name it by its id or as BOOK/CODE/CURRENCY",
            field="account",
            value=account,
        )
    return dict(row)


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
    if max(after[counter] for counter in COUNTERS) > AMOUNT_MINOR_MAX:
        raise InvalidAmount(
            f"account {account['code']} of {account['book']} would pass the largest exact amount",
            field="amount",
        )
    return after


def new_account(key: Key, currency: str) -> dict[str, Any]:
    """Return the row of an account nothing was posted on. Raises UnknownAccount."""
    book, code = key
    return {
        "id": new_id(),
        "book": book,
        "code": code,
        "currency": currency,
        "normal": normal_side(code),
        **dict.fromkeys(COUNTERS, 0),
        "version": 0,
        "digest": GENESIS,
    }


def store(connection: Connection, rows: Collection[Mapping[str, Any]]) -> None:
    """Write the counters of locked accounts."""
    connection.execute(
        update(ledger_accounts)
        .where(ledger_accounts.c.id == bindparam("account_id"))
        .values({column: bindparam(f"new_{column}") for column in WRITTEN}),
        [
            {"account_id": row["id"], **{f"new_{column}": row[column] for column in WRITTEN}}
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


def _require_tenants(connection: Connection, keys: Collection[Key], currency: str) -> None:
    """Let nobody open a book of, or a debt with, a tenant that does not exist."""
    named = {book for book, _ in keys if book != PLATFORM}
    named |= {tenant_id for _, code in keys if (tenant_id := split(code)[1]) is not None}
    known = select(tenants.c.id, tenants.c.currency).where(
        tenants.c.id.in_({each for each in named if is_id(each)})
    )
    currencies = {row.id: row.currency for row in connection.execute(known)}
    for tenant_id in sorted(named):
        if tenant_id not in currencies:
            raise UnknownAccount(f"there is no tenant {tenant_id!r} to keep books", value=tenant_id)
        if currencies[tenant_id] != currency:
            raise InvalidInput(
                f"the books of {tenant_id} are kept in {currencies[tenant_id]}, not {currency}",
                field="currency",
                value=currency,
            )
