"""What upstream platforms say of orders, held against what they are here."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, and_, select

from engine.order_tables import chain_orders
from engine.upstream_tables import upstream_orders, upstreams
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity
from reconciler.upstream_applying import REFUSED

FINDINGS_MAX = 10_000


def _found(connection: Connection, wanted: ColumnElement[bool]) -> Found:
    """Ask the partial index of problems; orders without one cost nothing."""
    query = (
        select(upstream_orders, chain_orders.c.chain_status, upstreams.c.tenant_id)
        .join(chain_orders, chain_orders.c.id == upstream_orders.c.chain_order_id)
        .join(upstreams, upstreams.c.id == upstream_orders.c.upstream_id)
        .where(and_(upstream_orders.c.problem.is_not(None), wanted))
        .order_by(upstream_orders.c.upstream_id, upstream_orders.c.reference)
        .limit(FINDINGS_MAX)
    )
    rows: Sequence[dict[str, object]] = [dict(row) for row in connection.execute(query).mappings()]
    findings = [
        Finding(
            f"chain_order {row['chain_order_id']}",
            expected={"upstream": row["seen_status"], "reference": row["reference"]},
            actual={
                "status": row["chain_status"],
                "problem": row["problem"],
                "detail": row["problem_detail"],
            },
            key=row["chain_order_id"],
            tenant_id=str(row["tenant_id"]),
        )
        for row in rows
    ]
    return Found(len(findings), findings)


def _ahead(connection: Connection, _scope: Scope) -> Found:
    return _found(connection, upstream_orders.c.problem == REFUSED)


def _contradicting(connection: Connection, _scope: Scope) -> Found:
    return _found(connection, upstream_orders.c.problem != REFUSED)


UPSTREAM_AHEAD = Check(
    id="K01.upstream",
    title="Orders that are further upstream than here",
    compares="the state an upstream reports with the order's own",
    remedy="the next look makes the missing transitions; one that is refused needs somebody",
    severity=Severity.ERROR,
    policy=Policy.SUGGEST,
    every_seconds=60,
    find=_ahead,
)

UPSTREAM_CONTRADICTS = Check(
    id="K02",
    title="Orders whose upstream is behind, unknown or unreadable",
    compares="the state an upstream reports with what happened here",
    remedy="ask the upstream; nothing is taken back here for it",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=60,
    find=_contradicting,
)
