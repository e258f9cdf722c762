"""Look at discrepancies: lists, and one with its history."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from engine.errors import NotFound
from engine.ids import is_id
from engine.inputs import check_choice
from reconciler.discrepancies import STATUSES
from reconciler.tables import discrepancies, discrepancy_log

Row = dict[str, Any]


def listing(
    connection: Connection,
    *,
    status: str | None = None,
    check: str | None = None,
    standing: bool = False,
    limit: int = 50,
) -> list[Row]:
    """Return discrepancies, newest first; ``standing`` leaves out what is settled."""
    query = select(discrepancies).order_by(discrepancies.c.id.desc()).limit(limit)
    if status is not None:
        check_choice(status, STATUSES, field="status")
        query = query.where(discrepancies.c.status == status)
    if check is not None:
        query = query.where(discrepancies.c.check == check)
    if standing:
        query = query.where(discrepancies.c.settled_at.is_(None))
    return [dict(row) for row in connection.execute(query).mappings()]


def show(connection: Connection, discrepancy_id: str) -> Row:
    """Return one discrepancy with its ``history``, oldest first, or raise NotFound."""
    row = None
    if is_id(discrepancy_id):
        one = discrepancies.c.id == discrepancy_id.lower()
        row = connection.execute(select(discrepancies).where(one)).mappings().first()
    if row is None:
        raise NotFound(f"no discrepancy {discrepancy_id!r}", field="id", value=discrepancy_id)
    mine = discrepancy_log.c.discrepancy_id == row["id"]
    history = connection.execute(select(discrepancy_log).where(mine).order_by(discrepancy_log.c.id))
    return {**row, "history": [dict(each) for each in history.mappings()]}
