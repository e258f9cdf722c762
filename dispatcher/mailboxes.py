"""Mailboxes: feed, lease and release.

No wake-up is lost: a lease sets ``due_at`` to null before the deliveries are read; the relay sets
it to now on every mailbox it feeds, leased or not; a release keeps the earlier of what it finds
there and the earliest delivery left. Rows are locked in the order of ``endpoint_id`` wherever
locks are waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, ScalarSelect, case, func, null, select, tuple_, update

from dispatcher.health import Health
from dispatcher.tables import deliveries, mailboxes
from engine.types import UtcTime

#: Longer than any database is kept: the mailbox waits until somebody lifts the block.
FOREVER = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to drain one mailbox for a while; ``token`` fences what is written under it."""

    endpoint_id: str
    token: int
    crashes: int
    suspect_delivery_id: str | None
    head_delivery_id: str | None
    health: Health


def feed(connection: Connection, endpoint_ids: Sequence[str], now: datetime) -> None:
    """Make mailboxes due now, or when their block ends."""
    if not endpoint_ids:
        return
    lock(connection, endpoint_ids)
    due_at = func.greatest(now, mailboxes.c.blocked_until, type_=UtcTime())
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id.in_(endpoint_ids))
        .values(due_at=func.least(mailboxes.c.due_at, due_at, type_=UtcTime()))
    )


def lock(connection: Connection, endpoint_ids: Sequence[str]) -> None:
    """Lock mailbox rows in the one order everybody uses (SQLite's writer has them all already)."""
    if connection.dialect.name == "sqlite":
        return
    ordered = (
        select(mailboxes.c.endpoint_id)
        .where(mailboxes.c.endpoint_id.in_(endpoint_ids))
        .order_by(mailboxes.c.endpoint_id)
    )
    connection.execute(ordered.with_for_update(key_share=True))


def lease(
    connection: Connection,
    *,
    worker: str,
    now: datetime,
    duration: timedelta,
    limit: int,
    endpoint_ids: Sequence[str] | None = None,
) -> list[Lease]:
    """Take up to ``limit`` mailboxes that are due or whose lease ran out, of those named or all."""
    due = mailboxes.c.lease_until.is_(None) & (mailboxes.c.due_at <= now)
    expired = mailboxes.c.lease_until < now
    taken: list[Lease] = []
    for wanted, order in ((expired, mailboxes.c.lease_until), (due, mailboxes.c.due_at)):
        chosen = select(mailboxes.c.endpoint_id).where(wanted)
        if endpoint_ids is not None:
            chosen = chosen.where(mailboxes.c.endpoint_id.in_(endpoint_ids))
        chosen = chosen.order_by(order).limit(limit - len(taken))
        taken += _take(connection, chosen.with_for_update(skip_locked=True), worker, now + duration)
        if len(taken) >= limit:
            break
    return taken


def _take(connection: Connection, chosen: Any, worker: str, until: datetime) -> list[Lease]:
    """Fence off the chosen mailboxes; one whose lease was still set had its holder die."""
    died = case((mailboxes.c.lease_until.is_not(None), 1), else_=0)
    statement = (
        update(mailboxes)
        .where(mailboxes.c.endpoint_id.in_(chosen.scalar_subquery()))
        .values(
            due_at=null(),
            lease_token=mailboxes.c.lease_token + 1,
            lease_until=until,
            leased_by=worker,
            crashes=mailboxes.c.crashes + died,
        )
        .returning(
            mailboxes.c.endpoint_id,
            mailboxes.c.lease_token,
            mailboxes.c.crashes,
            mailboxes.c.suspect_delivery_id,
            mailboxes.c.head_delivery_id,
            mailboxes.c.failures_in_row,
            mailboxes.c.circuit,
            mailboxes.c.circuit_openings,
            mailboxes.c.ramp_width,
        )
    )
    return [
        Lease(row[0], row[1], row[2], row[3], row[4], Health(*row[5:]))
        for row in connection.execute(statement)
    ]


def extend(connection: Connection, held: Lease, until: datetime) -> None:
    """Let a lease last longer, if it is still held."""
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id == held.endpoint_id)
        .where(mailboxes.c.lease_token == held.token, mailboxes.c.lease_until.is_not(None))
        .values(lease_until=until)
    )


def release(
    connection: Connection,
    leases: Sequence[tuple[str, int]],
    *,
    blocked_until: datetime | None = None,
    health: Health | None = None,
    tried: bool = True,
) -> dict[str, datetime | None]:
    """Give mailboxes back; return when each that was still ours is due: its earliest open delivery.

    ``leases`` are pairs of endpoint id and token. A mailbox fed meanwhile keeps the earlier mark.
    With ``blocked_until`` nothing is sent to it before then; ``health`` is what to remember.
    What was not ``tried`` says nothing of crashes: those before it still count.
    """
    if not leases:
        return {}
    remembered = {} if health is None else _health_columns(health)
    if tried:
        remembered |= {"crashes": 0, "suspect_delivery_id": null()}
    lock(connection, [endpoint_id for endpoint_id, _ in leases])
    blocked = func.greatest(mailboxes.c.blocked_until, blocked_until, type_=UtcTime())
    due_at = func.least(mailboxes.c.due_at, _earliest_delivery(), type_=UtcTime())
    done = connection.execute(
        update(mailboxes)
        .where(tuple_(mailboxes.c.endpoint_id, mailboxes.c.lease_token).in_(leases))
        .where(mailboxes.c.lease_until.is_not(None))
        .values(
            due_at=case((due_at.is_(None), null()), else_=func.greatest(due_at, blocked)),
            blocked_until=blocked,
            lease_until=null(),
            leased_by=null(),
            **remembered,
        )
        .returning(mailboxes.c.endpoint_id, mailboxes.c.due_at)
    )
    return {row.endpoint_id: row.due_at for row in done}


def _health_columns(health: Health) -> dict[str, Any]:
    return {
        "failures_in_row": health.failures_in_row,
        "circuit": health.circuit,
        "circuit_openings": health.openings,
        "ramp_width": health.ramp_width,
    }


def block(connection: Connection, endpoint_id: str, until: datetime) -> None:
    """Hold a mailbox back until an instant, when it is due; what is in flight still settles."""
    due_at = func.greatest(mailboxes.c.due_at, until, type_=UtcTime())
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id == endpoint_id)
        .values(blocked_until=until, due_at=due_at)
    )


def unblock(connection: Connection, endpoint_id: str) -> None:
    """Lift a block; the mailbox is due at its earliest open delivery."""
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id == endpoint_id)
        .values(blocked_until=null(), due_at=_earliest_delivery())
    )


def make_due(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Let a mailbox be looked at now, blocked or not."""
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id == endpoint_id)
        .values(blocked_until=null(), due_at=now)
    )


def _earliest_delivery() -> ScalarSelect[datetime]:
    """Return when the mailbox row at hand next has something to send."""
    return (
        select(func.min(deliveries.c.next_attempt_at))
        .where(deliveries.c.endpoint_id == mailboxes.c.endpoint_id)
        .where(deliveries.c.next_attempt_at.is_not(None))
        .scalar_subquery()
    )
