"""The chain of an account's entries: how each is linked to the one before, and where a link breaks.

An entry carries its account's next version, the balance before and after it, and a digest over
itself, its transaction and the digest before it. So a row that is changed, missing, swapped or
forged breaks the chain at one place, which can be named. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

Row = Mapping[str, Any]
#: The digest before an account's first entry.
GENESIS = b""
_TRANSACTION = (
    *("id", "kind", "reference_type", "reference_id", "currency", "idempotency_key"),
    *("fingerprint", "reverses_id", "metadata", "posted_by", "event_at", "created_at"),
)


@dataclass(slots=True)
class Link:
    """Where an account's chain stands after one of its entries; sums are None where unknown."""

    version: int = 0
    balance: int = 0
    digest: bytes = GENESIS
    debits: int | None = 0
    credits: int | None = 0


@dataclass(frozen=True, slots=True)
class Break:
    """One place where a chain does not hold; ``entry`` is None for one that is missing."""

    field: str
    version: int
    expected: Any
    actual: Any
    entry: Row | None = None


def transaction_digest(row: Row) -> bytes:
    """Return 32 bytes over everything a transaction says."""
    facts = [_plain(row[name]) for name in _TRANSACTION]
    return hashlib.sha256(orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)).digest()


def entry_digest(before: bytes, transaction: bytes, entry: Row) -> bytes:
    """Return 32 bytes over an entry, its transaction's digest and the digest of the one before."""
    text = (
        f"{entry['id']} {entry['account_id']} {entry['account_version']} {entry['amount_minor']}"
        f" {entry['previous_balance']} {entry['current_balance']} {entry['created_at'].isoformat()}"
    )
    return hashlib.sha256(before + transaction + text.encode()).digest()


def walk(start: Link, rows: Sequence[Row], breaks: list[Break], end: int | None = None) -> Link:
    """Follow the chain from ``start`` over rows in the order of their versions; note its breaks.

    Rows carry ``transaction_digest``; ``end`` is the account's own balance where the last row is
    its newest. What is returned is what the chain should have come to: one changed amount is one
    break, not one in every row behind it.
    """
    link = start
    for index, row in enumerate(rows):
        behind = rows[index + 1]["previous_balance"] if index + 1 < len(rows) else end
        found = _compare(link, row, behind)
        if found is not None:
            breaks.append(found)
        link = _next(link, row, found)
    return link


def _compare(link: Link, row: Row, behind: int | None) -> Break | None:
    version = row["account_version"]
    if version != link.version + 1:
        return Break("account_version", link.version + 1, "an entry", "missing")
    wrong = _wrong_sum(link, row, behind)
    if wrong is not None:
        return Break(wrong[0], version, wrong[1], row[wrong[0]], row)
    digest = entry_digest(link.digest, row["transaction_digest"] or b"", row)
    if digest != row["digest"]:
        return Break("digest", version, digest.hex(), row["digest"].hex(), row)
    return None


def _wrong_sum(link: Link, row: Row, behind: int | None) -> tuple[str, int] | None:
    """Return which of an entry's three numbers is wrong, and what it should be."""
    before, amount, after = _sums(row)
    if before != link.balance:
        return "previous_balance", link.balance
    if before + amount == after:
        return None
    # Two of the three agree with the neighbours: the third is the one that was changed.
    if behind == before + amount:
        return "current_balance", before + amount
    return "amount_minor", after - before


def _next(link: Link, row: Row, found: Break | None) -> Link:
    """Return the link after a row, as it was before somebody changed the row."""
    before, amount, after = _sums(row)
    skipped = 0
    if found is not None:
        skipped = before - link.balance if found.field == "account_version" else 0
        after = found.expected if found.field == "current_balance" else after
        before = found.expected if found.field == "previous_balance" else before
        amount = amount if sum(_sums(row)[:2]) == _sums(row)[2] else after - before
    return Link(
        version=row["account_version"],
        balance=after,
        digest=row["digest"],
        debits=_sum(link.debits, max(amount, 0) + max(skipped, 0)),
        credits=_sum(link.credits, max(-amount, 0) + max(-skipped, 0)),
    )


def _sums(row: Row) -> tuple[int, int, int]:
    return row["previous_balance"], row["amount_minor"], row["current_balance"]


def _sum(total: int | None, more: int) -> int | None:
    return None if total is None else total + more


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
