"""Whether an endpoint is called: pause, resume, disable, enable, and a test on demand."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, update

from config.crash_points import C24_DISABLED, at
from dispatcher.endpoints import get
from dispatcher.examples import example_of
from dispatcher.health import Notice
from dispatcher.mailboxes import FOREVER, block, make_due, unblock
from dispatcher.states import DeliveryState, EndpointState, Trigger
from dispatcher.tables import deliveries, endpoints
from engine.errors import InvalidStatus
from engine.events import EventDraft, iso_seconds, record
from engine.ids import new_id
from engine.unit_of_work import UnitOfWork


def pause(
    work: UnitOfWork, endpoint_id: str, *, until: datetime | None = None, reason: str = "manual"
) -> dict[str, Any]:
    """Let deliveries wait, until an instant or until resumed, without burning attempts."""
    active, paused = EndpointState.ACTIVE, EndpointState.PAUSED
    _move(work, endpoint_id, source=active, target=paused, reason=reason, until=until)
    block(work.connection, endpoint_id, until or FOREVER)
    return get(work.connection, endpoint_id)


def resume(work: UnitOfWork, endpoint_id: str) -> dict[str, Any]:
    """Let a paused endpoint's deliveries flow again."""
    _move(work, endpoint_id, source=EndpointState.PAUSED, target=EndpointState.ACTIVE)
    unblock(work.connection, endpoint_id)
    return get(work.connection, endpoint_id)


def enable(work: UnitOfWork, endpoint_id: str) -> dict[str, Any]:
    """Call a disabled endpoint again; what was cancelled meanwhile can be replayed.

    Its failures are counted anew: the next one does not disable it again. The reconciler sends it
    the current state of every subject it missed (check K06).
    """
    _move(work, endpoint_id, source=EndpointState.DISABLED, target=EndpointState.ACTIVE)
    mine = endpoints.c.id == endpoint_id.lower()
    well = {"failing_since": None, "failing_attempts": 0, "failing_notices": Notice.NONE}
    work.connection.execute(update(endpoints).where(mine).values(enabled_at=work.now, **well))
    unblock(work.connection, endpoint_id)
    return get(work.connection, endpoint_id)


def disable(work: UnitOfWork, endpoint_id: str, *, reason: str = "manual") -> dict[str, Any]:
    """Stop calling an endpoint; its open deliveries are cancelled by the next drain."""
    row = get(work.connection, endpoint_id)
    if not disable_once(work.connection, row["id"], reason, work.now):
        raise InvalidStatus(
            "the endpoint is disabled already", current_status=row["state"], allowed=["enable"]
        )
    return get(work.connection, endpoint_id)


def disable_once(connection: Connection, endpoint_id: str, reason: str, now: datetime) -> bool:
    """Disable an endpoint unless it is, and tell its tenant's other endpoints, once."""
    changed = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.state != EndpointState.DISABLED)
        .where(endpoints.c.deleted_at.is_(None))
        .values(state=EndpointState.DISABLED, state_reason=reason, updated_at=now)
        .returning(endpoints.c.tenant_id)
    ).first()
    if changed is None:
        return False
    at(C24_DISABLED)
    # Due now, so that a drain cancels what is open.
    make_due(connection, endpoint_id, now)
    data = {"endpoint_id": endpoint_id, "reason": reason, "since": iso_seconds(now)}
    draft = EventDraft(
        tenant_id=changed.tenant_id, type="endpoint.disabled", data=data, raised_by="dispatcher"
    )
    record(connection, [draft], now)
    return True


def send_test(work: UnitOfWork, endpoint_id: str, type_name: str = "webhook.test") -> str:
    """Send an example of any known type to this endpoint alone and return the delivery's id.

    Raises UnknownEventType, or InvalidStatus for a disabled endpoint.
    """
    row = get(work.connection, endpoint_id)
    data = example_of(work.connection, type_name)
    if row["state"] == EndpointState.DISABLED:
        raise InvalidStatus(
            "the endpoint is disabled: what is sent to it is cancelled",
            current_status=row["state"],
            allowed=["enable"],
        )
    draft = EventDraft(
        tenant_id=row["tenant_id"],
        type=type_name,
        data={**data, "endpoint_id": row["id"]} if "endpoint_id" in data else data,
        subject_type="test",
        raised_by=work.actor,
    )
    record(work.connection, [draft], work.now, relayed=False)
    delivery_id = new_id()
    work.connection.execute(
        insert(deliveries).values(
            id=delivery_id,
            event_id=draft.id,
            endpoint_id=row["id"],
            tenant_id=row["tenant_id"],
            event=draft.type,
            state=DeliveryState.PENDING,
            trigger=Trigger.MANUAL,
            next_attempt_at=work.now,
            created_at=work.now,
        )
    )
    make_due(work.connection, row["id"], work.now)
    return delivery_id


def _move(
    work: UnitOfWork,
    endpoint_id: str,
    *,
    source: EndpointState,
    target: EndpointState,
    reason: str | None = None,
    until: datetime | None = None,
) -> None:
    row = get(work.connection, endpoint_id)
    moved = work.connection.execute(
        update(endpoints)
        .where(endpoints.c.id == row["id"], endpoints.c.state == source)
        .values(state=target, state_reason=reason, paused_until=until, updated_at=work.now)
    )
    if moved.rowcount != 1:
        raise InvalidStatus(
            f"the endpoint is {row['state']}, not {source}", current_status=row["state"]
        )
