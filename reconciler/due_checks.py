"""Due dates that were resolved before the rules of their time zone changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from engine import rescheduling
from engine.unit_of_work import UnitOfWork
from engine.zones import version
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 10_000


def _find(connection: Connection, _scope: Scope) -> Found:
    rows = rescheduling.outdated(connection, FINDINGS_MAX)
    findings = [
        Finding(
            f"remittance {row['id']}",
            expected=f"rules {version()}",
            actual=f"rules {row['due_rules']}",
            key=row,
            tenant_id=row["payer_id"],
        )
        for row in rows
    ]
    return Found(len(rows), findings)


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    done = set(rescheduling.resolve_again(work, [each.key for each in findings]))
    return [each for each in findings if each.key["id"] in done]


ZONE_RULES = Check(
    id="K10.zones",
    title="Due dates under older time zone rules",
    compares="the rules each open remittance was resolved under with those installed",
    remedy="resolve the due date and what is still to be told of it again",
    severity=Severity.ROUTINE,
    policy=Policy.AUTO,
    every_seconds=3600,
    find=_find,
    heal=_heal,
)
