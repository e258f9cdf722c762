"""The books: entries and counters, mirrors, money set aside, payments. Drift is never healed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, String, cast, exists, func, or_, select, true, union
from sqlalchemy import text as sql

from engine import (
    account_freezes,
    hold_healing,
    ledger_checks,
    ledger_verification,
    statement_checks,
)
from engine.ledger_tables import holds, ledger_accounts, ledger_transactions
from engine.ledger_verification import Verification
from engine.order_tables import chain_orders
from engine.postings import PLATFORM, WALLET
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork
from engine.wallet_tables import payouts, wallet_transactions
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity, Tools

FINDINGS_MAX = 10_000
#: A look that remembers nothing begins here.
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
#: Of what a verification finds, what belongs to this check; mirrors and holds have their own.
OF_ENTRIES = ("L1", "L2", "L7")
#: Identifiers come from several clocks.
CLOCKS_APART = timedelta(minutes=5)
BY_PEOPLE = "people only: an adjustment signed by two, then tillbell ledger unfreeze"
_COMPLETED = sql("remittances.status = 'completed'")
_CANCELLED = sql("remittances.status = 'cancelled'")
_OPEN = sql("holds.status = 'open'")
#: When nothing is set aside for an order or a payout any more.
SETTLED = ("shipped", "delivered", "cancelled", "returned")
DECIDED = ("completed", "rejected", "cancelled")


def _verify(tools: Tools, scope: Scope) -> Verification:
    """Read the ledger in transactions of its own: what is new, or in a sweep every row.

    Every account is compared with what it was at the last look, by the server: O(accounts), so
    that a counter changed by hand does not wait for the sweep.
    """
    if scope.dry_run:
        since = scope.since or BEGINNING
        return ledger_verification.verify(tools.database, scope.now, since=since, others=False)
    full = scope.since is None
    return ledger_verification.verify(tools.database, scope.now, full=full, others=False)


def _find_drift(connection: Connection, scope: Scope) -> Found:
    done: Verification = scope.gathered
    drift = [each for each in done.findings if each["check"] in OF_ENTRIES]
    drift += _statements(connection, scope)
    return Found(done.entries, _findings(connection, drift))


def _statements(connection: Connection, scope: Scope) -> list[dict[str, Any]]:
    """Compare the statements of wallets that moved since the last look, or in a sweep of all."""
    if scope.since is None:
        return statement_checks.ends(connection)
    since = scope.since - CLOCKS_APART
    standing = {each[0] for each in scope.again if isinstance(each, list)}
    posted = {book for book, code in ledger_checks.touched(connection, since) if code == WALLET}
    moved = posted | ledger_checks.holding(connection, since) | standing
    mine = wallet_transactions.c.tenant_id.in_(standing)
    again = statement_checks.lines(connection, mine) if standing else []
    return [*statement_checks.ends(connection, moved), *again]


def _find_unmirrored(connection: Connection, scope: Scope) -> Found:
    """Compare the pairs that entries touched since the last look; in a sweep all, O(accounts)."""
    if scope.since is None:
        scanned = connection.execute(select(func.count()).select_from(ledger_accounts)).scalar_one()
        return Found(scanned, _findings(connection, ledger_checks.unmirrored(connection)))
    names = ledger_checks.touched(connection, scope.since - CLOCKS_APART)
    names |= {(book, code) for book, code in scope.again}
    return Found(len(names), _findings(connection, ledger_checks.unmirrored(connection, names)))


def _findings(connection: Connection, drift: Sequence[dict[str, Any]]) -> list[Finding]:
    """Return findings of the ledger's invariants with account, owner and amount."""
    ids = {each["account_id"] for each in drift if "account_id" in each}
    query = select(ledger_accounts).where(ledger_accounts.c.id.in_(ids))
    owners = {row.id: row for row in connection.execute(query)}
    return [_finding(each, owners.get(each.get("account_id", ""))) for each in drift]


def _finding(each: dict[str, Any], account: Any) -> Finding:
    amounts = [each.get("expected"), each.get("actual")]
    numbers = [amount for amount in amounts if isinstance(amount, int)]
    of_tenant = account is not None and account.book != PLATFORM
    return Finding(
        f"{each['check']} {each['subject']}"[:200],
        expected=each.get("expected"),
        actual=each.get("actual"),
        key=each.get("account_id", each.get("key")),
        tenant_id=account.book if of_tenant else None,
        amount_minor=abs(numbers[0] - numbers[1]) if len(numbers) == 2 else None,
        currency=None if account is None else account.currency,
    )


def _freeze(work: UnitOfWork, findings: Sequence[Finding]) -> None:
    """Let no posting touch an account that drifted until a person has looked."""
    reasons = {each.key: each.subject for each in reversed(findings) if isinstance(each.key, str)}
    loose = select(ledger_accounts.c.id).where(
        ledger_accounts.c.id.in_(reasons), ~ledger_accounts.c.frozen
    )
    for account_id in work.connection.execute(loose.order_by(ledger_accounts.c.id)).scalars():
        account_freezes.freeze(work, account_id, reason=f"K13: {reasons[account_id]}")


def _find_holds(connection: Connection, scope: Scope) -> Found:
    """Find money set aside for what is over or never was; and pending amounts that are not it.

    Of what ended and of wallets whose holds moved; in a sweep of all: O(accounts and open holds).
    """
    found = {
        row["id"]: row
        for query in _orphans(scope)
        for row in connection.execute(query.limit(SLICE_ROWS)).mappings()
    }
    findings = [
        Finding(
            f"hold {row['id']}",
            expected=f"an open {row['reason']}",
            actual=f"{row['reason']} {row['reference_id']} is over or missing",
            key=row["id"],
            tenant_id=row["payer_id"],
            amount_minor=row["amount_minor"],
            currency=row["currency"],
        )
        for row in found.values()
    ]
    books = _books(connection, scope)
    mismatched = _findings(connection, ledger_checks.pending(connection, books))
    if books is None:
        opened = select(func.count()).select_from(holds).where(_OPEN)
        scanned = connection.execute(opened).scalar_one()
    else:
        scanned = len(books) + len(found)
    return Found(
        scanned,
        [
            *findings,
            *(
                replace(each, policy=Policy.NEVER, severity=Severity.CRITICAL)
                for each in mismatched
            ),
        ],
    )


def _books(connection: Connection, scope: Scope) -> set[str] | None:
    """Return the books whose holds moved since the last look, and those that stand open."""
    if scope.since is None:
        return None
    standing = {each[0] for each in scope.again if isinstance(each, list)}
    return standing | ledger_checks.holding(connection, scope.since - CLOCKS_APART)


def _orphans(scope: Scope) -> Iterable[Select[Any]]:
    """Choose the open holds whose reference ended since the last look, or in a sweep all such."""
    order, owed, payout = chain_orders.c, remittances.c, payouts.c
    ends: tuple[tuple[str, Any, Any, list[tuple[Any, Any]]], ...] = (
        ("order", order.id, order.chain_status.in_(SETTLED), [(order.updated_at, true())]),
        (
            "remittance",
            owed.id,
            owed.status != "pending",
            [(owed.completed_at, _COMPLETED), (owed.cancelled_at, _CANCELLED)],
        ),
        ("payout", payout.id, payout.status.in_(DECIDED), [(payout.updated_at, true())]),
    )
    for reason, key, over, moments in ends:
        mine = select(holds).where(_OPEN, holds.c.reason == reason)
        ended = select(key).where(key == holds.c.reference_id, over)
        if scope.since is None:
            yield mine.where(or_(ended.exists(), ~exists().where(key == holds.c.reference_id)))
        else:
            # One index each: an OR of the two moments would read all.
            recent = union(*(select(key).where(so, at >= scope.since) for at, so in moments))
            # In an order's row every change is a moment, so its state is asked for too.
            yield mine.where(holds.c.reference_id.in_(recent), ended.exists())
            again = [each for each in scope.again if isinstance(each, str)]
            if again:
                yield mine.where(holds.c.id.in_(again), ~_needed(key, over))


def _needed(key: Any, over: Any) -> Any:
    """Return whether what a hold is for is there and not over."""
    return select(key).where(key == holds.c.reference_id, ~over).exists()


def _release(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Free what is set aside for nothing, with a posting; what was closed meanwhile is no more."""
    freed = hold_healing.release_orphans(work, [each.key for each in findings])
    return [
        replace(each, reference=f"transaction {freed[each.key]}")
        for each in findings
        if each.key in freed
    ]


def _find_payments(connection: Connection, scope: Scope) -> Found:
    """Find completed remittances that were not paid by exactly one transaction; a sweep, by SQL."""
    paid_at = remittances.c.completed_at
    mine = ledger_transactions.c.reference_id == cast(remittances.c.id, String)
    number = (
        select(func.count())
        .where(
            ledger_transactions.c.reference_type == "remittance",
            ledger_transactions.c.kind == "remittance",
            mine,
        )
        .scalar_subquery()
    )
    looked_at = (_COMPLETED, scope.touched(paid_at, remittances.c.id))
    count = select(func.count()).select_from(remittances).where(*looked_at)
    wrong = (
        select(remittances, number.label("number"))
        .where(*looked_at, number != 1)
        .order_by(paid_at, remittances.c.id)
        .limit(FINDINGS_MAX)
    )
    findings = [_unpaid(row) for row in connection.execute(wrong)]
    return Found(connection.execute(count).scalar_one(), findings)


def _unpaid(row: Any) -> Finding:
    return Finding(
        f"remittance {row.id}",
        expected={"transactions": 1},
        actual={"transactions": row.number},
        key=row.id,
        tenant_id=row.payer_id,
        amount_minor=row.amount_minor,
        currency=row.currency,
    )


BOOKS_BALANCE = Check(
    id="K13",
    title="The ledger adds up",
    compares="every transaction's sum, every account's counters, chain and digests, and every"
    " wallet's statement with the entries: what is new, and once a day every row",
    remedy=BY_PEOPLE,
    severity=Severity.CRITICAL,
    policy=Policy.NEVER,
    every_seconds=600,
    gather=_verify,
    find=_find_drift,
    alarm=_freeze,
    incremental=True,
)
BOOKS_MIRROR = Check(
    id="K14",
    title="Wallets and debts on both sides",
    compares="every wallet with the platform's liability, and what each owes with what it is owed:"
    " what moved, and once a day all",
    remedy=BY_PEOPLE,
    severity=Severity.CRITICAL,
    policy=Policy.NEVER,
    every_seconds=600,
    find=_find_unmirrored,
    incremental=True,
)
HOLDS_NEEDED = Check(
    id="K15",
    title="Money set aside for nothing",
    compares="every open hold with the order, remittance or payout it is for, and the pending"
    " amounts of every wallet with its open holds",
    remedy="a hold without its reason is released with a posting; amounts that differ, people only",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=900,
    find=_find_holds,
    heal=_release,
    incremental=True,
)
PAYMENTS_POSTED = Check(
    id="K16",
    title="Remittances paid once",
    compares="every completed remittance with the ledger transactions that paid it",
    remedy=BY_PEOPLE,
    severity=Severity.CRITICAL,
    policy=Policy.NEVER,
    every_seconds=600,
    find=_find_payments,
    incremental=True,
)
