"""Draft orders that time has overtaken: told of, expired, and forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from engine import draft_expiry
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 10_000
EXPECTED = {"warn": "told that it expires", "expire": "expired", "delete": "deleted"}


def _find(connection: Connection, scope: Scope) -> Found:
    """Ask each step's partial index what is due; nothing else is looked at."""
    findings = [
        Finding(
            f"draft_order {row['id']}",
            expected=EXPECTED[step],
            actual=row["status"],
            key=(step, row["id"]),
            tenant_id=row["tenant_id"],
            due_at=row["expires_at"],
        )
        for step in draft_expiry.STEPS
        for row in draft_expiry.due(connection, step, scope.as_of, FINDINGS_MAX)
    ]
    return Found(len(findings), findings)


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Take each step whose hour has come by now: asked about next week, nothing expires today."""
    done: set[tuple[str, str]] = set()
    for step, act in draft_expiry.STEPS.items():
        ids = [each.key[1] for each in findings if each.key[0] == step]
        if ids:
            done |= {(step, draft_id) for draft_id in act(work, ids)}
    return [each for each in findings if each.key in done]


DRAFTS_EXPIRED = Check(
    id="K21",
    title="Draft orders past their hours",
    compares="the 168 hours of every open draft with the time",
    remedy="tell a day before, expire, delete 30 days later",
    severity=Severity.ROUTINE,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find,
    heal=_heal,
)
