"""What couriers' files say otherwise than the orders: exceptions with an owner and a day."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, String, cast, literal, select

from engine.settlement_tables import cod_collections
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity
from reconciler.collection_checks import EXPLAINED_WITHIN
from reconciler.courier_match import Kind
from reconciler.tables import courier_differences, courier_files

_SAYS = {
    Kind.MISSING: "an order without a line",
    Kind.EXTRA: "a line without an order",
    Kind.AMOUNT: "an amount that differs",
    Kind.DUPLICATE: "an order paid twice",
    Kind.BANK: "a batch the bank paid otherwise",
}


def _find(connection: Connection, scope: Scope) -> Found:
    """Find what of a file did not match and no later file made good, slice by slice."""
    table = courier_differences.c
    query = (
        select(
            courier_differences,
            courier_files.c.courier,
            courier_files.c.currency,
            cod_collections.c.collector_tenant_id,
        )
        .join(courier_files, courier_files.c.id == table.file_id)
        .outerjoin(cod_collections, cod_collections.c.chain_order_id == table.chain_order_id)
        .where(table.resolved_at.is_(None))
        .order_by(table.id)
        .limit(SLICE_ROWS)
    )
    if scope.after is not None:
        query = query.where(table.id > scope.after)
    rows = connection.execute(query).all()
    more = len(rows) == SLICE_ROWS
    findings = [_finding(row, scope) for row in rows]
    return Found(len(rows), findings, cursor=rows[-1].id if more else None)


def names(subject: ColumnElement[str], difference_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Tell whether the subject of a discrepancy is this difference."""
    named = literal("courier_difference ").concat(cast(difference_id, String)).concat(",")
    return subject.startswith(named)


def _finding(row: Row[Any], scope: Scope) -> Finding:
    due_at = row.found_at + EXPLAINED_WITHIN
    difference_minor = abs((row.expected_minor or 0) - (row.actual_minor or 0))
    return Finding(
        f"courier_difference {row.id}, {row.reference}: {_SAYS[Kind(row.kind)]}",
        expected={"paid_minor": row.expected_minor, "order": row.chain_order_id},
        actual={"paid_minor": row.actual_minor, "courier": row.courier, "line": row.line},
        key=row.id,
        severity=Severity.ERROR if due_at < scope.as_of else None,
        tenant_id=row.collector_tenant_id,
        amount_minor=difference_minor,
        currency=row.currency,
        # Who took the cash asks its courier; a line that is nobody's is the courier's to explain.
        owner=row.collector_tenant_id or row.courier,
        due_at=due_at,
    )


COURIERS_AGREE = Check(
    id="K18.courier",
    title="Couriers' files that say otherwise",
    compares="every collected order with one line of its courier's files, and every batch with"
    " what the bank paid, to the minor unit",
    remedy="ask the courier; a later file that has the order settles what was missing",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find,
)
