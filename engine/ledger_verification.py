"""Verify the ledger in short transactions, remembering how far, so that a routine look is cheap."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, true

from engine import ledger_checks, ledger_guard, ledger_walk, statement_checks
from engine.database import Database
from engine.ledger_chain import Link
from engine.ledger_checks import Finding
from engine.ledger_tables import ledger_checkpoints, ledger_entries, ledger_transactions
from engine.upserts import insert_or_replace
from engine.wallet_tables import wallet_transactions

#: Transactions added up at a time.
BATCH_TRANSACTIONS = 5_000
FULL, NEW, SINCE = "full", "new", "since"
#: Called with how many entries were read, and of how many.
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Verification:
    """What was looked at and what did not agree; ``mode`` is ``full``, ``new`` or ``since``."""

    mode: str
    started_at: datetime
    entries: int = 0
    transactions: int = 0
    accounts: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify(
    database: Database,
    now: datetime,
    *,
    full: bool = False,
    since: datetime | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Recompute the books and return what does not agree; remember how far they do.

    By default what was posted after the last look is read, and every account compared with what it
    was then: O(accounts + new entries). ``full`` reads every row. ``since`` reads the entries of
    that time on, trusting those before. A change of an old row is found by ``full`` only.
    """
    with database.read() as connection:
        starts = _starts(connection, full=full, since=since)
        plan = ledger_walk.plan(connection, starts)
    mode = SINCE if since is not None else NEW if starts else FULL
    done = Verification(mode, now, accounts=plan.accounts, findings=plan.findings)
    total = sum(span.end - span.start.version for span in plan.spans)
    links: dict[str, Link] = {}
    met: set[str] = set()
    while plan.spans:
        with database.read() as connection:
            walked = ledger_walk.step(connection, plan.spans)
            if mode != FULL:
                new = walked.transaction_ids - met
                met |= new
                done.findings += _transactions(connection, new)
        done.findings += walked.findings
        done.entries += walked.entries
        links |= walked.links
        if progress is not None:
            progress(done.entries, total)
    everything = mode == FULL
    done.transactions = _all_transactions(database, done.findings) if everything else len(met)
    with database.read() as connection:
        done.findings += ledger_checks.unmirrored(connection)
        done.findings += ledger_checks.pending(connection)
        done.findings += statement_checks.ends(connection)
        done.findings += _guards(connection)
    if mode == FULL:
        _statements(database, done.findings)
    if mode != SINCE:
        _remember(database, links, done.findings, now)
    return done


def checkpoints(connection: Connection) -> dict[str, Link]:
    """Return where the chain of each account stood when it was last found whole."""
    return {
        row.account_id: Link(
            version=row.version,
            balance=row.posted_debits - row.posted_credits,
            digest=row.digest,
            debits=row.posted_debits,
            credits=row.posted_credits,
        )
        for row in connection.execute(select(ledger_checkpoints))
    }


def _guards(connection: Connection) -> list[Finding]:
    """Find tables that the database would let anyone change."""
    return [
        {
            "check": "guard",
            "subject": f"table {name}: triggers",
            "field": "triggers",
            "expected": "in place",
            "actual": "missing",
        }
        for name in ledger_guard.missing_guards(connection)
    ]


def _starts(connection: Connection, *, full: bool, since: datetime | None) -> Mapping[str, Link]:
    if full:
        return {}
    return checkpoints(connection) if since is None else _before(connection, since)


def _before(connection: Connection, since: datetime) -> dict[str, Link]:
    """Return where each chain stood at an instant, as its entries say; sums are not known."""
    entry = ledger_entries.c
    newest = (
        select(entry.account_id, func.max(entry.account_version).label("version"))
        .where(entry.created_at < since)
        .group_by(entry.account_id)
        .subquery()
    )
    query = select(ledger_entries).join(
        newest,
        (entry.account_id == newest.c.account_id) & (entry.account_version == newest.c.version),
    )
    return {
        row.account_id: Link(row.account_version, row.current_balance, row.digest, None, None)
        for row in connection.execute(query)
    }


def _all_transactions(database: Database, findings: list[Finding]) -> int:
    """Add every transaction up, a range of ids at a time, and return how many there are."""
    table, count, low = ledger_transactions.c, 0, None
    while True:
        behind = table.id > low if low is not None else true()
        with database.read() as connection:
            page = select(table.id).where(behind).order_by(table.id).limit(BATCH_TRANSACTIONS)
            ids = list(connection.execute(page).scalars())
            if not ids:
                return count
            low = ids[-1]
            findings += ledger_checks.transactions(connection, behind & (table.id <= low))
        count += len(ids)


def _statements(database: Database, findings: list[Finding]) -> None:
    """Read every wallet's statement, one wallet at a time."""
    with database.read() as connection:
        tenant_ids = statement_checks.wallets(connection)
    for tenant_id in tenant_ids:
        with database.read() as connection:
            mine = wallet_transactions.c.tenant_id == tenant_id
            findings += statement_checks.lines(connection, mine)


def _transactions(connection: Connection, ids: Collection[str]) -> Iterator[Finding]:
    for part in _parts(sorted(ids), BATCH_TRANSACTIONS):
        yield from ledger_checks.transactions(connection, ledger_transactions.c.id.in_(part))


def _remember(
    database: Database, links: Mapping[str, Link], findings: Sequence[Finding], now: datetime
) -> None:
    """Keep where the chains stand that nothing was found against; the others are read again."""
    with database.write() as connection:
        doubtful = _doubtful(connection, findings)
        rows = [
            {
                "account_id": account_id,
                "version": link.version,
                "posted_debits": link.debits,
                "posted_credits": link.credits,
                "digest": link.digest,
                "verified_at": now,
            }
            for account_id, link in sorted(links.items())
            if account_id not in doubtful
        ]
        # What was found stays found: a doubtful account is read from its beginning again.
        for part in _parts(sorted(doubtful), BATCH_TRANSACTIONS):
            forgotten = ledger_checkpoints.c.account_id.in_(part)
            connection.execute(delete(ledger_checkpoints).where(forgotten))
        insert_or_replace(connection, ledger_checkpoints, rows)


def _doubtful(connection: Connection, findings: Sequence[Finding]) -> set[str]:
    """Return the accounts that are named, or that a transaction that is named touches."""
    named = {each["account_id"] for each in findings if "account_id" in each}
    wrong = sorted({each["transaction_id"] for each in findings if "transaction_id" in each})
    for part in _parts(wrong, BATCH_TRANSACTIONS):
        touched = select(ledger_entries.c.account_id).where(
            ledger_entries.c.transaction_id.in_(part)
        )
        named.update(connection.execute(touched).scalars())
    return named


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
