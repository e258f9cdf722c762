"""The tenant tree: a root platform and chains of resellers below it, at most eight levels deep."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine.errors import InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.money import check_currency
from engine.tables import tenants
from engine.unit_of_work import UnitOfWork
from engine.zones import zone

LEVELS_MAX = 8
NAME_LENGTH_MAX = 200
ROLES = {0: "platform_owner", 1: "distributor"}


def create(
    work: UnitOfWork,
    *,
    name: str,
    parent_id: str | None = None,
    currency: str | None = None,
    timezone: str = "UTC",
    hide_origin_total: bool = False,
) -> dict[str, Any]:
    """Add a tenant below ``parent_id`` (or a new root) and return its row.

    The currency is the parent's, INR for a root that names none. Raises InvalidInput or NotFound.
    """
    parent = None if parent_id is None else get(work.connection, parent_id)
    if not name.strip() or len(name) > NAME_LENGTH_MAX:
        raise InvalidInput(
            f"a tenant needs a name of 1 to {NAME_LENGTH_MAX} characters", field="name", value=name
        )
    depth = 0 if parent is None else parent["depth"] + 1
    if depth >= LEVELS_MAX:
        raise InvalidInput(
            f"a chain has at most {LEVELS_MAX} levels", field="parent", value=parent_id
        )
    tenant_id = new_id()
    row = {
        "id": tenant_id,
        "name": name.strip(),
        "parent_id": parent_id,
        "role": ROLES.get(depth, "retailer"),
        "depth": depth,
        "path": tenant_id if parent is None else f"{parent['path']}/{tenant_id}",
        "currency": check_currency(currency or (parent["currency"] if parent else "INR")),
        "timezone": zone(timezone).key,
        "status": "active",
        "hide_origin_total": hide_origin_total,
        "needs_approval": False,
        "created_at": work.now,
    }
    if parent is not None and row["currency"] != parent["currency"]:
        raise InvalidInput(
            f"a chain has one currency; the parent's is {parent['currency']}",
            field="currency",
            value=currency,
        )
    work.connection.execute(insert(tenants).values(row))
    return row


def hide_origin_total(work: UnitOfWork, tenant_id: str, *, hidden: bool) -> dict[str, Any]:
    """Say whether the levels above see what the tenant's customers pay, and return its row.

    It holds for orders placed from now on. Raises NotFound.
    """
    row = get(work.connection, tenant_id)
    mine = tenants.c.id == row["id"]
    work.connection.execute(update(tenants).where(mine).values(hide_origin_total=hidden))
    return {**row, "hide_origin_total": hidden}


def require_approval(work: UnitOfWork, tenant_id: str, *, needed: bool) -> dict[str, Any]:
    """Say whether the tenant's parent has to approve what it orders, and return its row.

    It holds for orders placed from now on. Raises NotFound, or InvalidInput for a root, which has
    nobody above it.
    """
    row = get(work.connection, tenant_id)
    if needed and row["parent_id"] is None:
        raise InvalidInput(
            "a root has no parent to approve its orders", field="tenant_id", value=tenant_id
        )
    mine = tenants.c.id == row["id"]
    work.connection.execute(update(tenants).where(mine).values(needs_approval=needed))
    return {**row, "needs_approval": needed}


def get(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return one tenant's row, or raise NotFound."""
    row = None
    if is_id(tenant_id):
        row = (
            connection.execute(select(tenants).where(tenants.c.id == tenant_id.lower()))
            .mappings()
            .first()
        )
    if row is None:
        raise NotFound(f"no tenant {tenant_id!r}", field="tenant_id", value=tenant_id)
    return dict(row)


def chain(connection: Connection, tenant_id: str) -> list[dict[str, Any]]:
    """Return the tenants from the root down to ``tenant_id``, in that order."""
    ids = get(connection, tenant_id)["path"].split("/")
    rows = connection.execute(
        select(tenants).where(tenants.c.id.in_(ids)).order_by(tenants.c.depth)
    ).mappings()
    return [dict(row) for row in rows]


def listing(connection: Connection, *, parent_id: str | None = None) -> list[dict[str, Any]]:
    """Return all tenants, or the children of one, in the order of the tree."""
    query = select(tenants).order_by(tenants.c.path)
    if parent_id is not None:
        query = query.where(tenants.c.parent_id == get(connection, parent_id)["id"])
    return [dict(row) for row in connection.execute(query).mappings()]
