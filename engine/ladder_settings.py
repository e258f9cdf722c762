"""Whose ladder holds between two neighbours: the relationship's, the nearest tenant's, or ours.

A ladder counts for remittances made, or given another due date, after it was set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from engine import tenants
from engine.due_tables import due_ladders
from engine.errors import InvalidInput, NotFound
from engine.ladders import DEFAULT, Ladder, ladder_of, read_ladder
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]


def set_ladder(
    work: UnitOfWork, tenant_id: str, given: object, *, child_id: str | None = None
) -> Row:
    """Set the ladder of a tenant and all below it, or of one child alone; return its row.

    Raises InvalidInput (``engine.ladders.read_ladder``), or NotFound for a tenant that is not there
    or a child that is not the tenant's.
    """
    key = _key(work.connection, tenant_id, child_id)
    values = {
        "ladder": read_ladder(given).as_document(),
        "updated_at": work.now,
        "updated_by": work.actor,
    }
    if work.connection.execute(update(due_ladders).where(_same(key)).values(values)).rowcount == 0:
        work.connection.execute(insert(due_ladders).values(**key, **values))
    return {**key, **values}


def clear_ladder(work: UnitOfWork, tenant_id: str, *, child_id: str | None = None) -> None:
    """Forget a ladder that was set, so that the next above holds; raises NotFound for none."""
    key = _key(work.connection, tenant_id, child_id)
    if work.connection.execute(delete(due_ladders).where(_same(key))).rowcount == 0:
        raise NotFound("no ladder is set there", field="tenant_id", value=tenant_id)


def ladder_between(connection: Connection, one_id: str, other_id: str) -> Ladder:
    """Return the ladder for remittances between a parent and its child, either way round.

    The one set for the child comes first, then the parent's own, then that of the nearest tenant
    above it, then the default.
    """
    found = effective(connection, one_id, other_id)
    return DEFAULT if found is None else ladder_of(found["ladder"])


def ladders_along(connection: Connection, pairs: Sequence[tuple[Row, Row]]) -> list[Ladder]:
    """Return the ladder of each pair of neighbours, given as tenants' rows; one query for all."""
    found = _effective(connection, pairs)
    return [DEFAULT if row is None else ladder_of(row["ladder"]) for row in found]


def effective(connection: Connection, one_id: str, other_id: str) -> Row | None:
    """Return the row that holds between two neighbours; None where nobody set one.

    For a tenant and itself, what it set or inherits for its children.
    """
    pair = tenants.get(connection, one_id), tenants.get(connection, other_id)
    return _effective(connection, [pair])[0]


def _effective(connection: Connection, pairs: Sequence[tuple[Row, Row]]) -> list[Row | None]:
    related = [sorted(pair, key=lambda tenant: int(tenant["depth"])) for pair in pairs]
    above = {tenant_id for parent, _ in related for tenant_id in parent["path"].split("/")}
    children = {child["id"] for _, child in related}
    query = select(due_ladders).where(
        due_ladders.c.tenant_id.in_(above), due_ladders.c.child_id.in_(above | children)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return [_nearest(rows, parent, child) for parent, child in related]


def _nearest(rows: Sequence[Row], parent: Row, child: Row) -> Row | None:
    """Return the row set for the child alone, or else the one for all of the nearest tenant."""
    path = parent["path"].split("/")
    for_all = {(tenant_id, tenant_id) for tenant_id in path}
    holding = for_all | {(parent["id"], child["id"])}
    return max(
        (row for row in rows if (row["tenant_id"], row["child_id"]) in holding),
        key=lambda row: (path.index(row["tenant_id"]), row["child_id"] != row["tenant_id"]),
        default=None,
    )


def _key(connection: Connection, tenant_id: str, child_id: str | None) -> dict[str, str]:
    tenant = tenants.get(connection, tenant_id)
    child = tenant if child_id is None else tenants.get(connection, child_id)
    if child_id is not None and child["parent_id"] != tenant["id"]:
        raise InvalidInput(
            f"tenant {child['id']} is not a child of {tenant['id']}", field="child_id"
        )
    return {"tenant_id": tenant["id"], "child_id": child["id"]}


def _same(key: dict[str, str]) -> Any:
    return (due_ladders.c.tenant_id == key["tenant_id"]) & (
        due_ladders.c.child_id == key["child_id"]
    )
