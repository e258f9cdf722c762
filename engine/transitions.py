"""Move a chain order from one state to the next: the only writer of ``chain_status``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, update

from engine import order_rows, states
from engine.errors import Forbidden, InvalidStatus
from engine.order_rows import Row
from engine.order_tables import chain_hops, chain_orders, order_lines, order_log
from engine.states import Transition
from engine.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Plan:
    """A transition that the table allows this actor, not made yet."""

    order: Row
    hops: list[Row]
    transition: Transition


@dataclass(frozen=True, slots=True)
class Moved:
    """A transition made: the order before and after it, and its row of the timeline."""

    before: Row
    order: Row
    hops: list[Row]
    step: Row


def plan(work: UnitOfWork, order_id: str, action: str, tenant_id: str | None) -> Plan:
    """Return the transition ``tenant_id`` (None: the operator, for whoever's turn it is) may make.

    Raises NotFound for an order the tenant has not seen, InvalidStatus with ``current_status`` and
    ``allowed``, or Forbidden when the action is another participant's.
    """
    order = order_rows.get(work.connection, order_id)
    hops = order_rows.hops_of(work.connection, order["id"])
    if tenant_id is not None:
        order_rows.require_visible(order_id, hops, tenant_id)
    transition = states.find(order["chain_status"], action, digital=order_rows.is_digital(order))
    if transition is None or action not in allowed(order, hops):
        raise refusal(order, hops, action)
    if tenant_id not in {None, order[states.ACTORS[transition.who]]}:
        raise Forbidden(
            f"only the {transition.who} may {action} this order",
            action=action,
            current_status=order["chain_status"],
        )
    return Plan(order, hops, transition)


def allowed(order: Row, hops: Sequence[Row]) -> list[str]:
    """Return the actions some participant may take now; nobody is above the owner of the goods."""
    actions = states.allowed(order["chain_status"], digital=order_rows.is_digital(order))
    at_top = order["holder_tenant_id"] == hops[0]["tenant_id"]
    return [action for action in actions if not (at_top and action == "forward")]


def refusal(order: Row, hops: Sequence[Row], action: str) -> InvalidStatus:
    """Return the refusal of an action in the order's state (document 001, INVALID_STATUS)."""
    return InvalidStatus(
        f"order is {order['chain_status']}; {action} is not allowed",
        current_status=order["chain_status"],
        allowed=allowed(order, hops),
    )


def move(
    work: UnitOfWork, planned: Plan, values: dict[str, Any], reason: str | None = None
) -> Moved:
    """Make a planned transition with one guarded update and its row of the timeline.

    Raises InvalidStatus when another transaction moved the order since it was planned.
    """
    before, transition = planned.order, planned.transition
    changes = {
        **values,
        "chain_status": transition.target,
        "version": before["version"] + 1,
        "updated_at": work.now,
    }
    moved = work.connection.execute(
        update(chain_orders)
        .where(
            chain_orders.c.id == before["id"],
            chain_orders.c.chain_status == transition.source,
            chain_orders.c.version == before["version"],
        )
        .values(changes)
    )
    if moved.rowcount != 1:
        current = order_rows.get(work.connection, before["id"])
        raise refusal(current, planned.hops, transition.action)
    order = before | changes
    step = {
        "chain_order_id": order["id"],
        "seq": order["version"],
        "from_status": transition.source,
        "to_status": transition.target,
        "action": transition.action,
        "actor": work.actor,
        "source": work.source,
        "reason": reason,
        "at": work.now,
    }
    work.connection.execute(insert(order_log).values(step))
    return Moved(before, order, planned.hops, step)


def show_to(work: UnitOfWork, moved: Moved, tenant_id: str) -> None:
    """Let a tenant see the order from this version on."""
    hop = order_rows.hop_of(moved.hops, tenant_id)
    if hop is not None and hop["visible_at"] is None:
        seen = {"visible_at": work.now, "visible_version": moved.order["version"]}
        _update_hop(work, hop, seen)


def set_hop_status(work: UnitOfWork, moved: Moved, tenant_id: str, hop_status: str) -> None:
    """Record what a tenant did, or has to do, with the order."""
    hop = order_rows.hop_of(moved.hops, tenant_id)
    if hop is not None:
        _update_hop(work, hop, {"hop_status": hop_status})


def set_lines(work: UnitOfWork, moved: Moved, line_status: str) -> list[Row]:
    """Give every line of the order a new state and version, and return the lines."""
    work.connection.execute(
        update(order_lines)
        .where(order_lines.c.chain_order_id == moved.order["id"])
        .values(line_status=line_status, version=order_lines.c.version + 1)
    )
    return order_rows.lines_of(work.connection, moved.order["id"])


def _update_hop(work: UnitOfWork, hop: Row, values: dict[str, Any]) -> None:
    work.connection.execute(
        update(chain_hops)
        .where(
            chain_hops.c.chain_order_id == hop["chain_order_id"],
            chain_hops.c.position == hop["position"],
        )
        .values(values)
    )
    hop.update(values)
