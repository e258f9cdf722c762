"""Custom fields of orders and characteristics of their items (document 003), draft or confirmed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from engine.draft_input import merge_fields
from engine.draft_tables import order_fields
from engine.unit_of_work import UnitOfWork


def read(connection: Connection, subject_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the fields of each order or item that has any."""
    query = select(order_fields.c.subject_id, order_fields.c.fields)
    wanted = query.where(order_fields.c.subject_id.in_(list(subject_ids)))
    return {row.subject_id: dict(row.fields) for row in connection.execute(wanted)}


def put(
    work: UnitOfWork, order_id: str, subject_id: str, given: object, *, field: str
) -> dict[str, Any]:
    """Put fields over those that stand, null taking one away, and return what stands then.

    Raises InvalidInput. Whoever calls holds the order, so that two do not overwrite each other.
    """
    before = read(work.connection, [subject_id]).get(subject_id, {})
    after = merge_fields(before, given, field=field)
    write(work, order_id, subject_id, after)
    return after


def write(work: UnitOfWork, order_id: str, subject_id: str, fields: dict[str, Any]) -> None:
    """Store the fields of an order or an item."""
    values = {"fields": fields, "updated_at": work.now, "updated_by": work.actor}
    same = order_fields.c.subject_id == subject_id
    if work.connection.execute(update(order_fields).where(same).values(values)).rowcount == 0:
        keys = {"subject_id": subject_id, "order_id": order_id}
        work.connection.execute(insert(order_fields).values(**keys, **values))


def forget(work: UnitOfWork, subject_id: str) -> None:
    """Remove the fields of an item that is no more."""
    work.connection.execute(delete(order_fields).where(order_fields.c.subject_id == subject_id))
