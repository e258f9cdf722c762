"""Verify a ledger of a million entries: how long, how much memory, and that one row is found.

``python -m bench.ledger --entries 1000000`` fills the environment's database (an empty one) with
deliveries of many chains, as they would have been posted, reads all of it, then only what is new,
and then changes one row at a time and looks for it.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, select, text, update

from bench.stand import bench_settings
from engine import accounts, ledger_verification, tenants
from engine.database import Database
from engine.ids import new_id
from engine.ledger_chain import entry_digest, transaction_digest
from engine.ledger_tables import ledger_accounts, ledger_entries, ledger_transactions
from engine.ledger_verification import Verification
from engine.posting_rules import merged
from engine.postings import Level, cod_delivered
from engine.upserts import bulk_insert
from worker.bootstrap import Application, build
from worker.initialise import initialise

#: What one delivery in a chain of three posts.
ENTRIES = 9
CHAINS = 300
BATCH = 2_000
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)

Row = dict[str, Any]


def levels(application: Application) -> list[tuple[Level, ...]]:
    """Make the tenants of every chain and return what the goods cost each."""
    chains = []
    with application.units.begin(actor="bench") as work:
        for number in range(CHAINS):
            ids: list[str] = []
            for name in ("supplier", "distributor", "retailer"):
                parent_id = ids[-1] if ids else None
                made = tenants.create(work, name=f"{name} {number}", parent_id=parent_id)
                ids.append(made["id"])
            costs = zip(ids, (10_000, 12_000, 13_800), strict=True)
            chains.append(tuple(Level(tenant_id, cost) for tenant_id, cost in costs))
    return chains


def transaction(number: int) -> Row:
    """Return the row of one delivery."""
    row: Row = {
        "id": new_id(),
        "kind": "cod_settlement",
        "reference_type": "bench",
        "reference_id": str(number),
        "currency": "INR",
        "idempotency_key": f"bench:{number}",
        "fingerprint": "0" * 64,
        "reverses_id": None,
        "metadata": None,
        "posted_by": "bench",
        "event_at": NOW,
        "created_at": NOW,
    }
    return row | {"digest": transaction_digest(row)}


def entries(standing: dict[accounts.Key, Row], chain: tuple[Level, ...], of: Row) -> Iterator[Row]:
    """Yield the entries of one delivery and carry their accounts on."""
    for (book, code), amount_minor in merged(cod_delivered(chain, 15_500, 2)).items():
        account = standing.get((book, code)) or accounts.new_account((book, code), "INR")
        change = accounts.Change(amount_minor=amount_minor)
        after = accounts.changed(account, change)
        row: Row = {
            "id": new_id(),
            "transaction_id": of["id"],
            "account_id": account["id"],
            "amount_minor": amount_minor,
            "account_version": after["version"],
            "previous_balance": accounts.balance(account),
            "current_balance": accounts.balance(after),
            "created_at": NOW,
        }
        row["digest"] = after["digest"] = entry_digest(account["digest"], of["digest"], row)
        standing[book, code] = after
        yield row


def fill(application: Application, count: int) -> None:
    """Write as many deliveries as make ``count`` entries, a batch at a time."""
    chains, numbers = levels(application), range(count // ENTRIES)
    standing: dict[accounts.Key, Row] = {}
    for chain in chains:
        for book, code in merged(cod_delivered(chain, 15_500, 2)):
            standing[book, code] = accounts.new_account((book, code), "INR")
    with application.database.write() as connection:
        bulk_insert(connection, ledger_accounts, [row | FROZEN for row in standing.values()])
    for start in range(0, len(numbers), BATCH):
        made = [transaction(number) for number in numbers[start : start + BATCH]]
        rows = [
            row
            for number, each in enumerate(made, start)
            for row in entries(standing, chains[number % CHAINS], each)
        ]
        with application.database.write() as connection:
            bulk_insert(connection, ledger_transactions, made)
            bulk_insert(connection, ledger_entries, rows)
    with application.database.write() as connection:
        accounts.store(connection, list(standing.values()))
    if not application.database.sqlite:
        with application.database.write() as connection:
            connection.execute(text("ANALYZE"))


#: What the database would have filled in itself.
FROZEN = {"frozen": False}


def look(application: Application, title: str, *, full: bool = False) -> Verification:
    """Verify once and print what it took."""
    began, used = time.monotonic(), time.process_time()
    done = ledger_verification.verify(application.database, datetime.now(UTC), full=full)
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - used
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{title:<28}{done.entries:>11,} entries{seconds:>8.1f} s,"
        f" of it {cpu_seconds:>5.1f} s our own,"
        f"{len(done.findings):>4} findings{rss_mb:>6} MB at most"
    )
    return done


def tamper(database: Database, random: Random) -> Row:
    """Change the amount of one entry past the triggers, and return the entry as it was."""
    with database.write() as connection:
        _pass_triggers(connection)
        account = random.choice(connection.execute(select(ledger_accounts)).mappings().all())
        version = random.randint(1, account["version"])
        entry = ledger_entries.c
        mine = (entry.account_id == account["id"]) & (entry.account_version == version)
        row = connection.execute(select(ledger_entries).where(mine)).mappings().one()
        connection.execute(update(ledger_entries).where(mine).values(amount_minor=1))
        return dict(row)


def put_back(database: Database, row: Row) -> None:
    """Undo what ``tamper`` did."""
    with database.write() as connection:
        _pass_triggers(connection)
        mine = ledger_entries.c.id == row["id"]
        values = {"amount_minor": row["amount_minor"]}
        connection.execute(update(ledger_entries).where(mine).values(values))


def _pass_triggers(connection: Connection) -> None:
    """Do as a superuser can; an SQLite file has no such thing, so its triggers go."""
    if connection.dialect.name == "sqlite":
        connection.execute(text("DROP TRIGGER IF EXISTS ledger_entries_no_update"))
    else:
        connection.execute(text("SET LOCAL session_replication_role = replica"))


def main() -> None:
    """Fill, verify, tamper and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ledger", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--tamper", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillbell-ledger-") as name:
        settings = bench_settings(Path(name))
        initialise(settings)
        application = build(settings)
        began = time.monotonic()
        fill(application, given.entries)
        print(f"filled in {time.monotonic() - began:.0f} s")
        look(application, "all of it", full=True)
        look(application, "nothing new")
        random = Random(59)  # noqa: S311  # chooses what is tampered with
        for number in range(given.tamper):
            row = tamper(application.database, random)
            found = look(application, f"one amount changed ({number + 1})", full=True).findings
            named = [each for each in found if each.get("entry_id") == row["id"]]
            print(f"  named: {bool(named)}; {[each['subject'] for each in found]}")
            put_back(application.database, row)
        application.close()


if __name__ == "__main__":
    main()
