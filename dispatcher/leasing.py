"""From due mailboxes to work in hand: lease, look at the endpoint, read the first deliveries."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection, update
from sqlalchemy.exc import DBAPIError

from config.crash_points import C07_LEASED, at
from config.log import get_logger
from dispatcher.due import Due, endpoint_rows, first_slices, one
from dispatcher.facts import DeliveryParked, Emit, nowhere
from dispatcher.health import CircuitRules, Failing, Notice
from dispatcher.leased_mailbox import Mailbox
from dispatcher.mailboxes import FOREVER, Lease, extend, lease, release
from dispatcher.order import Ordering, arrange, blockers
from dispatcher.poison import CRASHES_MAX, park
from dispatcher.policies import Worth, event_policies, worth
from dispatcher.retry import RetryPolicy
from dispatcher.settlement import Deferral
from dispatcher.signer import Signer, open_signers
from dispatcher.states import DeliveryState, EndpointState
from dispatcher.subscriptions import matches
from dispatcher.tables import deliveries, endpoints
from engine.database import Database
from engine.errors import DatabaseUnavailable
from engine.sealing import KeyRing

log = get_logger("drain")

#: A mailbox whose secrets cannot be opened is looked at again after this.
SECRETS_WAIT = timedelta(seconds=60)
CANCELLED_PER_TRANSACTION = 1000


def lease_for(deadline_seconds: float) -> timedelta:
    """Return the deadline of an attempt and 15 s: the slice before it and the settling behind."""
    return timedelta(seconds=deadline_seconds + 15)


@dataclass(frozen=True, slots=True)
class DrainSettings:
    """How a worker drains: limits, deadlines and the default schedule."""

    worker: str
    policy: RetryPolicy
    deadline_seconds: float = 15.0
    circuit: CircuitRules = field(default_factory=CircuitRules)
    in_flight_max: int = 2000
    tenant_in_flight_max: int = 500
    host_in_flight_max: int = 500
    mailboxes_max: int = 1000
    slice_rows: int = 200
    #: Rows that one taking of mailboxes reads at most, so that the first call is soon made.
    taken_rows_max: int = 4000
    #: A drain takes nothing new after this, so that others get their turn and no lease is renewed.
    slice_seconds: float = 5.0

    @property
    def lease_duration(self) -> timedelta:
        """How long a lease lasts, unless the endpoint asks for a longer deadline."""
        return lease_for(self.deadline_seconds)

    def first_slice_rows(self, mailboxes: int) -> int:
        """Return how many rows of each mailbox are read when so many are taken together."""
        return max(1, min(self.slice_rows, self.taken_rows_max // max(1, mailboxes)))


def take_mailboxes(
    database: Database,
    keyring: KeyRing,
    settings: DrainSettings,
    *,
    now: datetime,
    limit: int,
    endpoint_ids: Sequence[str] | None = None,
    emit: Emit = nowhere,
    give_back: Callable[[Sequence[Lease]], None] = lambda _: None,
) -> tuple[list[Mailbox], int]:
    """Lease up to ``limit`` due mailboxes; return those to drain and how many were leased in all.

    A paused endpoint's mailbox goes back until the pause ends, and is due at once where it has; a
    disabled one's deliveries are cancelled. ``give_back`` hears of leases that the database failed
    to be read for.
    """
    with database.write() as connection:
        leases = lease(
            connection,
            worker=settings.worker,
            now=now,
            duration=settings.lease_duration,
            limit=limit,
            endpoint_ids=endpoint_ids,
        )
    if not leases:
        return [], 0
    at(C07_LEASED)
    try:
        ready = _read(database, keyring, settings, leases, now)
        _lengthen(database, ready, settings, now)
        _park_poison(database, ready, now, emit)
    except (DatabaseUnavailable, DBAPIError):
        # Whoever lets a lease run out is taken for dead, and what it tried for poison.
        give_back(leases)
        raise
    return ready, len(leases)


def _read(
    database: Database,
    keyring: KeyRing,
    settings: DrainSettings,
    leases: Sequence[Lease],
    now: datetime,
) -> list[Mailbox]:
    """Return what was leased with its first deliveries; what must not be drained goes back."""
    with database.read() as connection:
        rows = endpoint_rows(connection, [each.endpoint_id for each in leases])
        active = [row for row in rows.values() if row.state == EndpointState.ACTIVE]
        signers = open_signers(connection, keyring, active, now)
        slice_rows = settings.first_slice_rows(len(signers))
        slices = first_slices(connection, list(signers), now=now, rows=slice_rows)
        by_type = event_policies(connection)
        ready = []
        for each in leases:
            if each.endpoint_id in signers:
                row = rows[each.endpoint_id]
                mailbox = _mailbox(each, row, signers[each.endpoint_id], settings, by_type)
                _fill(connection, mailbox, slices[each.endpoint_id], slice_rows, now)
                ready.append(mailbox)
    for each in leases:
        if each.endpoint_id not in signers:
            _give_back(database, each, rows.get(each.endpoint_id), now)
    return ready


def _lengthen(
    database: Database, ready: Sequence[Mailbox], settings: DrainSettings, now: datetime
) -> None:
    """Let no lease end before a call that may take as long as its endpoint's own deadline."""
    longer = [each for each in ready if each.deadline_seconds > settings.deadline_seconds]
    if not longer:
        return
    with database.write() as connection:
        for mailbox in sorted(longer, key=lambda each: each.lease.endpoint_id):
            extend(connection, mailbox.lease, now + lease_for(mailbox.deadline_seconds))


def _park_poison(database: Database, ready: Sequence[Mailbox], now: datetime, emit: Emit) -> None:
    """Park the delivery each suspicious mailbox named before its last crash."""
    for mailbox in ready:
        suspect = mailbox.lease.suspect_delivery_id
        if suspect is not None and mailbox.suspicious and park(database, suspect, now):
            emit(DeliveryParked(delivery_id=suspect, reason="poison"))
            mailbox.queue = deque(due for due in mailbox.queue if due.delivery_id != suspect)


def arranged(
    connection: Connection, mailbox: Mailbox, dues: list[Due], now: datetime
) -> tuple[list[Due], list[Deferral]]:
    """Put a slice in the order its endpoint asks for; what must wait is moved behind its head."""
    if mailbox.ordering != Ordering.SUBJECT:
        return dues, []
    held = mailbox.lease
    attempt, behind = arrange(dues, blockers(connection, held.endpoint_id, dues))
    moved = [
        Deferral(due.delivery_id, held.endpoint_id, held.token, due.attempts, until, None, now)
        for due, until in behind
    ]
    return attempt, moved


def _fill(
    connection: Connection, mailbox: Mailbox, found: list[Due], rows: int, now: datetime
) -> None:
    """Give a mailbox its first slice; in strict order the head comes first, or nothing does."""
    mailbox.last = found[-1] if found else None
    mailbox.exhausted = len(found) < rows
    head_id = mailbox.lease.head_delivery_id
    if mailbox.ordering == Ordering.ENDPOINT and head_id is not None:
        head = one(connection, head_id)
        if head is not None and head.next_attempt_at > now:
            mailbox.blocked_until = head.next_attempt_at
            return
        if head is not None:
            found = [head, *(due for due in found if due.delivery_id != head_id)]
    attempts, mailbox.deferrals = arranged(connection, mailbox, found, now)
    mailbox.queue.extend(attempts)


def _end_pause(connection: Connection, endpoint_id: str, now: datetime) -> None:
    """Make an endpoint active whose pause is over: its mailbox fell due again."""
    connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.state == EndpointState.PAUSED)
        .where(endpoints.c.paused_until <= now)
        .values(state=EndpointState.ACTIVE, state_reason=None, paused_until=None, updated_at=now)
    )


def _mailbox(
    held: Lease,
    row: Any,
    signer: Signer,
    settings: DrainSettings,
    by_type: Mapping[str, Mapping[str, Any]],
) -> Mailbox:
    strict = row.ordering == Ordering.ENDPOINT or held.crashes >= CRASHES_MAX

    @cache
    def hears(event: str) -> bool:
        return any(matches(pattern, event) for pattern in row.events)

    @cache
    def worth_of(event: str) -> Worth:
        return worth(
            settings.policy,
            endpoint_schedule=row.retry_schedule,
            endpoint_within_seconds=row.deliver_within_seconds,
            event_policy=by_type.get(event),
        )

    return Mailbox(
        lease=held,
        url=row.url,
        host=host_of(row.url),
        tenant_id=row.tenant_id,
        profile=row.profile,
        signer=signer,
        max_in_flight=1 if strict else row.max_in_flight,
        rate_per_second=row.rate_per_second,
        deadline_seconds=row.deadline_seconds or settings.deadline_seconds,
        ordering=row.ordering,
        patience=timedelta(seconds=row.head_of_line_seconds),
        permanent_statuses=frozenset(row.permanent_statuses or ()),
        hears=hears,
        worth_of=worth_of,
        failing=Failing(row.failing_since, row.failing_attempts),
        told=Notice(row.failing_notices),
    )


@lru_cache(10_000)
def host_of(url: str) -> str:
    """Return the host whose callers share its cap; a URL that cannot be read has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # refused at the send; it must not stop the lease of its neighbours
        return ""


def _give_back(database: Database, held: Lease, row: Any, now: datetime) -> None:
    """Release a mailbox that must not be drained, and say until when."""
    blocked_until: datetime | None = None
    with database.write() as connection:
        if row is None or row.state == EndpointState.DISABLED:
            reason = "endpoint_deleted" if row is None or row.deleted_at else "endpoint_disabled"
            chosen = (
                deliveries.select()
                .with_only_columns(deliveries.c.id)
                .where(deliveries.c.endpoint_id == held.endpoint_id)
                .where(deliveries.c.next_attempt_at.is_not(None))
                .limit(CANCELLED_PER_TRANSACTION)
            )
            connection.execute(
                update(deliveries)
                .where(deliveries.c.id.in_(chosen.scalar_subquery()))
                .values(
                    state=DeliveryState.CANCELLED,
                    next_attempt_at=None,
                    last_error=reason,
                    settled_at=now,
                )
            )
        elif row.state == EndpointState.PAUSED:
            _end_pause(connection, held.endpoint_id, now)
            blocked_until = row.paused_until or FOREVER
        else:
            log.error("drain.blocked", endpoint_id=held.endpoint_id, reason="secret_unreadable")
            blocked_until = now + SECRETS_WAIT
        release(connection, [(held.endpoint_id, held.token)], blocked_until=blocked_until)
