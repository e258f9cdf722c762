"""Move a due date by agreement, or resolve it again when the rules of its time zone changed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy import text as sql

from engine import ladder_settings, milestones, remittance_events, remittances
from engine.due_dates import due_fields, end_of_day, firings
from engine.due_tables import due_changes
from engine.errors import Forbidden, InvalidInput, InvalidStatus
from engine.inputs import check_text
from engine.ladders import ladder_of
from engine.milestone_rules import PENDING
from engine.settlement_tables import milestones as milestone_rows
from engine.settlement_tables import remittances as remittance_rows
from engine.unit_of_work import UnitOfWork
from engine.zones import version, zone

#: The words of the partial index: a parameter in their place would hide it from the planner.
_STILL_OWED = sql("remittances.status = 'pending'")
AHEAD_MAX = timedelta(days=366)

Row = dict[str, Any]


def reschedule(
    work: UnitOfWork,
    remittance_id: str,
    due_on: date,
    *,
    reason: str,
    tenant_id: str | None = None,
) -> Row:
    """Give a pending remittance another due date, with a schedule of its own, and return its row.

    What was still to be told of the old date is cancelled; payer and payee hear
    ``remittance.rescheduled``. Raises NotFound, Forbidden for the payer, InvalidInput for a day
    that is past, the same or more than a year ahead, or InvalidStatus.
    """
    reason = check_text(reason, field="reason", length_max=500)
    row = remittances.get(work.connection, remittance_id, tenant_id=tenant_id)
    if tenant_id not in {None, row["payee_id"]}:
        raise Forbidden("only the payee may move a due date", remittance_id=row["id"])
    _check_day(row, due_on, work.now.astimezone(zone(row["due_tz"])).date())
    ladder = ladder_settings.ladder_between(work.connection, row["payer_id"], row["payee_id"])
    moved = {
        **due_fields(due_on, row["due_tz"], ladder),
        "schedule_version": row["schedule_version"] + 1,
        "overdue_since": None,
    }
    taken = work.connection.execute(
        update(remittance_rows)
        .where(
            remittance_rows.c.id == row["id"],
            remittance_rows.c.status == "pending",
            remittance_rows.c.schedule_version == row["schedule_version"],
        )
        .values(moved)
    )
    if taken.rowcount != 1:
        current = remittances.get(work.connection, row["id"])["status"]
        raise InvalidStatus("Remittance is not pending", current_status=current, allowed=[])
    milestones.cancel(work, [row["id"]])
    milestones.schedule(work, [row | moved])
    change = _record(work, row, due_on, reason)
    for draft in remittance_events.rescheduled(row | moved, change):
        work.raise_event(draft)
    return row | moved


def changes_of(connection: Connection, remittance_id: str) -> list[Row]:
    """Return when and why a remittance's due date was moved, oldest first."""
    query = select(due_changes).where(due_changes.c.remittance_id == remittance_id)
    rows = connection.execute(query.order_by(due_changes.c.schedule_version)).mappings()
    return [dict(row) for row in rows]


def outdated(connection: Connection, limit: int = milestones.BATCH_MAX) -> list[Row]:
    """Return pending remittances that were resolved under older zone rules than this process has.

    One resolved under newer rules is left alone: another process knows better.
    """
    query = (
        select(remittance_rows)
        .where(_STILL_OWED, remittance_rows.c.due_rules < version())
        .order_by(remittance_rows.c.due_rules, remittance_rows.c.id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def resolve_again(work: UnitOfWork, rows: list[Row]) -> list[str]:
    """Resolve the dates of ``outdated`` remittances under today's rules; return the ids done.

    Only what is pending moves: a milestone that has an outcome keeps its instant.
    """
    done = []
    for row in sorted(rows, key=lambda each: str(each["id"])):
        ladder = ladder_of(row["ladder"])
        due_at = end_of_day(row["due_date"], row["due_tz"], ladder.cutoff)
        taken = work.connection.execute(
            update(remittance_rows)
            .where(
                remittance_rows.c.id == row["id"],
                remittance_rows.c.status == "pending",
                remittance_rows.c.schedule_version == row["schedule_version"],
                remittance_rows.c.due_rules == row["due_rules"],
            )
            .values(due_at=due_at, due_rules=version())
        )
        if taken.rowcount == 1:
            _move_milestones(work, row)
            done.append(row["id"])
    return done


def _move_milestones(work: UnitOfWork, row: Row) -> None:
    moved = [
        {"of_code": firing.code, "to": firing.fire_at}
        for firing in firings(row["due_date"], row["due_tz"], ladder_of(row["ladder"]))
    ]
    work.connection.execute(
        update(milestone_rows)
        .where(
            milestone_rows.c.subject_id == row["id"],
            milestone_rows.c.schedule_version == row["schedule_version"],
            milestone_rows.c.code == bindparam("of_code"),
            milestone_rows.c.outcome == PENDING,
        )
        .values(fire_at=bindparam("to")),
        moved,
    )


def _check_day(row: Row, due_on: date, today: date) -> None:
    if not today <= due_on <= today + AHEAD_MAX:
        raise InvalidInput(
            f"{due_on} is not from today ({today}) to a year ahead", field="due_date"
        )
    if due_on == row["due_date"]:
        raise InvalidInput(f"it is due on {due_on} already", field="due_date")


def _record(work: UnitOfWork, row: Row, due_on: date, reason: str) -> Row:
    change = {
        "remittance_id": row["id"],
        "schedule_version": row["schedule_version"] + 1,
        "previous_due_date": row["due_date"],
        "due_date": due_on,
        "reason": reason,
        "actor": work.actor,
        "source": work.source,
        "at": work.now,
    }
    work.connection.execute(insert(due_changes).values(change))
    return change
