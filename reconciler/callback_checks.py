"""Callbacks on their way: events not fanned out, mailboxes whose wake-up or holder was lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, func, select, update

from dispatcher import fan_out_gaps
from dispatcher.fan_out_gaps import Gap
from dispatcher.hints import in_batches
from dispatcher.tables import deliveries, mailboxes
from engine.tables import events, outbox
from engine.types import UtcTime
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity, Tools
from reconciler.cursors import place_of, text_of

#: The relay is late, and a due mailbox forgotten, after this.
RELAY_LATE = timedelta(seconds=60)
DRAIN_LATE = timedelta(minutes=5)
#: A sweep looks this far back for deliveries that were never made.
EXPANDED_WITHIN = timedelta(days=1)
EVENTS_PER_SLICE = 5 * SLICE_ROWS


def _find_unrelayed(connection: Connection, scope: Scope) -> Found:
    """Find what waits in the outbox too long, and what left it without a delivery due to it."""
    until = scope.now - RELAY_LATE
    since = max(scope.since or until - EXPANDED_WITHIN, until - EXPANDED_WITHIN)
    chosen, scanned, end = fan_out_gaps.slice_of(
        connection, since, place_of(scope.after), until, EVENTS_PER_SLICE
    )
    gaps = fan_out_gaps.missing(connection, chosen, until, SLICE_ROWS)
    findings = [gap_finding(gap) for gap in gaps]
    if scope.after is None:
        waiting, late = _waiting(connection, scope)
        scanned += waiting
        findings = late + findings + _standing_gaps(connection, scope, set(gaps))
    return Found(scanned, findings, text_of(end))


def gap_finding(gap: Gap) -> Finding:
    """Return the finding of an event that an endpoint should have been sent."""
    return Finding(
        f"event {gap.event_id} for endpoint {gap.endpoint_id}",
        expected="a delivery",
        actual="none",
        key=[gap.event_id, gap.endpoint_id],
    )


def mend_gaps(tools: Tools, findings: Sequence[Finding], scope: Scope) -> None:
    """Insert the deliveries that are missing, and wake whom they are for."""
    gaps = [Gap(*finding.key) for finding in findings]
    with tools.database.write() as connection:
        called = fan_out_gaps.fill(connection, gaps, scope.now)
    for batch in in_batches(called):
        tools.hints.drain(batch)


def _waiting(connection: Connection, scope: Scope) -> tuple[int, list[Finding]]:
    late = outbox.c.created_at < scope.now - RELAY_LATE
    scanned = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
    oldest = select(outbox).where(late).order_by(outbox.c.event_id).limit(SLICE_ROWS)
    return scanned, [
        Finding(f"event {row.event_id}", "fanned out", "in the outbox", row.event_id)
        for row in connection.execute(oldest)
    ]


def _standing_gaps(connection: Connection, scope: Scope, found: set[Gap]) -> list[Finding]:
    """Look again at the gaps that stand open, however old."""
    keys = [key for key in scope.again if isinstance(key, list)]
    if not keys:
        return []
    known = {Gap(*key) for key in keys}
    chosen = events.c.id.in_({gap.event_id for gap in known})
    left = fan_out_gaps.missing(connection, chosen, scope.now, SLICE_ROWS)
    return [gap_finding(gap) for gap in left if gap in known - found]


def _mend_unrelayed(tools: Tools, findings: Sequence[Finding], scope: Scope) -> None:
    """Fan out here and now: the relay's claim keeps two from doing it twice."""
    waiting = [finding for finding in findings if not isinstance(finding.key, list)]
    if waiting:
        tools.relay.run_once(len(waiting))
    mend_gaps(tools, [finding for finding in findings if isinstance(finding.key, list)], scope)


def _find_forgotten(connection: Connection, scope: Scope) -> Found:
    """Find expired leases, mailboxes long due, and open deliveries no mailbox will wake for."""
    late = scope.now - DRAIN_LATE
    free = mailboxes.c.lease_until.is_(None)
    findings = []
    if scope.after is None:
        expired = mailboxes.c.lease_until < scope.now
        findings += _forgotten(connection, expired, "lease expired")
        findings += _forgotten(connection, free & (mailboxes.c.due_at < late), "due and forgotten")
    open_ones = _with_open_deliveries(connection, scope.after)
    sleeping = [row.endpoint_id for row in open_ones if row.asleep]
    waiting = deliveries.c.endpoint_id.in_(sleeping) & (deliveries.c.next_attempt_at <= late)
    woken = select(deliveries.c.endpoint_id).where(waiting)
    findings += _forgotten(connection, mailboxes.c.endpoint_id.in_(woken), "due and forgotten")
    more = len(open_ones) == SLICE_ROWS
    end = open_ones[-1].endpoint_id if more else None
    return Found(len(open_ones) + len(findings), findings, end)


def _forgotten(connection: Connection, wanted: ColumnElement[bool], actual: str) -> list[Finding]:
    query = select(mailboxes.c.endpoint_id).where(wanted).order_by(mailboxes.c.endpoint_id)
    return [
        Finding(
            f"mailbox {endpoint_id}",
            expected="leased or not due",
            actual=actual,
            key=endpoint_id,
        )
        for endpoint_id in connection.execute(query.limit(SLICE_ROWS)).scalars()
    ]


def _with_open_deliveries(connection: Connection, after: str | None) -> Sequence[Any]:
    """Return the next endpoints that have open deliveries, and whether their mailbox is asleep.

    Each costs two index probes; mailboxes with nothing open, most of them at any time, cost none.
    """

    def next_behind(bound: Any) -> ScalarSelect[str]:
        each = deliveries.alias().c
        query = select(each.endpoint_id).where(each.next_attempt_at.is_not(None))
        if bound is not None:
            query = query.where(each.endpoint_id > bound)
        return query.order_by(each.endpoint_id).limit(1).scalar_subquery()

    walk = select(next_behind(after).label("endpoint_id")).cte("walk", recursive=True)
    step = select(next_behind(walk.c.endpoint_id)).where(walk.c.endpoint_id.is_not(None))
    walk = walk.union_all(step)
    free = mailboxes.c.lease_until.is_(None) & mailboxes.c.due_at.is_(None)
    asleep = select(free).where(mailboxes.c.endpoint_id == walk.c.endpoint_id).scalar_subquery()
    query = select(walk.c.endpoint_id, asleep.label("asleep"))
    return connection.execute(query.where(walk.c.endpoint_id.is_not(None)).limit(SLICE_ROWS)).all()


def _mend_forgotten(tools: Tools, findings: Sequence[Finding], scope: Scope) -> None:
    """Make what sleeps due again and hint it all; the lease keeps two from draining it."""
    ids = [finding.key for finding in findings]
    wake_at = func.greatest(scope.now, mailboxes.c.blocked_until, type_=UtcTime())
    with tools.database.write() as connection:
        connection.execute(
            update(mailboxes)
            .where(mailboxes.c.endpoint_id.in_(ids), mailboxes.c.lease_until.is_(None))
            .where(mailboxes.c.due_at.is_(None))
            .values(due_at=wake_at)
        )
    for batch in in_batches(ids):
        tools.hints.drain(batch)


EVENTS_RELAYED = Check(
    id="K07",
    title="Events that were not fanned out",
    compares="the outbox with the minute the relay has, and events with the deliveries due to"
    " the endpoints that were subscribed then",
    remedy="the events are fanned out here and now, the missing deliveries inserted",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=60,
    find=_find_unrelayed,
    mend=_mend_unrelayed,
    incremental=True,
)
MAILBOXES_AWAKE = Check(
    id="K08",
    title="Expired leases and lost hints",
    compares="leases, wake-ups and due deliveries of every mailbox with the clock",
    remedy="the mailbox is made due and hinted",
    severity=Severity.WARNING,
    policy=Policy.AUTO,
    every_seconds=10,
    find=_find_forgotten,
    mend=_mend_forgotten,
)
