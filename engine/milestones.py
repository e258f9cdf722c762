"""Milestones of remittances: rows that reach exactly one outcome (domain.md 1.3).

``pending`` becomes ``emitted``, ``superseded`` or ``cancelled`` by one guarded update, in the
transaction that raises the event. Whoever looks decides nothing: the row and its instant do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from engine import remittance_events
from engine.due_dates import DEFAULT_LADDER, DUE, OVERDUE, Step, days_between, ladder
from engine.errors import NotFound
from engine.events import EventDraft, iso_seconds
from engine.ids import new_id
from engine.settlement_tables import milestones, remittances
from engine.unit_of_work import UnitOfWork

PENDING = "pending"
EMITTED = "emitted"
SUPERSEDED = "superseded"
CANCELLED = "cancelled"
#: An emission later than this after its instant says so.
LATE_AFTER = timedelta(hours=1)
BATCH_MAX = 1000

Row = dict[str, Any]


def schedule(
    work: UnitOfWork, owed: Iterable[Mapping[str, Any]], steps: Sequence[Step] = DEFAULT_LADDER
) -> None:
    """Insert the milestones of remittances in the transaction that creates them."""
    rows = [
        {
            "id": new_id(),
            "subject_type": "remittance",
            "subject_id": remittance["id"],
            "schedule_version": remittance["schedule_version"],
            "code": firing.code,
            "recipient_tenant_id": tenant_id,
            "event": firing.event,
            "fire_at": firing.fire_at,
            "outcome": PENDING,
            "created_at": work.now,
        }
        for remittance in owed
        for firing in ladder(remittance["due_date"], remittance["due_tz"], steps)
        for tenant_id in _recipients(remittance, firing.event)
    ]
    if rows:
        work.connection.execute(insert(milestones), rows)


def due(connection: Connection, as_of: datetime, limit: int = BATCH_MAX) -> list[Row]:
    """Return pending milestones whose instant has come, oldest first; costs what is due only."""
    query = (
        select(milestones)
        .where(milestones.c.outcome == PENDING, milestones.c.fire_at <= as_of)
        .order_by(milestones.c.fire_at, milestones.c.id)
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def emit(work: UnitOfWork, milestone_id: str, as_of: datetime) -> str:
    """Give one milestone its outcome and return it; see ``emit_many``. Raises NotFound."""
    outcomes = emit_many(work, [milestone_id], as_of)
    if milestone_id not in outcomes:
        raise NotFound(f"no milestone {milestone_id!r}", field="milestone_id", value=milestone_id)
    return outcomes[milestone_id]


def emit_many(work: UnitOfWork, milestone_ids: Sequence[str], as_of: datetime) -> dict[str, str]:
    """Give each milestone its outcome at ``as_of``, raise its event, and return all outcomes.

    A milestone that has an outcome, or whose instant has not come, keeps its own.
    """
    wanted = set(milestone_ids)
    subjects = {row["subject_id"] for row in _rows(work.connection, milestones.c.id.in_(wanted))}
    # The remittance first: paying one locks it before its milestones too.
    owed = _lock_remittances(work.connection, subjects)
    series: dict[str, list[Row]] = {}
    for row in _rows(work.connection, milestones.c.subject_id.in_(owed)):
        series.setdefault(row["subject_id"], []).append(row)
    outcomes: dict[str, str] = {}
    decided: dict[str, list[Row]] = {EMITTED: [], SUPERSEDED: [], CANCELLED: [], PENDING: []}
    for subject_id, siblings in series.items():
        for rank, row in enumerate(siblings):
            row["rank"] = rank
            if row["id"] in wanted:
                outcomes[row["id"]] = row["outcome"]
                if row["outcome"] == PENDING:
                    decided[judge(row, siblings, owed[subject_id], as_of)].append(row)
    for outcome in (SUPERSEDED, CANCELLED, EMITTED):
        settled = _settle(work, decided[outcome], outcome)
        outcomes.update(dict.fromkeys(settled, outcome))
    emitted = [row for row in decided[EMITTED] if outcomes[row["id"]] == EMITTED]
    _raise(work, emitted, owed, as_of)
    return outcomes


def judge(
    row: Mapping[str, Any],
    siblings: Iterable[Mapping[str, Any]],
    remittance: Mapping[str, Any],
    as_of: datetime,
) -> str:
    """Return the outcome a pending milestone deserves at ``as_of``: pure, the catch-up rule.

    Of several due ones of a type only the newest is emitted; past the due date none approaches it.
    """
    if remittance["status"] != "pending" or (
        remittance["schedule_version"] != row["schedule_version"]
    ):
        return CANCELLED
    if row["fire_at"] > as_of:
        return PENDING
    if row["event"] == DUE and as_of >= remittance["due_at"]:
        return SUPERSEDED
    newer = any(
        _same_series(row, other) and row["fire_at"] < other["fire_at"] <= as_of
        for other in siblings
    )
    return SUPERSEDED if newer else EMITTED


def cancel(work: UnitOfWork, remittance_ids: Iterable[str]) -> None:
    """Cancel what is still pending for remittances that are paid or cancelled."""
    work.connection.execute(
        update(milestones)
        .where(milestones.c.subject_id.in_(list(remittance_ids)), milestones.c.outcome == PENDING)
        .values(outcome=CANCELLED, outcome_at=work.now)
    )


def _recipients(remittance: Mapping[str, Any], event: str) -> tuple[str, ...]:
    if event == OVERDUE:
        return remittance["payer_id"], remittance["payee_id"]
    return (remittance["payer_id"],)


def _same_series(row: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    keys = ("subject_id", "schedule_version", "event", "recipient_tenant_id")
    return all(row[key] == other[key] for key in keys)


def _rows(connection: Connection, wanted: Any) -> list[Row]:
    query = select(milestones).where(wanted).order_by(milestones.c.fire_at, milestones.c.id)
    return [dict(row) for row in connection.execute(query).mappings()]


def _lock_remittances(connection: Connection, ids: set[str]) -> dict[str, Row]:
    query = select(remittances).where(remittances.c.id.in_(ids)).order_by(remittances.c.id)
    rows = connection.execute(query.with_for_update(key_share=True)).mappings()
    return {row["id"]: dict(row) for row in rows}


def _settle(work: UnitOfWork, rows: Sequence[Row], outcome: str) -> list[str]:
    """Write an outcome once, whoever else tries, and return the ids it was written to."""
    if not rows:
        return []
    guard = milestones.c.id.in_([row["id"] for row in rows]) & (milestones.c.outcome == PENDING)
    if outcome == EMITTED:
        # Only while the money is still owed.
        guard &= (
            select(remittances.c.id)
            .where(remittances.c.id == milestones.c.subject_id, remittances.c.status == "pending")
            .exists()
        )
    settled = (
        update(milestones).where(guard).values(outcome=outcome, outcome_at=work.now)
    ).returning(milestones.c.id)
    return list(work.connection.execute(settled).scalars())


def _raise(work: UnitOfWork, rows: Sequence[Row], owed: Mapping[str, Row], as_of: datetime) -> None:
    late_ids = [row["subject_id"] for row in rows if row["event"] == OVERDUE]
    _mark_overdue(work, [owed[subject_id] for subject_id in dict.fromkeys(late_ids)])
    for row in rows:
        draft = _draft(row, owed[row["subject_id"]], as_of)
        work.raise_event(draft)
        row["event_id"] = draft.id
    if rows:
        work.connection.execute(
            update(milestones)
            .where(milestones.c.id == bindparam("row_id"))
            .values(event_id=bindparam("raised_id")),
            [{"row_id": row["id"], "raised_id": row["event_id"]} for row in rows],
        )


def _draft(row: Row, remittance: Row, as_of: datetime) -> EventDraft:
    # Counted from the day that begins where the due date ends, so that T-3 says 3 and T+7 says 7.
    over_on = remittance["due_date"] + timedelta(days=1)
    days = days_between(over_on, as_of, remittance["due_tz"])
    extra: dict[str, Any] = {"late": as_of - row["fire_at"] > LATE_AFTER}
    if row["event"] == OVERDUE:
        extra |= {"days_overdue": days, "overdue_since": iso_seconds(remittance["overdue_since"])}
    else:
        extra |= {"days_until_due": -days}
    return remittance_events.milestone(remittance, row, row["rank"], extra)


def _mark_overdue(work: UnitOfWork, late: Sequence[Row]) -> None:
    unmarked = [remittance for remittance in late if remittance["overdue_since"] is None]
    for remittance in unmarked:
        remittance["overdue_since"] = remittance["due_at"]
    ids = [remittance["id"] for remittance in unmarked]
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id.in_(ids), remittances.c.overdue_since.is_(None))
        .values(overdue_since=remittances.c.due_at)
    )
