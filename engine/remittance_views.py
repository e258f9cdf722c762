"""Read remittances as document 001 lists them: what is open, and the history of one tenant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from engine import paging, tenants
from engine.errors import InvalidInput
from engine.inputs import check_choice
from engine.money import money_fields
from engine.order_tables import chain_orders
from engine.settlement_tables import remittances
from engine.tables import tenants as tenant_rows

STATUSES = ("pending", "completed", "cancelled")
DIRECTIONS = ("incoming", "outgoing")
#: How many open remittances of each direction are shown; the totals count all of them.
PENDING_MAX = 500

Row = dict[str, Any]


def history(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    status: str | None = None,
    direction: str | None = None,
    overdue: bool = False,
    from_date: date | None = None,
    to_date: date | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page of remittances, newest first: ``data`` and ``next_cursor``.

    Of a tenant: those it pays (``outgoing``) or is paid (``incoming``), made on days of its zone.
    Of all: as its payer sees each. Raises NotFound (tenant) or InvalidInput naming the field.
    """
    tenant = None if tenant_id is None else tenants.get(connection, tenant_id)
    filters = paging.between(remittances.c.created_at, from_date, to_date, tenant)
    if overdue:
        filters.append(remittances.c.overdue_since.is_not(None))
        status = "pending"
    statuses = STATUSES if status is None else (check_choice(status, STATUSES, field="status"),)
    branches = [
        (*side, remittances.c.status == each, *filters)
        for side in _sides(tenant, direction)
        for each in statuses
    ]
    found = paging.newest(
        connection, remittances, branches, at=remittances.c.created_at, limit=limit, after=after
    )
    return {**found, "data": seen(connection, found["data"], tenant["id"] if tenant else None)}


def pending(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return ``to_pay``, ``to_receive`` and ``totals`` of a tenant (document 001).

    What is due first stands first. Raises NotFound.
    """
    tenant = tenants.get(connection, tenant_id)
    owed_minor, to_pay = _open(connection, remittances.c.payer_id == tenant["id"])
    receivable_minor, to_receive = _open(connection, remittances.c.payee_id == tenant["id"])
    return {
        "to_pay": seen(connection, to_pay, tenant["id"]),
        "to_receive": seen(connection, to_receive, tenant["id"]),
        "currency": tenant["currency"],
        "totals": money_fields(
            tenant["currency"],
            owed=owed_minor,
            receivable=receivable_minor,
            net_position=receivable_minor - owed_minor,
        ),
    }


def seen(connection: Connection, rows: Sequence[Row], tenant_id: str | None) -> list[Row]:
    """Return remittances as one of their tenants sees them (None: as the payer of each)."""
    sides = {row[side] for row in rows for side in ("payer_id", "payee_id")}
    names = _texts(connection, tenant_rows.c.id, tenant_rows.c.name, sides)
    order_ids = {row["chain_order_id"] for row in rows}
    numbers = _texts(connection, chain_orders.c.id, chain_orders.c.origin_order_number, order_ids)
    return [_seen(row, tenant_id or row["payer_id"], names, numbers) for row in rows]


def _seen(row: Row, tenant_id: str, names: dict[str, str], numbers: dict[str, str]) -> Row:
    outgoing = tenant_id == row["payer_id"]
    other_id = row["payee_id" if outgoing else "payer_id"]
    return {
        "id": row["id"],
        "direction": "outgoing" if outgoing else "incoming",
        "payer_id": row["payer_id"],
        "payee_id": row["payee_id"],
        "counterparty_tenant_id": other_id,
        "counterparty_name": names[other_id],
        **money_fields(row["currency"], amount=row["amount_minor"]),
        "currency": row["currency"],
        "status": row["status"],
        "due_date": row["due_date"],
        "due_at": row["due_at"],
        "overdue_since": row["overdue_since"],
        "chain_order_id": row["chain_order_id"],
        "origin_order_number": numbers[row["chain_order_id"]],
        "created_at": row["created_at"],
        "completed_at": row["completed_at"],
        "cancelled_at": row["cancelled_at"],
    }


def _sides(tenant: Row | None, direction: str | None) -> list[tuple[ColumnElement[bool], ...]]:
    if tenant is None:
        if direction is not None:
            raise InvalidInput("a direction is that of a tenant: name one", field="tenant_id")
        return [()]
    sides = {
        "incoming": (remittances.c.payee_id == tenant["id"],),
        "outgoing": (remittances.c.payer_id == tenant["id"],),
    }
    if direction is None:
        return list(sides.values())
    return [sides[check_choice(direction, DIRECTIONS, field="direction")]]


def _open(connection: Connection, side: ColumnElement[bool]) -> tuple[int, list[Row]]:
    """Return how much is open on one side of a tenant, and the first of it."""
    mine = (side, remittances.c.status == "pending")
    total = select(func.coalesce(func.sum(remittances.c.amount_minor), 0)).where(*mine)
    first_due = select(remittances).where(*mine).order_by(remittances.c.due_at, remittances.c.id)
    rows = connection.execute(first_due.limit(PENDING_MAX)).mappings()
    return int(connection.execute(total).scalar_one()), [dict(row) for row in rows]


def _texts(connection: Connection, key: Any, value: Any, wanted: Iterable[str]) -> dict[str, str]:
    rows = connection.execute(select(key, value).where(key.in_(set(wanted))))
    return {row[0]: row[1] for row in rows}
