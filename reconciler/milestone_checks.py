"""Due dates: milestones whose instant came, remittances without any, events that got lost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, select
from sqlalchemy import text as sql

from dispatcher import fan_out_gaps
from engine import milestone_healing, milestones
from engine.milestone_rules import PENDING
from engine.settlement_tables import milestones as rows
from engine.settlement_tables import remittances
from engine.tables import events
from engine.unit_of_work import UnitOfWork
from reconciler.callback_checks import RELAY_LATE, gap_finding, mend_gaps
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity, Tools

FINDINGS_MAX = 10_000
#: A remittance is looked at from so long before its due date on: its first milestone comes near.
LOOK_AHEAD = timedelta(days=3)
#: A sweep looks this far back for the events of milestones.
EMITTED_WITHIN = timedelta(days=7)
#: The words of the partial indexes: a parameter in their place would hide them from the planner.
_STILL_OWED = sql("remittances.status = 'pending'")
_EMITTED = sql("milestones.outcome = 'emitted'")


def _find_due(connection: Connection, scope: Scope) -> Found:
    """Find milestones whose instant came; remittances that have none, or are late unmarked."""
    due = milestones.due(connection, scope.as_of, FINDINGS_MAX)
    findings = [
        Finding(
            f"{row['subject_type']} {row['subject_id']}",
            expected=f"{row['event']} at {row['code']}",
            actual=PENDING,
            key=row["id"],
        )
        for row in due
    ]
    bare = _owed(connection, scope, ~_scheduled(), ahead=LOOK_AHEAD)
    findings += [_owed_finding("schedule", "milestones", row) for row in bare]
    overdue = rows.c.event == "remittance.overdue"
    unmarked = remittances.c.overdue_since.is_(None) & _scheduled(overdue)
    coming = _scheduled(overdue, rows.c.outcome == PENDING)
    late = _owed(connection, scope, unmarked & ~coming)
    findings += [_owed_finding("overdue", "overdue_since", row) for row in late]
    return Found(len(due) + len(bare) + len(late), findings)


def _scheduled(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return whether a remittance has milestones, such as these, of its present schedule."""
    return exists().where(
        rows.c.subject_id == remittances.c.id,
        rows.c.schedule_version == remittances.c.schedule_version,
        *conditions,
    )


def _owed(
    connection: Connection,
    scope: Scope,
    wanted: ColumnElement[bool],
    ahead: timedelta = timedelta(),
) -> list[dict[str, Any]]:
    """Return what is owed, due by then, and ``wanted``: in a sweep all, else what came due since.

    What stands open is looked at again, whenever it was due.
    """
    due: ColumnElement[bool] = remittances.c.due_at <= scope.as_of + ahead
    if scope.since is not None:
        due &= remittances.c.due_at >= scope.since + ahead
    again = [key[1] for key in scope.again]
    chosen = due | remittances.c.id.in_(again) if again else due
    query = select(remittances).where(_STILL_OWED, chosen, wanted).limit(SLICE_ROWS)
    return [dict(row) for row in connection.execute(query).mappings()]


def _owed_finding(lacking: str, expected: str, row: dict[str, Any]) -> Finding:
    return Finding(
        f"remittance {row['id']}, {lacking}",
        expected=expected,
        actual="none",
        key=[lacking, row["id"]],
        severity=Severity.ERROR,
        tenant_id=row["payer_id"],
        amount_minor=row["amount_minor"],
        currency=row["currency"],
    )


def _emit(work: UnitOfWork, findings: Sequence[Finding], scope: Scope) -> list[Finding]:
    """Give each milestone its one outcome; two schedulers cannot both, nor both count it."""
    ids = [each.key for each in findings if not isinstance(each.key, list)]
    _, mine = milestones.decide(work, ids, scope.as_of)
    made = milestone_healing.schedule_missing(work, _keys(findings, "schedule"), scope.as_of)
    marked = milestone_healing.mark_overdue(work, _keys(findings, "overdue"))
    done = mine | {("schedule", key) for key in made} | {("overdue", key) for key in marked}
    return [each for each in findings if _hashable(each.key) in done]


def _keys(findings: Iterable[Finding], kind: str) -> list[str]:
    return [each.key[1] for each in findings if isinstance(each.key, list) and each.key[0] == kind]


def _hashable(key: Any) -> Any:
    return tuple(key) if isinstance(key, list) else key


def _find_untold(connection: Connection, scope: Scope) -> Found:
    """Find milestones that say they were emitted without an event, or whose event went nowhere."""
    horizon = scope.now - EMITTED_WITHIN
    since = max(scope.since or horizon, horizon)
    recent = and_(_EMITTED, rows.c.outcome_at >= since)
    again = {key[0] for key in scope.again}
    chosen = recent | rows.c.id.in_(again) if again else recent
    found = connection.execute(_with_event().where(chosen).limit(FINDINGS_MAX)).all()
    findings = [_untold_finding(row) for row in found if row.raised_id is None]
    raised = {row.raised_id: row for row in found if row.raised_id is not None}
    mine = events.c.id.in_(list(raised))
    gaps = fan_out_gaps.missing(connection, mine, scope.now - RELAY_LATE, SLICE_ROWS)
    for gap in gaps:
        finding = gap_finding(gap)
        milestone_id = raised[gap.event_id].id
        findings.append(
            Finding(
                finding.subject,
                finding.expected,
                finding.actual,
                key=[milestone_id, *finding.key],
            )
        )
    return Found(len(found), findings)


def _with_event() -> Select[Any]:
    columns = (rows.c.id, rows.c.code, rows.c.event, rows.c.recipient_tenant_id)
    return (
        select(*columns, events.c.id.label("raised_id"))
        .outerjoin_from(rows, events, events.c.id == rows.c.event_id)
        .order_by(rows.c.outcome_at, rows.c.id)
    )


def _untold_finding(row: Any) -> Finding:
    return Finding(
        f"milestone {row.id}",
        expected=f"{row.event} at {row.code}",
        actual="no event",
        key=[row.id],
        tenant_id=row.recipient_tenant_id,
    )


def _raise_again(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Raise what each milestone should have raised, with the key it would have had."""
    ids = [each.key[0] for each in findings if len(each.key) == 1]
    raised = milestone_healing.raise_again(work, ids)
    return [each for each in findings if each.key[0] in raised]


def _mend_gaps(tools: Tools, findings: Sequence[Finding], scope: Scope) -> None:
    gaps = [each for each in findings if len(each.key) > 1]
    mend_gaps(tools, [Finding(each.subject, key=each.key[1:]) for each in gaps], scope)


MILESTONES_DUE = Check(
    id="K10",
    title="Due dates: due, overdue, and without a schedule",
    compares="the instants of pending milestones with the clock, and what is owed with its schedule"
    " and its overdue flag",
    remedy="each milestone gets its one outcome and raises its event; what is missing is made",
    severity=Severity.ROUTINE,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find_due,
    heal=_emit,
    incremental=True,
)
MILESTONES_TOLD = Check(
    id="K11",
    title="Milestones whose event got lost",
    compares="milestones that were emitted with their events, and these with their deliveries",
    remedy="the event is raised with the key it would have had, the missing delivery inserted",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=600,
    find=_find_untold,
    heal=_raise_again,
    mend=_mend_gaps,
    incremental=True,
)
