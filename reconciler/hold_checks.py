"""Money set aside for a time that is over."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from engine import wallet_holds
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 10_000


def _find(connection: Connection, scope: Scope) -> Found:
    """Ask the partial index of open holds that end; nothing else is looked at."""
    findings = [
        Finding(
            f"hold {row['id']}",
            expected="expired",
            actual=row["status"],
            key=row["id"],
            tenant_id=row["payer_id"],
            amount_minor=row["amount_minor"],
            currency=row["currency"],
            due_at=row["expires_at"],
        )
        for row in wallet_holds.due(connection, scope.as_of, FINDINGS_MAX)
    ]
    return Found(len(findings), findings)


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Free what has expired by now: asked about next week, nothing is freed today."""
    freed = set(wallet_holds.expire(work, [each.key for each in findings], work.now))
    return [each for each in findings if each.key in freed]


HOLDS_EXPIRED = Check(
    id="K15.expired",
    title="Holds past their end",
    compares="the end of every open hold that has one with the time",
    remedy="free the money with a posting",
    severity=Severity.ROUTINE,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find,
    heal=_heal,
)
