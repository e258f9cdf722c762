"""The chain of entries: whole, it comes to the account; broken anywhere, the place is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.ledger_chain import Break, Link, entry_digest, transaction_digest, walk

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
AMOUNTS = st.lists(
    st.integers(-(2**53), 2**53).filter(lambda amount: amount != 0), min_size=1, max_size=12
)
TRANSACTION = b"t" * 32


def chain(amounts: list[int]) -> list[dict[str, Any]]:
    """Return the entries of an account, as they are read."""
    rows: list[dict[str, Any]] = []
    balance, digest = 0, b""
    for version, amount in enumerate(amounts, 1):
        row: dict[str, Any] = {
            "id": f"entry {version}",
            "transaction_id": f"transaction {version}",
            "account_id": "account",
            "amount_minor": amount,
            "account_version": version,
            "previous_balance": balance,
            "current_balance": balance + amount,
            "created_at": NOW,
            "transaction_digest": TRANSACTION,
        }
        balance += amount
        row["digest"] = digest = entry_digest(digest, TRANSACTION, row)
        rows.append(row)
    return rows


def follow(rows: list[dict[str, Any]], end: int) -> tuple[Link, list[Break]]:
    """Walk a whole chain whose account has the balance ``end``."""
    breaks: list[Break] = []
    return walk(Link(), rows, breaks, end), breaks


@given(AMOUNTS)
def test_a_whole_chain_comes_to_its_account(amounts: list[int]) -> None:
    """Version, balance and both sums are those of the entries; nothing is found."""
    link, breaks = follow(chain(amounts), sum(amounts))
    assert [] == breaks
    debits = sum(amount for amount in amounts if amount > 0)
    assert (len(amounts), sum(amounts), debits, debits - sum(amounts)) == (
        link.version,
        link.balance,
        link.debits,
        link.credits,
    )


@given(AMOUNTS, st.data())
def test_a_chain_may_be_read_in_parts(amounts: list[int], data: st.DataObject) -> None:
    """Wherever it is cut, what follows continues what was read."""
    rows, cut = chain(amounts), data.draw(st.integers(0, len(amounts)))
    breaks: list[Break] = []
    link = walk(walk(Link(), rows[:cut], breaks), rows[cut:], breaks, sum(amounts))
    assert ([], follow(rows, sum(amounts))[0]) == (breaks, link)


@given(AMOUNTS, st.data(), st.sampled_from(["amount_minor", "previous_balance", "current_balance"]))
def test_a_changed_number_is_the_one_break(
    amounts: list[int], data: st.DataObject, name: str
) -> None:
    """The row, the field, what it should be and what it is; the chain comes out as it was."""
    rows = chain(amounts)
    row = data.draw(st.sampled_from(rows))
    before = row[name]
    row[name] += data.draw(st.integers(1, 2**53))
    link, [found] = follow(rows, sum(amounts))
    assert (name, before, row[name], row) == (
        found.field,
        found.expected,
        found.actual,
        found.entry,
    )
    debits = sum(amount for amount in amounts if amount > 0)
    assert (sum(amounts), debits) == (link.balance, link.debits)


@given(AMOUNTS.filter(lambda amounts: len(amounts) > 1), st.data())
def test_a_missing_entry_is_the_one_break(amounts: list[int], data: st.DataObject) -> None:
    """Its version is named, and its amount is not lost to the sums."""
    rows = chain(amounts)
    missing = data.draw(st.integers(0, len(rows) - 2))
    del rows[missing]
    link, [found] = follow(rows, sum(amounts))
    assert ("account_version", missing + 1, None) == (found.field, found.version, found.entry)
    assert (sum(amounts), len(amounts)) == (link.balance, link.version)


@pytest.mark.parametrize(
    "change",
    [
        {"created_at": NOW + timedelta(seconds=1)},
        {"transaction_digest": b"u" * 32},
        {"transaction_digest": None},
        {"id": "another"},
        {"digest": b"d" * 32},
    ],
)
def test_what_the_sums_do_not_show_the_digest_does(change: dict[str, Any]) -> None:
    """Another moment, transaction or name of an entry is found at that entry."""
    rows = chain([100, -30, 50])
    rows[1] |= change
    _, breaks = follow(rows, 120)
    assert ("digest", rows[1]) == (breaks[0].field, breaks[0].entry)


def test_a_transaction_is_all_that_it_says() -> None:
    """Each of its fields changes its digest; the zone an instant is told in does not."""
    row: dict[str, Any] = {
        "id": "1",
        "kind": "top_up",
        "reference_type": "top_up",
        "reference_id": "x",
        "currency": "INR",
        "idempotency_key": "k",
        "fingerprint": "f",
        "reverses_id": None,
        "metadata": {"reason": "r", "by": "anna"},
        "posted_by": "anna",
        "event_at": NOW,
        "created_at": NOW,
    }
    digest = transaction_digest(row)
    for name in row:
        assert digest != transaction_digest(row | {name: "changed"}), name
    assert digest == transaction_digest(row | {"metadata": {"by": "anna", "reason": "r"}})
