"""Callbacks: events not fanned out, mailboxes whose wake-up or holder was lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, exists, func, or_, select, update

from dispatcher.hints import in_batches
from dispatcher.tables import deliveries, mailboxes
from engine.tables import outbox
from engine.types import UtcTime
from reconciler.check import Check, Finding, Found, Scope, Severity, Tools

#: The relay is late, and a due mailbox forgotten, after this (domain.md K07, K08).
RELAY_LATE = timedelta(seconds=60)
DRAIN_LATE = timedelta(minutes=5)
FINDINGS_MAX = 1000


def _find_unrelayed(connection: Connection, scope: Scope) -> Found:
    late = outbox.c.created_at < scope.now - RELAY_LATE
    scanned = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
    oldest = select(outbox).where(late).order_by(outbox.c.event_id).limit(FINDINGS_MAX)
    rows = connection.execute(oldest).all()
    return Found(
        scanned,
        [
            Finding(f"event {row.event_id}", "fanned out", "in the outbox", row.event_id)
            for row in rows
        ],
    )


def _mend_unrelayed(tools: Tools, findings: Sequence[Finding], _scope: Scope) -> None:
    """Fan out here and now: the relay's claim keeps two from doing it twice."""
    tools.relay.run_once(len(findings))


def _find_forgotten(connection: Connection, scope: Scope) -> Found:
    """Find expired leases, mailboxes long due, and open deliveries no mailbox will wake for."""
    late = scope.now - DRAIN_LATE
    free = mailboxes.c.lease_until.is_(None)
    asleep = free & mailboxes.c.due_at.is_(None)
    waiting = exists().where(
        deliveries.c.endpoint_id == mailboxes.c.endpoint_id,
        deliveries.c.next_attempt_at <= late,
    )
    wanted = or_(
        mailboxes.c.lease_until < scope.now, free & (mailboxes.c.due_at < late), asleep & waiting
    )
    scanned = connection.execute(select(func.count()).select_from(mailboxes)).scalar_one()
    chosen = select(mailboxes).where(wanted).order_by(mailboxes.c.endpoint_id)
    rows = connection.execute(chosen.limit(FINDINGS_MAX)).all()
    return Found(
        scanned,
        [
            Finding(
                f"mailbox {row.endpoint_id}",
                expected="leased or not due",
                actual="lease expired" if row.lease_until else "due and forgotten",
                key=row.endpoint_id,
            )
            for row in rows
        ],
    )


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
    severity=Severity.WARNING,
    every_seconds=60,
    find=_find_unrelayed,
    mend=_mend_unrelayed,
)
MAILBOXES_AWAKE = Check(
    id="K08",
    title="Expired leases and lost hints",
    severity=Severity.WARNING,
    every_seconds=10,
    find=_find_forgotten,
    mend=_mend_forgotten,
)
