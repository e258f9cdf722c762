"""Discrepancies: what did not agree, open until it is healed or no longer found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from engine.ids import new_id
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Severity
from reconciler.tables import discrepancies

ROWS_PER_RUN = 1000


def record(
    work: UnitOfWork, check: Check, findings: Sequence[Finding], healed_subjects: set[str]
) -> None:
    """Write down what a run found; routine work is not a discrepancy."""
    if check.severity is Severity.ROUTINE:
        return
    standing = _open_subjects(work.connection, check.id)
    seen = {finding.subject: finding for finding in findings[:ROWS_PER_RUN]}
    for subject, finding in seen.items():
        status = "healed" if subject in healed_subjects else "open"
        if subject in standing:
            _change(work, standing[subject], status, check)
        else:
            _add(work, _row(work, check, finding, status))
    if len(findings) >= ROWS_PER_RUN:
        return  # there may be more: what is not among these need not be gone
    for subject, row_id in standing.items():
        if subject not in seen:
            _change(work, row_id, "closed", check)


def listing(
    connection: Connection, *, status: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return discrepancies, newest first."""
    query = select(discrepancies).order_by(discrepancies.c.id.desc()).limit(limit)
    if status is not None:
        query = query.where(discrepancies.c.status == status)
    return [dict(row) for row in connection.execute(query).mappings()]


def _open_subjects(connection: Connection, check_id: str) -> dict[str, str]:
    query = select(discrepancies.c.subject, discrepancies.c.id).where(
        discrepancies.c.check == check_id, discrepancies.c.status == "open"
    )
    return {row.subject: row.id for row in connection.execute(query)}


def _add(work: UnitOfWork, row: dict[str, Any]) -> None:
    """Write a row down unless another run that is at it has the same one open."""
    sqlite_used = work.connection.dialect.name == "sqlite"
    dialect_insert = sqlite.insert if sqlite_used else postgresql.insert
    work.connection.execute(dialect_insert(discrepancies).values(row).on_conflict_do_nothing())


def _change(work: UnitOfWork, row_id: str, status: str, check: Check) -> None:
    action = f"{check.id} healed it" if status == "healed" else None
    work.connection.execute(
        update(discrepancies)
        .where(discrepancies.c.id == row_id)
        .values(status=status, last_seen_at=work.now, heal_action=action)
    )


def _row(work: UnitOfWork, check: Check, finding: Finding, status: str) -> dict[str, Any]:
    return {
        "id": new_id(),
        "check": check.id,
        "subject": finding.subject,
        "severity": check.severity,
        "expected": finding.expected,
        "actual": finding.actual,
        "status": status,
        "heal_action": f"{check.id} healed it" if status == "healed" else None,
        "first_seen_at": work.now,
        "last_seen_at": work.now,
    }
