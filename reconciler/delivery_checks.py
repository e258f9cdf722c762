"""Callbacks that ended badly: endpoints that are behind a subject, and deliveries that are dead."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, String, cast, exists, func, or_, select
from sqlalchemy import text as sql

from dispatcher import resync
from dispatcher.states import DeliveryState, EndpointState
from dispatcher.tables import deliveries, endpoints, subscriptions
from engine import order_healing
from engine.events import EventDraft, iso_seconds
from engine.tables import events, outbox
from engine.unit_of_work import UnitOfWork
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity
from reconciler.cursors import place_of, text_of

#: The words of the partial index: a parameter in their place would hide it from the planner.
_ENDED_BADLY = sql("deliveries.state IN ('failed', 'cancelled')")
_DEAD = sql("deliveries.state IN ('failed', 'cancelled') AND deliveries.state = 'failed'")
#: Nothing is missed where the receiver, or what the event was worth, ended the delivery.
NOT_MISSED = ("aborted_by_receiver", "expired")
#: Dead deliveries older than this are history.
DEAD_WITHIN = timedelta(days=7)


def _find_behind(connection: Connection, scope: Scope) -> Found:
    """Find endpoints whose newest delivery of a subject is older than the newest there is."""
    settled, after = deliveries.c.settled_at, place_of(scope.after)
    query = _ended().where(_recent(connection, scope))
    if after is not None:
        at, last_id = after
        query = query.where(or_(settled > at, (settled == at) & (deliveries.c.id > last_id)))
    rows = connection.execute(query.order_by(settled, deliveries.c.id).limit(SLICE_ROWS)).all()
    end = (rows[-1].settled_at, rows[-1].id) if len(rows) == SLICE_ROWS else None
    looked = [*rows, *(_standing(connection, scope) if scope.after is None else ())]
    return Found(len(looked), _behind(looked), text_of(end))


def _recent(connection: Connection, scope: Scope) -> ColumnElement[bool]:
    """Return what ended since the last look; what an endpoint that came back missed, all of it."""
    settled = deliveries.c.settled_at
    if scope.since is None:
        return settled <= scope.now
    came_back = endpoints.c.enabled_at >= scope.since
    if connection.execute(select(endpoints.c.id).where(came_back).limit(1)).first() is None:
        return settled >= scope.since
    return or_(settled >= scope.since, came_back)


def _standing(connection: Connection, scope: Scope) -> list[Any]:
    """Look again at the pairs of endpoint and subject that stand open."""
    known = {tuple(key[:2]) for key in scope.again}
    if not known:
        return []
    query = _ended().where(events.c.subject_id.in_({subject_id for _, subject_id in known}))
    rows = connection.execute(query).all()
    return [row for row in rows if (row.endpoint_id, row.subject_id) in known]


def _ended() -> Select[Any]:
    """Choose what ended badly with nothing as new delivered, on its way, or in the outbox."""
    newer, other = events.alias(), deliveries.alias()
    same = (newer.c.subject_id == events.c.subject_id) & (newer.c.tenant_id == events.c.tenant_id)
    later = same & (newer.c.sequence >= events.c.sequence)
    made = select(newer.c.id).join(other, other.c.event_id == newer.c.id)
    arrived = made.where(
        later,
        other.c.endpoint_id == deliveries.c.endpoint_id,
        or_(other.c.state == DeliveryState.SUCCEEDED, other.c.next_attempt_at.is_not(None)),
    )
    waits = select(newer.c.id).join(outbox, outbox.c.event_id == newer.c.id).where(later)
    heard = (subscriptions.c.endpoint_id == deliveries.c.endpoint_id) & (
        subscriptions.c.event_type == events.c.type
    )
    return (
        select(
            deliveries.c.id,
            deliveries.c.settled_at,
            deliveries.c.endpoint_id,
            events.c.id.label("event_id"),
            events.c.tenant_id,
            events.c.subject_type,
            events.c.subject_id,
            events.c.sequence,
            events.c.dedupe_key,
            endpoints.c.failing_since,
            endpoints.c.enabled_at,
        )
        .join_from(deliveries, events, events.c.id == deliveries.c.event_id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(_ENDED_BADLY, endpoints.c.state == EndpointState.ACTIVE)
        .where(endpoints.c.deleted_at.is_(None), exists().where(heard))
        # What has no subject but itself has no newer version.
        .where(events.c.subject_id != cast(events.c.id, String), events.c.subject_type != "test")
        .where(func.coalesce(deliveries.c.last_error, "").not_in(NOT_MISSED))
        .where(~arrived.exists(), ~waits.exists())
    )


def _behind(rows: Iterable[Any]) -> list[Finding]:
    """Return one finding for each endpoint and subject, of its newest version."""
    newest: dict[tuple[str, str], Any] = {}
    for row in sorted(rows, key=lambda row: (row.sequence, row.event_id)):
        newest[row.endpoint_id, row.subject_id] = row
    return [
        Finding(
            f"endpoint {row.endpoint_id}, {row.subject_type} {row.subject_id}",
            expected={"delivered_sequence": row.sequence},
            actual="older",
            key=[row.endpoint_id, row.subject_id, row.event_id],
            tenant_id=row.tenant_id,
            **_who_heals(row),
        )
        for row in newest.values()
    ]


def _who_heals(row: Any) -> dict[str, Any]:
    """Return severity and policy: what was missed while disabled is work, no defect.

    A receiver that does not answer, or refused the present state once, is not told for ever.
    """
    if row.enabled_at is not None and row.settled_at <= row.enabled_at:
        return {"severity": Severity.ROUTINE}
    if row.failing_since is not None or (row.dedupe_key or "").startswith(resync.PREFIX):
        return {"severity": Severity.WARNING, "policy": Policy.SUGGEST}
    return {}


def _tell(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Tell each endpoint the present state of what it missed, once per version."""
    told = []
    for finding in findings:
        endpoint_id, _, event_id = finding.key
        query = select(events).where(events.c.id == event_id)
        event = dict(work.connection.execute(query).mappings().one())
        draft = _present(work, event)
        sent_id = None if draft is None else resync.send(work, endpoint_id, draft)
        if sent_id is not None:
            told.append(replace(finding, reference=f"event {sent_id}"))
    return told


def _present(work: UnitOfWork, event: dict[str, Any]) -> EventDraft | None:
    """Return what says the subject's present state; None where its words are no longer kept."""
    if event["subject_type"] == "chain_order":
        order_id, tenant_id = event["subject_id"], event["tenant_id"]
        draft = order_healing.current(work.connection, order_id, tenant_id, event["type"])
        if draft is not None:
            return replace(draft, data=resync.marked(orjson.dumps(draft.data)))
    return resync.repeated(event, raised_by=work.actor) if event["body"] else None


def _find_dead(connection: Connection, scope: Scope) -> Found:
    """Count the deliveries of each endpoint that died, where any did since the last look."""
    horizon = scope.now - DEAD_WITHIN
    since = max(scope.since or horizon, horizon)
    recent = select(deliveries.c.endpoint_id).where(_DEAD, deliveries.c.settled_at >= since)
    wanted = {*connection.execute(recent.distinct()).scalars(), *scope.again}
    counts = (
        select(
            deliveries.c.endpoint_id,
            deliveries.c.tenant_id,
            func.count().label("dead"),
            func.max(deliveries.c.settled_at).label("newest"),
        )
        .where(_DEAD, deliveries.c.endpoint_id.in_(wanted), deliveries.c.settled_at >= horizon)
        .group_by(deliveries.c.endpoint_id, deliveries.c.tenant_id)
        .order_by(deliveries.c.endpoint_id)
    )
    findings = [
        Finding(
            f"endpoint {row.endpoint_id}",
            expected={"dead_deliveries": 0},
            actual={"dead_deliveries": row.dead, "newest": iso_seconds(row.newest)},
            key=row.endpoint_id,
            tenant_id=row.tenant_id,
        )
        for row in connection.execute(counts)
    ]
    return Found(sum(each.actual["dead_deliveries"] for each in findings), findings)


ENDPOINTS_CURRENT = Check(
    id="K06",
    title="Endpoints that are behind a subject",
    compares="the newest sequence of each subject that reached an endpoint with the newest one",
    remedy="the present state of the subject is sent, marked resync; a receiver that refuses it"
    " too is replayed by hand: tillbell deliveries replay ID",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=900,
    find=_find_behind,
    heal=_tell,
    incremental=True,
)
DELIVERIES_DEAD = Check(
    id="K09",
    title="Deliveries that were given up",
    compares="the deliveries of each endpoint in the last seven days with the schedule's end",
    remedy="in bulk, by hand: tillbell replays create --state failed --endpoint ID --reason WHY",
    severity=Severity.WARNING,
    policy=Policy.SUGGEST,
    every_seconds=3600,
    find=_find_dead,
    incremental=True,
)
