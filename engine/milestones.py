"""Milestones of remittances: rows that reach exactly one outcome.

``pending`` becomes ``emitted``, ``superseded`` or ``cancelled`` by one guarded update, in the
transaction that raises the event. Whoever looks decides nothing: the row and its instant do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from config.crash_points import C17_MILESTONE_WRITTEN, at
from engine import remittance_events
from engine.due_dates import days_past, firings
from engine.errors import NotFound
from engine.events import EventDraft, iso_seconds
from engine.ids import new_id
from engine.ladders import OVERDUE, ladder_of
from engine.milestone_rules import CANCELLED, EMITTED, PENDING, SUPERSEDED, is_late, judge
from engine.settlement_tables import milestones, remittances
from engine.unit_of_work import UnitOfWork

BATCH_MAX = 1000

Row = dict[str, Any]


def schedule(work: UnitOfWork, owed: Iterable[Mapping[str, Any]]) -> None:
    """Insert the milestones of remittances in the transaction that makes or reschedules them."""
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
        for firing in firings(
            remittance["due_date"], remittance["due_tz"], ladder_of(remittance["ladder"])
        )
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
    return decide(work, milestone_ids, as_of)[0]


def decide(
    work: UnitOfWork, milestone_ids: Sequence[str], as_of: datetime
) -> tuple[dict[str, str], set[str]]:
    """Do what ``emit_many`` does; return all outcomes, and the ids that had none before."""
    wanted = set(milestone_ids)
    subjects = {row["subject_id"] for row in _rows(work.connection, milestones.c.id.in_(wanted))}
    # The remittance first: paying one locks it before its milestones too.
    owed = _lock_remittances(work.connection, subjects)
    series = _series(work.connection, owed)
    outcomes: dict[str, str] = {}
    mine: set[str] = set()
    decided: dict[str, list[Row]] = {EMITTED: [], SUPERSEDED: [], CANCELLED: [], PENDING: []}
    for subject_id, siblings in series.items():
        for row in siblings:
            if row["id"] in wanted:
                outcomes[row["id"]] = row["outcome"]
                if row["outcome"] == PENDING:
                    decided[judge(row, siblings, owed[subject_id], as_of)].append(row)
    for outcome in (SUPERSEDED, CANCELLED, EMITTED):
        settled = _settle(work, decided[outcome], outcome)
        outcomes.update(dict.fromkeys(settled, outcome))
        mine.update(settled)
    emitted = [row for row in decided[EMITTED] if outcomes[row["id"]] == EMITTED]
    for row in emitted:
        row["late"] = is_late(row, series[row["subject_id"]], owed[row["subject_id"]], as_of)
    _raise(work, emitted, owed, as_of)
    at(C17_MILESTONE_WRITTEN)
    return outcomes, mine


def drafts_of(work: UnitOfWork, emitted: Sequence[Row]) -> list[Row]:
    """Return emitted milestones, each with the ``draft`` of the event its emission raised."""
    owed = _lock_remittances(work.connection, {row["subject_id"] for row in emitted})
    series = _series(work.connection, owed)
    late = {row["subject_id"] for row in emitted if row["event"] == OVERDUE}
    _mark_overdue(work, [owed[subject_id] for subject_id in sorted(late)])
    wanted = {row["id"] for row in emitted}
    found = [row for rows in series.values() for row in rows if row["id"] in wanted]
    for row in found:
        remittance, as_of = owed[row["subject_id"]], row["outcome_at"]
        row["late"] = is_late(row, series[row["subject_id"]], remittance, as_of)
        row["draft"] = _draft(row, remittance, as_of)
    return found


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


def _series(connection: Connection, owed: Mapping[str, Row]) -> dict[str, list[Row]]:
    """Return every milestone of each remittance, oldest first, with its rank in its schedule."""
    series: dict[str, list[Row]] = {}
    ranks: Counter[tuple[str, int]] = Counter()
    for row in _rows(connection, milestones.c.subject_id.in_(owed)):
        series.setdefault(row["subject_id"], []).append(row)
        row["rank"] = ranks[row["subject_id"], row["schedule_version"]]
        ranks[row["subject_id"], row["schedule_version"]] += 1
    return series


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
    cutoff = ladder_of(remittance["ladder"]).cutoff
    days = days_past(remittance["due_date"], as_of, remittance["due_tz"], cutoff)
    extra: dict[str, Any] = {"late": row["late"]}
    if row["event"] == OVERDUE:
        extra |= {"days_overdue": days, "overdue_since": iso_seconds(remittance["overdue_since"])}
    else:
        extra |= {"days_until_due": -days}
    return remittance_events.milestone(remittance, row, row["rank"], extra)


def _mark_overdue(work: UnitOfWork, late: Sequence[Row]) -> None:
    unmarked = [remittance for remittance in late if remittance["overdue_since"] is None]
    if not unmarked:
        return
    for remittance in unmarked:
        remittance["overdue_since"] = remittance["due_at"]
    ids = [remittance["id"] for remittance in unmarked]
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id.in_(ids), remittances.c.overdue_since.is_(None))
        .values(overdue_since=remittances.c.due_at)
    )
