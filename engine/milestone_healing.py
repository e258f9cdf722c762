"""Make good what should be there of a remittance's schedule and is not, each thing once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, tuple_, update

from engine import milestones
from engine.milestone_rules import EMITTED
from engine.settlement_tables import milestones as rows
from engine.settlement_tables import remittances
from engine.tables import events
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]


def schedule_missing(work: UnitOfWork, remittance_ids: Sequence[str], as_of: datetime) -> list[str]:
    """Insert the milestones of what is still owed and has none of its schedule; return its ids.

    What of them has come at ``as_of`` gets its outcome at once.
    """
    if not remittance_ids:
        return []
    found = _owed(work.connection, remittance_ids)
    have = select(rows.c.subject_id).where(
        tuple_(rows.c.subject_id, rows.c.schedule_version).in_(
            [(row["id"], row["schedule_version"]) for row in found]
        )
    )
    scheduled = set(work.connection.execute(have).scalars()) if found else set()
    bare = [row for row in found if row["id"] not in scheduled]
    milestones.schedule(work, bare)
    made = rows.c.subject_id.in_([row["id"] for row in bare])
    come = select(rows.c.id).where(made, rows.c.fire_at <= as_of)
    milestones.emit_many(work, list(work.connection.execute(come).scalars()), as_of)
    return [row["id"] for row in bare]


def mark_overdue(work: UnitOfWork, remittance_ids: Sequence[str]) -> list[str]:
    """Set the flag of what is still owed and late; return the ids of those that had none."""
    marked = (
        update(remittances)
        .where(
            remittances.c.id.in_(list(remittance_ids)),
            remittances.c.status == "pending",
            remittances.c.due_at <= work.now,
            remittances.c.overdue_since.is_(None),
        )
        .values(overdue_since=remittances.c.due_at)
        .returning(remittances.c.id)
    )
    return list(work.connection.execute(marked).scalars()) if remittance_ids else []


def raise_again(work: UnitOfWork, milestone_ids: Sequence[str]) -> set[str]:
    """Raise the events of emitted milestones that lost theirs; return the milestones' ids.

    The dedupe key is that of the emission: an event that stands under it is only named again.
    """
    query = select(rows).where(rows.c.id.in_(list(milestone_ids)), rows.c.outcome == EMITTED)
    found = {row["id"]: dict(row) for row in work.connection.execute(query).mappings()}
    for row in milestones.drafts_of(work, list(found.values())):
        draft = row["draft"]
        same = (events.c.tenant_id == draft.tenant_id) & (events.c.dedupe_key == draft.dedupe_key)
        event_id = work.connection.execute(select(events.c.id).where(same)).scalar()
        if event_id is None:
            work.raise_event(draft)
        work.connection.execute(
            update(rows).where(rows.c.id == row["id"]).values(event_id=event_id or draft.id)
        )
    return set(found)


def _owed(connection: Connection, ids: Sequence[str]) -> list[Row]:
    """Return the remittances that are still owed, kept from being paid meanwhile."""
    query = (
        select(remittances)
        .where(remittances.c.id.in_(list(ids)), remittances.c.status == "pending")
        .order_by(remittances.c.id)
    )
    return [
        dict(row) for row in connection.execute(query.with_for_update(key_share=True)).mappings()
    ]
