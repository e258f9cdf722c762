"""Look at what the reconciler did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from engine.errors import NotFound
from engine.ids import is_id
from reconciler.tables import discrepancies, runs


def listing(
    connection: Connection, *, check: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """Return the latest runs, newest first."""
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    if check is not None:
        query = query.where(runs.c.check == check)
    return [dict(row) for row in connection.execute(query).mappings()]


def show(connection: Connection, run_id: str) -> dict[str, Any]:
    """Return one run with the discrepancies of its check that were seen in it."""
    row = None
    if is_id(run_id):
        row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().first()
    if row is None:
        raise NotFound(f"no run {run_id!r}", field="id", value=run_id)
    seen = (
        select(discrepancies)
        .where(discrepancies.c.check == row["check"])
        .where(discrepancies.c.last_seen_at >= row["started_at"])
        .where(discrepancies.c.first_seen_at <= row["updated_at"])
        .order_by(discrepancies.c.id)
    )
    listed = [dict(each) for each in connection.execute(seen).mappings()]
    return {**row, "discrepancies": listed}
