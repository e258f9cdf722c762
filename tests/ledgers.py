"""Ledgers of some size, and ways to tamper with one row of them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from engine import ledger
from engine.ids import new_id
from engine.ledger_tables import ledger_accounts, ledger_entries, ledger_transactions
from engine.postings import Level, Posting, cod_delivered, top_up
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain

Row = dict[str, Any]
#: Changes one thing behind the engine's back and returns what a finding must say of it.
Tampering = Callable[[Connection, Random], list[Row]]


def settle(work: UnitOfWork, chain: Chain, number: int) -> Row:
    """Post what a delivery of document 001's chain posts: nine entries in three books."""
    levels = (Level(chain.s, 10000), Level(chain.d, 12000), Level(chain.r, 13800 + number))
    posting = Posting(
        kind="cod_settlement",
        reference_type="test",
        reference_id=str(number),
        idempotency_key=f"settle:{number}",
        currency="INR",
        entries=cod_delivered(levels, 15500, number % 3),
    )
    return ledger.post(work, posting)


def fill(units: UnitsOfWork, chain: Chain, transactions: int, *, start: int = 0) -> None:
    """Post that many transactions, every tenth of them a top-up."""
    with units.begin(actor="test") as work:
        for number in range(start, start + transactions):
            if number % 10:
                settle(work, chain, number)
                continue
            posting = Posting(
                kind="top_up",
                reference_type="test",
                reference_id=str(number),
                idempotency_key=f"top_up:{number}",
                currency="INR",
                entries=top_up(chain.r, 100 + number),
            )
            ledger.post(work, posting)


def changed_amount(connection: Connection, random: Random) -> list[Row]:
    """Change one amount."""
    row = some_entry(connection, random)
    amount = row["amount_minor"] + 1
    change(connection, row, amount_minor=amount)
    named = {"entry_id": row["id"], "transaction_id": row["transaction_id"]}
    wrong = {"field": "amount_minor", "expected": row["amount_minor"], "actual": amount}
    return [named | wrong, {"check": "L1", "transaction_id": row["transaction_id"]}]


def changed_balance(connection: Connection, random: Random) -> list[Row]:
    """Change one balance, before or after an entry."""
    row = some_entry(connection, random)
    name = random.choice(["previous_balance", "current_balance"])
    change(connection, row, **{name: row[name] - 100})
    named = {"entry_id": row["id"], "account_version": row["account_version"]}
    return [named | {"field": name, "expected": row[name], "actual": row[name] - 100}]


def deleted_entry(connection: Connection, random: Random) -> list[Row]:
    """Delete one entry, the newest of its account too."""
    row = some_entry(connection, random)
    connection.execute(delete(ledger_entries).where(ledger_entries.c.id == row["id"]))
    named = {"account_id": row["account_id"], "account_version": row["account_version"]}
    return [named | {"actual": "missing"}, {"check": "L1", "transaction_id": row["transaction_id"]}]


def swapped_entries(connection: Connection, random: Random) -> list[Row]:
    """Let two entries of one account change places."""
    one = some_entry(connection, random)
    mine = ledger_entries.c.account_id == one["account_id"]
    rows = connection.execute(select(ledger_entries).where(mine)).mappings().all()
    other = random.choice([row for row in rows if row["id"] != one["id"]])
    change(connection, one, account_version=10**9)
    change(connection, dict(other), account_version=one["account_version"])
    change(connection, one, account_version=other["account_version"])
    return [{"entry_id": one["id"]}, {"entry_id": other["id"]}]


def changed_counter(connection: Connection, random: Random) -> list[Row]:
    """Change one counter of an account."""
    name = random.choice(["posted_debits", "posted_credits"])
    ids = connection.execute(select(ledger_accounts.c.id).order_by(ledger_accounts.c.id)).scalars()
    account_id = random.choice(list(ids))
    mine = ledger_accounts.c.id == account_id
    before = connection.execute(select(ledger_accounts.c[name]).where(mine)).scalar_one()
    connection.execute(update(ledger_accounts).where(mine).values({name: before + 1}))
    return [{"account_id": account_id, "field": name, "expected": before, "actual": before + 1}]


def forged_entry(connection: Connection, random: Random) -> list[Row]:
    """Insert an entry that continues its account's chain, and nobody posted."""
    row = some_entry(connection, random)
    newest = select(func.max(ledger_entries.c.account_version))
    version = connection.execute(
        newest.where(ledger_entries.c.account_id == row["account_id"])
    ).scalar_one()
    forged = row | {"id": new_id(), "account_version": version + 1}
    connection.execute(insert(ledger_entries).values(forged))
    named = {"entry_id": forged["id"], "account_version": version + 1, "expected": "none"}
    return [named, {"check": "L1", "transaction_id": row["transaction_id"]}]


def moved_entry(connection: Connection, random: Random) -> list[Row]:
    """Say that an entry belongs to another transaction."""
    row, other = some_entry(connection, random), some_entry(connection, random)
    while other["transaction_id"] == row["transaction_id"]:
        other = some_entry(connection, random)
    change(connection, row, transaction_id=other["transaction_id"])
    return [{"entry_id": row["id"], "field": "digest"}]


def changed_moment(connection: Connection, random: Random) -> list[Row]:
    """Say that an entry was written at another time."""
    row = some_entry(connection, random)
    change(connection, row, created_at=row["created_at"].replace(year=2020))
    return [{"entry_id": row["id"], "field": "digest"}]


def changed_transaction(connection: Connection, random: Random) -> list[Row]:
    """Say that a transaction was of something else, or somebody else's."""
    transaction_id = some_entry(connection, random)["transaction_id"]
    name = random.choice(["kind", "reference_id", "posted_by", "idempotency_key"])
    mine = ledger_transactions.c.id == transaction_id
    connection.execute(update(ledger_transactions).where(mine).values({name: "other"}))
    return [{"transaction_id": transaction_id, "field": "digest"}]


def rewritten_tail(connection: Connection, random: Random) -> list[Row]:
    """Change one amount and every balance and counter behind it, so that all sums agree."""
    row = some_entry(connection, random)
    entry = ledger_entries.c
    mine = entry.account_id == row["account_id"]
    behind = mine & (entry.account_version > row["account_version"])
    shifted = {name: entry[name] + 1 for name in ("previous_balance", "current_balance")}
    connection.execute(update(ledger_entries).where(behind).values(shifted))
    change(
        connection,
        row,
        amount_minor=row["amount_minor"] + 1,
        current_balance=row["current_balance"] + 1,
    )
    positive = row["amount_minor"] > 0
    counter = "posted_debits" if positive else "posted_credits"
    account = ledger_accounts.c
    connection.execute(
        update(ledger_accounts)
        .where(account.id == row["account_id"])
        .values({counter: account[counter] + (1 if positive else -1)})
    )
    return [{"entry_id": row["id"], "field": "digest"}]


TAMPERINGS: tuple[Tampering, ...] = (
    changed_amount,
    changed_balance,
    deleted_entry,
    swapped_entries,
    changed_counter,
    forged_entry,
    moved_entry,
    changed_moment,
    changed_transaction,
    rewritten_tail,
)


def dice(seed: int) -> Random:
    """Return what chooses the same again under the same seed."""
    return Random(seed)  # noqa: S311  # chooses what a test tampers with


class Newest(Random):
    """Chooses the last of everything."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """Return the largest number in the range."""
        return (start if stop is None else stop) - step


def some_entry(connection: Connection, random: Random) -> Row:
    """Return any entry."""
    count = connection.execute(select(func.count()).select_from(ledger_entries)).scalar_one()
    query = select(ledger_entries).order_by(ledger_entries.c.id)
    row = connection.execute(query.limit(1).offset(random.randrange(count))).mappings().one()
    return dict(row)


def change(connection: Connection, row: Row, **values: Any) -> None:
    """Update one entry."""
    mine = ledger_entries.c.id == row["id"]
    assert connection.execute(update(ledger_entries).where(mine).values(values)).rowcount == 1


def names(finding: Row, expected: Row) -> bool:
    """Tell whether a finding says all that is expected of it."""
    return all(finding.get(name) == value for name, value in expected.items())
