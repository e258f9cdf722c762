"""Orders that stand still: shipped and never arrived, or waiting beyond their state's limit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, or_, select

from engine import order_events
from engine.events import iso_seconds
from engine.order_tables import chain_hops, chain_orders
from engine.states import (
    ACCEPTED,
    ACTORS,
    APPROVER,
    FORWARDED,
    FULFILLER,
    HOLDER,
    PENDING_APPROVAL,
    PENDING_FORWARD,
    PROCESSING,
    SHIPPED,
)
from engine.unit_of_work import UnitOfWork
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity


@dataclass(frozen=True, slots=True)
class Limit:
    """How long an order may stand in a state, and whose turn it is then."""

    lasts: timedelta
    turn: str


LIMITS = {
    PENDING_APPROVAL: Limit(timedelta(hours=24), APPROVER),
    PENDING_FORWARD: Limit(timedelta(hours=24), HOLDER),
    FORWARDED: Limit(timedelta(hours=24), HOLDER),
    ACCEPTED: Limit(timedelta(hours=48), FULFILLER),
    PROCESSING: Limit(timedelta(hours=72), FULFILLER),
}
#: The courier should have delivered or returned by then; whoever shipped can ask it.
SHIPPED_LIMIT = {SHIPPED: Limit(timedelta(days=10), FULFILLER)}


def _find_stuck(connection: Connection, scope: Scope) -> Found:
    return _find(connection, scope.as_of, LIMITS)


def _find_undelivered(connection: Connection, scope: Scope) -> Found:
    return _find(connection, scope.as_of, SHIPPED_LIMIT)


def _find(connection: Connection, as_of: datetime, limits: dict[str, Limit]) -> Found:
    """Find orders that have not moved for longer than their state allows: by index, only those."""
    moved = chain_orders.c.updated_at
    beyond = or_(
        *(
            (chain_orders.c.chain_status == status) & (moved < as_of - limit.lasts)
            for status, limit in limits.items()
        )
    )
    waiting = chain_orders.c.chain_status.in_(list(limits))
    scanned = connection.execute(select(func.count()).select_from(chain_orders).where(waiting))
    rows = connection.execute(
        select(chain_orders)
        .where(waiting, beyond)
        .order_by(chain_orders.c.chain_status, moved)
        .limit(SLICE_ROWS)
    )
    findings = [_finding(dict(row), limits) for row in rows.mappings()]
    return Found(scanned.scalar_one(), findings)


def _finding(order: dict[str, Any], limits: dict[str, Limit]) -> Finding:
    limit = limits[order["chain_status"]]
    owner_id = order[ACTORS[limit.turn]]
    return Finding(
        f"chain_order {order['id']}",
        expected={"moves_within_hours": int(limit.lasts.total_seconds() // 3600)},
        actual={"status": order["chain_status"], "since": iso_seconds(order["updated_at"])},
        key=order["id"],
        tenant_id=owner_id,
        amount_minor=order["origin_total_minor"],
        currency=order["currency"],
        owner=owner_id,
        due_at=order["updated_at"] + limit.lasts,
    )


def _remind(work: UnitOfWork, findings: Sequence[Finding]) -> None:
    """Remind whoever's turn it is, once per version of the order."""
    orders = _by_id(work.connection, chain_orders.c.id, (each.key for each in findings))
    hops = _by_id(work.connection, chain_hops.c.chain_order_id, orders)
    for finding in findings:
        for order in orders[finding.key]:
            hop = next(hop for hop in hops[order["id"]] if hop["tenant_id"] == finding.tenant_id)
            hours = finding.expected["moves_within_hours"]
            work.raise_event(order_events.reminder(order, hop, hours))


def _by_id(connection: Connection, column: Any, keys: Iterable[str]) -> dict[str, list[Any]]:
    """Return the rows of a table by one of its columns."""
    query = select(column.table).where(column.in_(list(keys)))
    found: dict[str, list[Any]] = {}
    for row in connection.execute(query).mappings():
        found.setdefault(row[column.name], []).append(dict(row))
    return found


ORDERS_ARRIVE = Check(
    id="K03",
    title="Shipped orders that never arrived",
    compares="how long ago each shipped order last moved with ten days",
    remedy="whoever shipped it is reminded to ask the courier, and delivers or returns the order",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find_undelivered,
    alarm=_remind,
)
ORDERS_MOVE = Check(
    id="K04",
    title="Orders that stand still",
    compares="how long ago each open order last moved with its state's limit: 24 h to be approved,"
    " forwarded or accepted, 48 h to be processed, 72 h to be shipped",
    remedy="whoever's turn it is is reminded, and moves the order on",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=900,
    find=_find_stuck,
    alarm=_remind,
)
