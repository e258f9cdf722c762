"""Money: due dates, wallet levels and the books."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from engine import ledger, milestones, wallet_levels
from engine.ledger_tables import ledger_entries
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


def _emit(work: UnitOfWork, finding: Finding, scope: Scope) -> bool:
    """Give the milestone its one outcome; two schedulers cannot both."""
    return milestones.emit(work, finding.key, scope.as_of) == "emitted"


def _find_levels(connection: Connection, _scope: Scope) -> Found:
    scanned, rows = wallet_levels.misjudged(connection)
    return Found(
        scanned,
        [
            Finding(
                f"wallet {row['tenant_id']}",
                expected=row["expected"],
                actual=row["low_state"],
                key=row["tenant_id"],
            )
            for row in rows
        ],
    )


def _judge(work: UnitOfWork, finding: Finding, _scope: Scope) -> bool:
    """Evaluate the wallet again; the change raises its event."""
    return bool(wallet_levels.reevaluate(work, finding.key))


def _find_drift(connection: Connection, _scope: Scope) -> Found:
    scanned = connection.execute(select(func.count()).select_from(ledger_entries)).scalar_one()
    findings = [
        Finding(each["subject"], each.get("expected"), each.get("actual"))
        for each in ledger.verify(connection)
    ]
    return Found(scanned, findings)


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
