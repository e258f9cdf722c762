"""Many remittances at once: copies of one that a delivered order left behind, with milestones."""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import delete, insert, select

from engine import milestones, remittances
from engine.database import Database
from engine.due_dates import due_fields
from engine.ids import new_id
from engine.ladders import DEFAULT, Ladder
from engine.settlement_tables import milestones as milestone_rows
from engine.settlement_tables import remittances as remittance_rows
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place

Row = dict[str, Any]


def owe(units: UnitsOfWork) -> tuple[Chain, Row]:
    """Deliver one order and return its first remittance alone: R owes D, due on 9 March."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    with units.begin(actor="test") as work:
        rows = remittances.listing(work.connection, order_id=order_id)
        first = next(row for row in rows if row["payer_id"] == chain.r)
        others = [row["id"] for row in rows if row["id"] != first["id"]]
        for key in (milestone_rows.c.subject_id, remittance_rows.c.id):
            work.connection.execute(delete(key.table).where(key.in_(others)))
    return chain, first


def owe_again(
    units: UnitsOfWork, first: Row, count: int = 1, ladder: Ladder = DEFAULT, **changes: Any
) -> list[str]:
    """Add copies of a remittance under a ladder, scheduled at the present, and return their ids."""
    with units.begin(actor="test") as work:
        due_on = changes.pop("due_date", first["due_date"])
        due = due_fields(due_on, changes.pop("due_tz", first["due_tz"]), ladder)
        columns = {column.name: first[column.name] for column in remittance_rows.columns}
        rows = [
            {**columns, **due, "created_at": work.now, **changes, "id": new_id()}
            for _ in range(count)
        ]
        work.connection.execute(insert(remittance_rows), rows)
        milestones.schedule(work, rows)
    return [row["id"] for row in rows]


def outcomes(database: Database, *subject_ids: str) -> Counter[tuple[str, str]]:
    """Return how many milestones of each code have which outcome."""
    query = select(milestone_rows.c.code, milestone_rows.c.outcome)
    if subject_ids:
        query = query.where(milestone_rows.c.subject_id.in_(subject_ids))
    with database.read() as connection:
        return Counter((row.code, row.outcome) for row in connection.execute(query))
