"""What people say of a discrepancy: accepted as it is, or no discrepancy at all."""

from __future__ import annotations

from sqlalchemy import insert, update

from engine.errors import InvalidStatus
from engine.ids import new_id
from engine.inputs import check_text
from engine.unit_of_work import UnitOfWork
from reconciler import discrepancy_views
from reconciler.discrepancies import ACCEPTED, FALSE_POSITIVE, OPEN
from reconciler.discrepancy_views import Row
from reconciler.tables import discrepancies, discrepancy_log

REASON_LENGTH_MAX = 1000


def accept(
    work: UnitOfWork, discrepancy_id: str, *, reason: str, false_positive: bool = False
) -> Row:
    """Let a discrepancy stand for as long as it looks the same, and return it with its history.

    Found again it fails no run and is not healed. Raises NotFound, InvalidInput for want of a
    reason, or InvalidStatus with ``current_status`` for one that is not open.
    """
    said = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    row = discrepancy_views.show(work.connection, discrepancy_id)
    status = FALSE_POSITIVE if false_positive else ACCEPTED
    judged = work.connection.execute(
        update(discrepancies)
        .where(discrepancies.c.id == row["id"], discrepancies.c.status == OPEN)
        .values(status=status)
    )
    if judged.rowcount != 1:
        raise InvalidStatus("the discrepancy is not open", current_status=row["status"])
    entry = {
        "id": new_id(),
        "discrepancy_id": row["id"],
        "run_id": None,
        "action": status,
        "actor": work.actor,
        "note": said,
        "at": work.now,
    }
    work.connection.execute(insert(discrepancy_log).values(entry))
    return discrepancy_views.show(work.connection, row["id"])
