"""Orders: state that moved without the event that should have told it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, String, cast, exists, func, select

from engine import orders
from engine.order_tables import chain_orders, order_log
from engine.tables import events
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

FINDINGS_MAX = 1000


def _find(connection: Connection, scope: Scope) -> Found:
    """Compare each order's version and status with its timeline and its newest event.

    Of orders that moved since the last look; in a sweep of all: O(orders), by the server.
    """
    changed = scope.touched(chain_orders.c.updated_at, chain_orders.c.id)
    logged = exists().where(
        order_log.c.chain_order_id == chain_orders.c.id,
        order_log.c.seq == chain_orders.c.version,
        order_log.c.to_status == chain_orders.c.chain_status,
    )
    told = logged & exists().where(
        events.c.subject_id == cast(chain_orders.c.id, String),
        events.c.sequence == chain_orders.c.version,
    )
    scanned = connection.execute(
        select(func.count()).select_from(chain_orders).where(changed)
    ).scalar_one()
    rows = connection.execute(
        select(chain_orders.c.id, chain_orders.c.chain_status, chain_orders.c.version)
        .where(changed, ~told)
        .order_by(chain_orders.c.updated_at, chain_orders.c.id)
        .limit(FINDINGS_MAX)
    ).all()
    findings = [
        Finding(
            f"chain_order {row.id}",
            expected={"event_sequence": row.version, "status": row.chain_status},
            actual="no event of that version",
            key=row.id,
        )
        for row in rows
    ]
    return Found(scanned, findings)


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Raise each missing event with the key it would have had: raising twice is one event."""
    return [each for each in findings if orders.raise_missing(work, each.key)]


ORDERS_TOLD = Check(
    id="K01",
    title="Order state that moved without an event",
    compares="each order's version and status with its timeline and its newest event",
    remedy="the missing step and events are written, with the keys they would have had",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find,
    incremental=True,
    heal=_heal,
)
