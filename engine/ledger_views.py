"""Read the ledger: accounts, what was posted on them, and transactions with both their sides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, func, select, tuple_

from engine import account_freezes, accounts, reversals
from engine.errors import InvalidInput
from engine.ids import first_id, is_id
from engine.inputs import check_integer
from engine.ledger_tables import holds, ledger_accounts, ledger_entries, ledger_transactions
from engine.money import money_fields

LIMIT_MAX = 1000
Row = dict[str, Any]
_ACCOUNT, _ENTRY, _TRANSACTION = ledger_accounts.c, ledger_entries.c, ledger_transactions.c
_ACCOUNT_KEY = (_ACCOUNT.book, _ACCOUNT.code, _ACCOUNT.currency)


def account_listing(
    connection: Connection,
    *,
    book: str | None = None,
    code: str | None = None,
    frozen: bool = False,
    limit: int = 100,
    after: str | None = None,
) -> Row:
    """Return ``data``, by book and code, and ``next_cursor``; ``code`` may be its beginning.

    Raises InvalidInput for a limit or cursor that cannot be.
    """
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    query = select(ledger_accounts).order_by(*_ACCOUNT_KEY).limit(limit + 1)
    if book is not None:
        query = query.where(_ACCOUNT.book == book)
    if code is not None:
        query = query.where(func.substr(_ACCOUNT.code, 1, len(code)) == code)
    if frozen:
        query = query.where(_ACCOUNT.frozen.is_(True))
    if after is not None:
        parts = after.split("/")
        if len(parts) != len(_ACCOUNT_KEY):
            raise InvalidInput(f"{after!r} is no cursor of this list", field="after")
        query = query.where(tuple_(*_ACCOUNT_KEY) > tuple_(*parts))
    return _page(connection, query, limit, cursor=accounts.name, view=account_view)


def account_view(row: Mapping[str, Any]) -> Row:
    """Return an account with its balance on its natural side, amounts also as decimals."""
    sign = 1 if row["normal"] == "debit" else -1
    counters = {name: row[name] for name in accounts.COUNTERS}
    return {
        "id": row["id"],
        "name": accounts.name(row),
        **{name: row[name] for name in ("book", "code", "currency", "normal", "frozen", "version")},
        **money_fields(row["currency"], balance=sign * accounts.balance(row), **counters),
    }


def account_statement(
    connection: Connection, account: str, *, limit: int = 50, after: int | None = None
) -> Row:
    """Return ``account``, its ``freezes``, and its entries newest first below version ``after``."""
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    row = accounts.get(connection, account)
    sign = 1 if row["normal"] == "debit" else -1
    query = (
        select(ledger_entries, _TRANSACTION.kind, _TRANSACTION.event_at)
        .join(ledger_transactions, _TRANSACTION.id == _ENTRY.transaction_id)
        .where(_ENTRY.account_id == row["id"])
        .order_by(_ENTRY.account_version.desc())
        .limit(limit + 1)
    )
    if after is not None:
        query = query.where(_ENTRY.account_version < after)

    def view(entry: Mapping[str, Any]) -> Row:
        amounts = {"balance": sign * entry["current_balance"], **_sides(entry["amount_minor"])}
        names = ("id", "transaction_id", "account_version", "kind", "event_at", "created_at")
        return {name: entry[name] for name in names} | money_fields(row["currency"], **amounts)

    page = _page(connection, query, limit, cursor=lambda each: each["account_version"], view=view)
    freezes = account_freezes.history(connection, row["id"])
    return {"account": account_view(row), "freezes": freezes, **page}


def transaction_listing(
    connection: Connection,
    *,
    kind: str | None = None,
    reference: str | None = None,
    since: datetime | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Row:
    """Return ``data``, newest first, and ``next_cursor``; ``reference`` is ``type/id``.

    Raises InvalidInput for a limit or cursor that cannot be.
    """
    check_integer(limit, field="limit", minimum=1, maximum=LIMIT_MAX)
    query = select(ledger_transactions).order_by(_TRANSACTION.id.desc()).limit(limit + 1)
    if kind is not None:
        query = query.where(_TRANSACTION.kind == kind)
    if reference is not None:
        type_, _, id_ = reference.partition("/")
        query = query.where(_TRANSACTION.reference_type == type_, _TRANSACTION.reference_id == id_)
    if since is not None:
        query = query.where(_TRANSACTION.id >= first_id(since))
    if after is not None:
        if not is_id(after):
            raise InvalidInput(f"{after!r} is no cursor of this list", field="after")
        query = query.where(_TRANSACTION.id < after.lower())
    return _page(connection, query, limit, cursor=lambda row: row["id"], view=transaction_view)


def transaction_view(row: Mapping[str, Any]) -> Row:
    """Return a transaction as it is shown."""
    return {name: row[name] for name in row if name not in {"digest", "fingerprint"}}


def transaction_detail(connection: Connection, transaction_id: str) -> Row:
    """Return a transaction with ``entries``, its ``holds`` and ``reversed_by``, or NotFound."""
    row = reversals.find(connection, transaction_id)
    query = (
        select(ledger_entries, *_ACCOUNT_KEY)
        .join(ledger_accounts, _ACCOUNT.id == _ENTRY.account_id)
        .where(_ENTRY.transaction_id == row["id"])
        .order_by(_ACCOUNT.book, _ENTRY.amount_minor.desc(), _ACCOUNT.code)
    )
    entries = [
        {
            "id": entry["id"],
            "account": accounts.name(entry),
            "account_id": entry["account_id"],
            "book": entry["book"],
            "code": entry["code"],
            "account_version": entry["account_version"],
            **money_fields(row["currency"], **_sides(entry["amount_minor"])),
        }
        for entry in map(dict, connection.execute(query).mappings())
    ]
    undone = reversals.reversal_of(connection, row["id"])
    return {
        **transaction_view(row),
        "reversed_by": undone and undone["id"],
        "entries": entries,
        "holds": _holds(connection, row["id"]),
    }


def _holds(connection: Connection, transaction_id: str) -> list[Row]:
    mine = (holds.c.opened_by_id == transaction_id) | (holds.c.closed_by_id == transaction_id)
    return [
        {
            "id": row["id"],
            "did": "opened" if row["opened_by_id"] == transaction_id else row["status"],
            "payer_id": row["payer_id"],
            "payee_id": row["payee_id"],
            "kind": row["kind"],
            "reason": row["reason"],
            "reference_id": row["reference_id"],
            "status": row["status"],
            **money_fields(row["currency"], amount=row["amount_minor"]),
        }
        for row in connection.execute(select(holds).where(mine).order_by(holds.c.id)).mappings()
    ]


def _sides(amount_minor: int) -> dict[str, int | None]:
    return {
        "debit": amount_minor if amount_minor > 0 else None,
        "credit": -amount_minor if amount_minor < 0 else None,
    }


def _page(connection: Connection, query: Select[Any], limit: int, *, cursor: Any, view: Any) -> Row:
    rows = [dict(row) for row in connection.execute(query).mappings()]
    more = len(rows) > limit
    return {
        "data": [view(row) for row in rows[:limit]],
        "next_cursor": cursor(rows[limit - 1]) if more else None,
    }
