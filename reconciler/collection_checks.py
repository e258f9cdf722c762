"""Cash that was collected and is not what was expected: an exception with an owner and a day."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy import text as sql

from engine.settlement_tables import cod_collections
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity

#: The words of the partial index: parameters in their place would hide it from the planner.
_UNDECIDED = sql(
    "cod_collections.status IN ('short', 'disputed') AND cod_collections.resolved_at IS NULL"
)
#: So long the collector has to explain it; then it fails the run.
EXPLAINED_WITHIN = timedelta(days=14)


def _find(connection: Connection, scope: Scope) -> Found:
    """Find collections that differ and that finance has not decided about; tolerance is zero."""
    table = cod_collections.c
    scanned = connection.execute(
        select(func.count()).select_from(cod_collections).where(_UNDECIDED)
    )
    rows = connection.execute(
        select(cod_collections).where(_UNDECIDED).order_by(table.collected_at).limit(SLICE_ROWS)
    )
    findings = []
    for row in rows:
        due_at = row.collected_at + EXPLAINED_WITHIN
        late = due_at < scope.as_of
        findings.append(
            Finding(
                f"cod_collection {row.id}",
                expected={"collected_minor": row.expected_minor},
                actual={"collected_minor": row.collected_minor},
                key=row.id,
                severity=Severity.ERROR if late else None,
                tenant_id=row.collector_tenant_id,
                amount_minor=abs(row.expected_minor - row.collected_minor),
                currency=row.currency,
                owner=row.collector_tenant_id,
                due_at=due_at,
            )
        )
    return Found(scanned.scalar_one(), findings)


CASH_AGREES = Check(
    id="K18",
    title="Cash that is not what was expected",
    compares="the cash of every collection with what its order says, to the minor unit",
    remedy="finance decides who bears the difference",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find,
)
