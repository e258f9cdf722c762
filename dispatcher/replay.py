"""Send deliveries again: the same ones with the same id and bytes, or copies under new ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, select, update

from dispatcher.replay_selection import is_settled
from dispatcher.retention import body_kept
from dispatcher.states import OPEN_STATES, DeliveryState, EndpointState, Trigger
from dispatcher.tables import deliveries, endpoints
from engine.events import copy_of, record
from engine.ids import new_id
from engine.tables import events
from engine.upserts import bulk_insert


def arm(
    connection: Connection,
    delivery_ids: Sequence[str],
    now: datetime,
    *,
    wanted: ColumnElement[bool] | None = None,
) -> int:
    """Make deliveries due now and return how many; ``wanted`` must still hold of each.

    A delivery still waiting for a retry is attempted now, on top of its schedule, or an operator
    who asks often would end it; a settled one begins its schedule anew. Those of disabled
    endpoints are left alone, and those whose body retention removed. The caller has fed their
    mailboxes before: mailboxes are locked first, wherever both are.
    """
    guard = deliveries.c.id.in_(delivery_ids) & _called()
    if wanted is not None:
        guard &= wanted
    # What another transaction holds is being settled at this moment: it need not be waited for.
    free = select(deliveries.c.id, deliveries.c.event_id).where(guard)
    rows = connection.execute(free.with_for_update(skip_locked=True)).all()
    sendable = _with_body(connection, {row.event_id for row in rows})
    ids = [row.id for row in rows if row.event_id in sendable]
    waits = deliveries.c.state.in_(OPEN_STATES)
    # Once for an attempt: armed twice before it is made, it is still one.
    scheduled = deliveries.c.trigger == Trigger.SCHEDULED
    on_top = (deliveries.c.state == DeliveryState.RETRYING) & scheduled
    armed = connection.execute(
        update(deliveries)
        .where(deliveries.c.id.in_(ids))
        .values(
            state=case((waits, deliveries.c.state), else_=DeliveryState.PENDING),
            attempts_before=case(
                (on_top, deliveries.c.attempts_before + 1),
                (waits, deliveries.c.attempts_before),
                else_=deliveries.c.attempts,
            ),
            next_attempt_at=now,
            trigger=Trigger.MANUAL,
            settled_at=None,
        )
    )
    return armed.rowcount


def copy(
    connection: Connection, delivery_ids: Sequence[str], now: datetime, *, created_at: datetime
) -> int:
    """Publish what settled deliveries sent as new events, each for its endpoint alone.

    Type, data, subject and sequence are the same, the id is new, and ``raised_by`` names the event
    it repeats. What is still on its way is left alone: a copy would double it. Returns how many.
    """
    query = (
        select(events, deliveries.c.endpoint_id)
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(deliveries.c.id.in_(delivery_ids), is_settled(), _called(), body_kept())
        .order_by(deliveries.c.id)
    )
    rows = connection.execute(query).mappings().all()
    drafts = [copy_of(dict(row), raised_by=f"replay {row['id']}") for row in rows]
    record(connection, drafts, now, relayed=False)
    made = [
        {
            "id": new_id(),
            "event_id": draft.id,
            "endpoint_id": row["endpoint_id"],
            "tenant_id": draft.tenant_id,
            "event": draft.type,
            "state": DeliveryState.PENDING,
            "trigger": Trigger.MANUAL,
            "next_attempt_at": now,
            "created_at": created_at,
        }
        for draft, row in zip(drafts, rows, strict=True)
    ]
    if made:
        bulk_insert(connection, deliveries, made)
    return len(made)


def _with_body(connection: Connection, event_ids: set[str]) -> set[str]:
    """Return the events that retention has left their body, and keep it from removing that now."""
    kept = select(events.c.id).where(events.c.id.in_(event_ids), body_kept())
    return set(connection.execute(kept.order_by(events.c.id).with_for_update(read=True)).scalars())


def _called() -> ColumnElement[bool]:
    """Return the condition that a delivery's endpoint is called at all."""
    called = select(endpoints.c.id).where(endpoints.c.state != EndpointState.DISABLED)
    return deliveries.c.endpoint_id.in_(called)
