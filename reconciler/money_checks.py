"""Money: due dates, wallet levels and the books."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, String, cast, func, select, text

from engine import ledger_checks, milestones, wallet_levels
from engine import wallets as wallet_service
from engine.ledger_tables import ledger_accounts, ledger_entries, wallets
from engine.postings import WALLET
from engine.settlement_tables import milestones as milestone_rows
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Scope, Severity

FINDINGS_MAX = 10_000


def _find_due(connection: Connection, scope: Scope) -> Found:
    rows = milestones.due(connection, scope.as_of, FINDINGS_MAX)
    return Found(
        len(rows),
        [
            Finding(
                f"{row['subject_type']} {row['subject_id']}",
                expected=f"{row['event']} at {row['code']}",
                actual="pending",
                key=row["id"],
            )
            for row in rows
        ],
    )


def _emit(work: UnitOfWork, findings: Sequence[Finding], scope: Scope) -> list[Finding]:
    """Give each milestone its one outcome; two schedulers cannot both, nor both count it."""
    ids = [each.key for each in findings]
    milestones.emit_many(work, ids, scope.as_of)
    raised = milestone_rows.c.event_id.in_([draft.id for draft in work.drafts])
    query = select(milestone_rows.c.id).where(milestone_rows.c.id.in_(ids), raised)
    mine = set(work.connection.execute(query).scalars())
    return [each for each in findings if each.key in mine]


def _find_levels(connection: Connection, _scope: Scope) -> Found:
    """Compare the level of each watched wallet with what its balance says."""
    account = ledger_accounts
    watched = select(wallets, account).join(
        account,
        (account.c.book == cast(wallets.c.tenant_id, String))
        & (account.c.code == WALLET)
        & (account.c.currency == wallets.c.currency),
    )
    scanned, findings = 0, []
    for row in connection.execute(watched).mappings():
        scanned += 1
        facts = dict(row)
        figures = wallet_levels.figures_of(facts, facts)
        level = wallet_levels.next_level(
            row["low_state"], figures.available, row["low_threshold_minor"]
        )
        if level != row["low_state"]:
            subject = f"wallet {row['tenant_id']}"
            findings.append(Finding(subject, level, row["low_state"], row["tenant_id"]))
    return Found(scanned, findings)


def _judge(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Evaluate each wallet again; the change raises its event."""
    return [each for each in findings if wallet_service.reevaluate(work, each.key)]


def _find_drift(connection: Connection, _scope: Scope) -> Found:
    _see_one_moment(connection)
    scanned = connection.execute(select(func.count()).select_from(ledger_entries)).scalar_one()
    findings = [
        Finding(each["subject"], each.get("expected"), each.get("actual"))
        for each in ledger_checks.verify(connection)
    ]
    return Found(scanned, findings)


def _see_one_moment(connection: Connection) -> None:
    """Let every query of a transaction that just began see the same state (SQLite's do)."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


MILESTONES_DUE = Check(
    id="K10",
    title="Remittances due and overdue",
    severity=Severity.ROUTINE,
    every_seconds=60,
    find=_find_due,
    heal=_emit,
)
WALLETS_JUDGED = Check(
    id="K12",
    title="Wallets whose low state is not their level's",
    severity=Severity.WARNING,
    every_seconds=600,
    find=_find_levels,
    heal=_judge,
)
BOOKS_BALANCE = Check(
    id="K13",
    title="The ledger adds up",
    severity=Severity.CRITICAL,
    every_seconds=86_400,
    find=_find_drift,
)
