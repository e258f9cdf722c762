"""Verify the ledger in short transactions, remembering how far, so that a routine look is cheap."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, Subquery, cast, delete, func, null, select, true

from engine import ledger_checks, ledger_guard, ledger_plan, ledger_walk, statement_checks
from engine.database import Database
from engine.ledger_chain import Link
from engine.ledger_checks import Finding
from engine.ledger_plan import Span
from engine.ledger_tables import (
    ledger_accounts,
    ledger_checkpoints,
    ledger_entries,
    ledger_transactions,
)
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
    others: bool = True,
) -> Verification:
    """Recompute the books and return what does not agree; remember how far they do.

    By default what was posted after the last look is read, and every account compared with what it
    was then: O(accounts + new entries). ``full`` reads every row. ``since`` reads the entries of
    that time on, trusting those before. A change of an old row is found by ``full`` only. Without
    ``others`` neither mirrors, pending amounts nor the ends of statements are compared.
    """
    with database.read() as connection:
        mode = _mode(connection, full=full, since=since)
        starts = None if mode == FULL else _starts(since)
        count = select(func.count()).select_from(ledger_accounts)
        done = Verification(mode, now, accounts=connection.execute(count).scalar_one())
        total = 0 if progress is None else _waiting(connection, starts)
    if mode == FULL:
        # First: a chain whose transactions do not add up is not remembered as whole.
        done.transactions = _all_transactions(database, done.findings)

    def told() -> None:
        if progress is not None:
            progress(done.entries, max(total, done.entries))

    _chains(database, done, starts, told)
    with database.read() as connection:
        done.findings += _guards(connection)
        if others:
            done.findings += statement_checks.ends(connection)
            done.findings += ledger_checks.unmirrored(connection)
            done.findings += ledger_checks.pending(connection)
    if mode == FULL:
        _statements(database, done.findings)
    if mode != SINCE:
        _remember(database, {}, done)
    return done


def _chains(
    database: Database, done: Verification, starts: Subquery | None, told: Callable[[], None]
) -> None:
    """Read what is behind the starts, some accounts at a time, and remember those found whole."""
    met: set[str] = set()
    after: str | None = ledger_plan.FIRST
    while after is not None:
        with database.read() as connection:
            plan = ledger_plan.plan(connection, starts, after)
        done.findings += plan.findings
        links: dict[str, Link] = {}
        for walked in _walk(database, plan.spans, done, met):
            links |= walked
            told()
        if done.mode != SINCE:
            _remember(database, links, done)
        after = plan.last
    if done.mode != FULL:
        done.transactions = len(met)


def _walk(
    database: Database, spans: deque[Span], done: Verification, met: set[str]
) -> Iterator[dict[str, Link]]:
    """Read spans batch by batch, each in a transaction; yield where the chains stand."""
    while spans:
        with database.read() as connection:
            walked = ledger_walk.step(connection, spans)
            if done.mode != FULL:
                new = walked.transaction_ids - met
                met |= new
                done.findings += _transactions(connection, new)
        done.findings += walked.findings
        done.entries += walked.entries
        yield walked.links


def _mode(connection: Connection, *, full: bool, since: datetime | None) -> str:
    if since is not None:
        return SINCE
    begun = connection.execute(select(ledger_checkpoints.c.account_id).limit(1)).first()
    return NEW if begun is not None and not full else FULL


def _starts(since: datetime | None) -> Subquery:
    """Select where each chain stood when it was last found whole, or at an instant."""
    if since is not None:
        return _before(since)
    point = ledger_checkpoints.c
    return select(
        ledger_checkpoints, (point.posted_debits - point.posted_credits).label("balance")
    ).subquery()


def _waiting(connection: Connection, starts: Subquery | None) -> int:
    """Return how many entries are behind the starts."""
    account = ledger_accounts.c
    query = select(func.coalesce(func.sum(account.version), 0))
    total = int(connection.execute(query).scalar_one())
    if starts is None:
        return total
    read = select(func.coalesce(func.sum(starts.c.version), 0))
    return total - int(connection.execute(read).scalar_one())


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


def _before(since: datetime) -> Subquery:
    """Select where each chain stood at an instant, as its entries say; sums are not known."""
    entry = ledger_entries.c
    newest = (
        select(entry.account_id, func.max(entry.account_version).label("version"))
        .where(entry.created_at < since)
        .group_by(entry.account_id)
        .subquery()
    )
    unknown = cast(null(), BigInteger)
    return (
        select(
            entry.account_id,
            entry.account_version.label("version"),
            entry.current_balance.label("balance"),
            entry.digest,
            unknown.label("posted_debits"),
            unknown.label("posted_credits"),
        )
        .join(
            newest,
            (entry.account_id == newest.c.account_id) & (entry.account_version == newest.c.version),
        )
        .subquery()
    )


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
    """Read every wallet's statement, as many wallets at a time as have few lines together."""
    after: str | None = ledger_plan.FIRST
    while after is not None:
        with database.read() as connection:
            wallets, after = statement_checks.wallets(connection, after)
            for tenant_ids in wallets:
                mine = wallet_transactions.c.tenant_id.in_(tenant_ids)
                findings += statement_checks.lines(connection, mine)


def _transactions(connection: Connection, ids: Collection[str]) -> Iterator[Finding]:
    for part in _parts(sorted(ids), BATCH_TRANSACTIONS):
        yield from ledger_checks.transactions(connection, ledger_transactions.c.id.in_(part))


def _remember(database: Database, links: Mapping[str, Link], done: Verification) -> None:
    """Keep where the chains stand that nothing was found against; the others are read again."""
    with database.write() as connection:
        doubtful = _doubtful(connection, done.findings)
        rows = [
            {
                "account_id": account_id,
                "version": link.version,
                "posted_debits": link.debits,
                "posted_credits": link.credits,
                "digest": link.digest,
                "verified_at": done.started_at,
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
