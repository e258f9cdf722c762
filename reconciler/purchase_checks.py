"""Stock purchases that nobody paid in time."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from engine import stock_purchases
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 10_000


def _find(connection: Connection, scope: Scope) -> Found:
    """Ask the partial index of unpaid purchases what is due; nothing else is looked at."""
    rows = stock_purchases.due(connection, scope.as_of, FINDINGS_MAX)
    findings = [
        Finding(
            f"stock_transfer {row['id']}",
            expected="expired",
            actual=row["status"],
            key=(row["relationship_id"], row["id"]),
            due_at=row["expires_at"],
        )
        for row in rows
    ]
    return Found(len(findings), findings)


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Close what has ended by now: asked about next week, nothing expires today."""
    rows = [{"relationship_id": each.key[0], "id": each.key[1]} for each in findings]
    closed = set(stock_purchases.expire(work, rows))
    return [each for each in findings if each.key[1] in closed]


PURCHASES_EXPIRED = Check(
    id="K25",
    title="Stock purchases past their days",
    compares="the end of every unpaid stock purchase with the time",
    remedy="expire, tell both sides",
    severity=Severity.ROUTINE,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find,
    heal=_heal,
)
