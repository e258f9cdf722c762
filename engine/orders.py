"""Chain orders: placed by an origin, forwarded up its chain, fulfilled, and told to everyone in it.

Where its parent has to approve an origin's orders, they wait for that first.

Every action makes one guarded transition of the table in ``states``, moves stock and money with it,
and raises each participant's own event. ``tenant_id`` is who acts; None is the operator, or a
courier or an upstream platform speaking through us, and stands for whoever's turn it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import update

from engine import order_events, order_rows, returns, settlement, stock, transitions
from engine.errors import InvalidInput
from engine.inputs import check_document, check_keys, check_text
from engine.money import check_amount
from engine.order_healing import raise_missing
from engine.order_rows import Row
from engine.order_tables import order_lines
from engine.placing import place
from engine.transitions import Moved
from engine.unit_of_work import UnitOfWork

__all__ = [
    "accept",
    "approve",
    "cancel",
    "deliver",
    "forward",
    "place",
    "process",
    "raise_missing",
    "reject",
    "return_",
    "ship",
    "unprocess",
]
#: More cash than this many times what is due, and than this, is a slip and not cash.
COLLECTED_TIMES_MAX = 10
COLLECTED_MINOR_MAX = 100_000_000
DELIVERY_FIELDS = ("order_detail_id", "deliver_id", "line_id", "delivery_data", "delivery_note")


def approve(
    work: UnitOfWork, order_id: str, *, reason: str | None = None, tenant_id: str | None = None
) -> Row:
    """Let the origin go on with its order, as its parent; a prepaid order sets its money aside.

    Raises InsufficientBalance beyond the origin's wallet; then it waits on.
    """
    if reason is not None:
        reason = check_text(reason, field="reason", length_max=500)
    planned = transitions.plan(work, order_id, "approve", tenant_id)
    approver, origin = planned.order["holder_tenant_id"], planned.order["origin_tenant_id"]
    moved = transitions.move(work, planned, {"holder_tenant_id": origin}, reason)
    transitions.set_hop_status(work, moved, approver, "approved")
    transitions.set_hop_status(work, moved, origin, "pending_action")
    settlement.set_aside(work, moved.order, moved.hops)
    return _announce(work, moved)


def reject(work: UnitOfWork, order_id: str, *, reason: str, tenant_id: str | None = None) -> Row:
    """Refuse, as the origin's parent, an order that waits for approval: it ends here."""
    return _call_off(work, order_id, "reject", reason, tenant_id)


def forward(work: UnitOfWork, order_id: str, *, tenant_id: str | None = None) -> Row:
    """Hand the order to the holder's parent, who sees it from now on."""
    planned = transitions.plan(work, order_id, "forward", tenant_id)
    holder = planned.order["holder_tenant_id"]
    positions = [hop["tenant_id"] for hop in planned.hops]
    parent = positions[positions.index(holder) - 1]
    moved = transitions.move(work, planned, {"holder_tenant_id": parent, "forwarded_at": work.now})
    transitions.set_hop_status(work, moved, holder, "forwarded")
    transitions.set_hop_status(work, moved, parent, "pending_action")
    transitions.show_to(work, moved, parent)
    return _announce(work, moved)


def accept(work: UnitOfWork, order_id: str, *, tenant_id: str | None = None) -> Row:
    """Let the holder fulfil the order and reserve its stock, or raise StockUnavailable."""
    planned = transitions.plan(work, order_id, "accept", tenant_id)
    holder = planned.order["holder_tenant_id"]
    if planned.order["payment_method"] == "cod":
        settlement.cash_flow(planned.order | {"fulfiller_tenant_id": holder}, planned.hops)
    moved = transitions.move(
        work, planned, {"fulfiller_tenant_id": holder, "accepted_at": work.now}
    )
    transitions.set_hop_status(work, moved, holder, "accepted")
    stock.reserve(work, holder, order_rows.lines_of(work.connection, moved.order["id"]))
    return _announce(work, moved)


def process(work: UnitOfWork, order_id: str, *, tenant_id: str | None = None) -> Row:
    """Start picking the order."""
    moved = transitions.move(work, transitions.plan(work, order_id, "process", tenant_id), {})
    return _announce(work, moved, transitions.set_lines(work, moved, "processing"))


def unprocess(work: UnitOfWork, order_id: str, *, tenant_id: str | None = None) -> Row:
    """Take the order out of picking again (document 000, status 3)."""
    moved = transitions.move(work, transitions.plan(work, order_id, "unprocess", tenant_id), {})
    return _announce(work, moved, transitions.set_lines(work, moved, "removed"))


def ship(
    work: UnitOfWork,
    order_id: str,
    *,
    tracking_number: str,
    carrier: str,
    tenant_id: str | None = None,
) -> Row:
    """Send the goods: they leave the stock, and a prepaid order is paid up the chain."""
    values = {
        "tracking_number": check_text(tracking_number, field="tracking_number", length_max=100),
        "carrier": check_text(carrier, field="carrier", length_max=100),
        "shipped_at": work.now,
    }
    planned = transitions.plan(work, order_id, "ship", tenant_id)
    prepaid = planned.order["payment_method"] == "prepaid"
    moved = transitions.move(
        work, planned, values | ({"payment_status": "settled"} if prepaid else {})
    )
    _send(work, moved)
    return _announce(work, moved)


def deliver(
    work: UnitOfWork,
    order_id: str,
    *,
    tenant_id: str | None = None,
    collected_minor: int | None = None,
    deliveries: Sequence[Mapping[str, Any]] = (),
) -> Row:
    """Record the delivery and settle cash on delivery up the chain (document 001).

    ``collected_minor`` is the cash taken, the whole unless told. ``deliveries`` carry
    ``delivery_data`` and ``delivery_note`` (document 000)
    of lines named by ``order_detail_id`` or ``deliver_id``.
    """
    planned = transitions.plan(work, order_id, "deliver", tenant_id)
    order = planned.order
    values: dict[str, Any] = {"delivered_at": work.now, "payment_status": "settled"}
    collected = _collected(order, collected_minor)
    if order["payment_method"] == "cod":
        flow = settlement.cash_flow(order, planned.hops)
        owed = bool(flow.obligations) or collected != order["cod_amount_minor"]
        values["payment_status"] = "collected" if owed else "settled"
    moved = transitions.move(work, planned, values)
    if moved.before["shipped_at"] is None:
        _send(work, moved)
    _keep_deliveries(work, moved, deliveries)
    lines = transitions.set_lines(work, moved, "delivered")
    if order["payment_method"] == "cod":
        collection, remittances = settlement.collect(work, moved.order, flow, collected)
        _announce(work, moved, lines)
        return _announce_delivered(work, moved, collection["flow_type"], remittances)
    _announce(work, moved, lines)
    return _announce_delivered(work, moved, None, [])


def cancel(work: UnitOfWork, order_id: str, *, reason: str, tenant_id: str | None = None) -> Row:
    """Call the order off before it ships: the origin before it is accepted, the fulfiller after."""
    return _call_off(work, order_id, "cancel", reason, tenant_id)


def return_(
    work: UnitOfWork, order_id: str, *, reason: str | None = None, tenant_id: str | None = None
) -> Row:
    """Take the goods back: a refused parcel, or after delivery with the settlement reversed."""
    if reason is not None:
        reason = check_text(reason, field="reason", length_max=500)
    planned = transitions.plan(work, order_id, "return", tenant_id)
    paid = planned.order["payment_status"] != "pending"
    values = {"returned_at": work.now, "payment_status": "refunded" if paid else "void"}
    moved = transitions.move(work, planned, values, reason)
    lines = order_rows.lines_of(work.connection, moved.order["id"])
    stock.restock(work, moved.order["fulfiller_tenant_id"], lines)
    returns.undo(work, moved.order)
    return _announce(work, moved)


def _call_off(
    work: UnitOfWork, order_id: str, action: str, reason: str, tenant_id: str | None
) -> Row:
    """End an order that has not shipped; what was reserved and set aside for it is free again."""
    reason = check_text(reason, field="reason", length_max=500)
    planned = transitions.plan(work, order_id, action, tenant_id)
    values = {"cancelled_at": work.now, "cancel_reason": reason, "payment_status": "void"}
    moved = transitions.move(work, planned, values, reason)
    lines = transitions.set_lines(work, moved, "cancelled")
    if moved.order["fulfiller_tenant_id"] is not None:
        stock.free(work, moved.order["fulfiller_tenant_id"], lines)
    settlement.release(work, moved.order)
    return _announce(work, moved, lines)


def _send(work: UnitOfWork, moved: Moved) -> None:
    """Let the goods leave: once per order, when it ships or (nothing to ship) is delivered."""
    lines = order_rows.lines_of(work.connection, moved.order["id"])
    stock.consume(work, moved.order["fulfiller_tenant_id"], lines)
    if moved.order["payment_method"] == "prepaid":
        settlement.capture(work, moved.order, moved.hops)


def _collected(order: Row, collected_minor: int | None) -> int:
    """Return the cash taken; more or less than was due is recorded, for finance to decide."""
    if collected_minor is None:
        return int(order["cod_amount_minor"])
    if order["payment_method"] != "cod":
        raise InvalidInput(
            "a prepaid order collects no cash", field="collected", value=collected_minor
        )
    # Counters never shrink: slips of many digits could fill an account for ever.
    most = max(COLLECTED_TIMES_MAX * order["cod_amount_minor"], COLLECTED_MINOR_MAX)
    if check_amount(collected_minor, field="collected") > most:
        raise InvalidInput(
            f"{collected_minor} minor units are far more than what is due",
            field="collected",
            value=collected_minor,
        )
    return collected_minor


def _keep_deliveries(
    work: UnitOfWork, moved: Moved, deliveries: Iterable[Mapping[str, Any]]
) -> None:
    lines = order_rows.lines_of(work.connection, moved.order["id"])
    for index, given in enumerate(deliveries):
        fields = check_keys(given, DELIVERY_FIELDS, field=f"deliveries[{index}]")
        line = _named_line(lines, fields, f"deliveries[{index}]")
        note = fields.get("delivery_note")
        values = {
            "delivery_data": check_document(
                fields.get("delivery_data", []), list, field="delivery_data"
            ),
            "delivery_note": None
            if note is None
            else check_text(note, field="delivery_note", length_max=1000),
        }
        work.connection.execute(
            update(order_lines).where(order_lines.c.id == line["id"]).values(values)
        )


def _named_line(lines: Iterable[Row], fields: Mapping[str, Any], where: str) -> Row:
    names = {"line_id": "id", "order_detail_id": "order_detail_id", "deliver_id": "deliver_id"}
    asked = {column: fields[name] for name, column in names.items() if name in fields}
    found = [line for line in lines if all(line[key] == value for key, value in asked.items())]
    if not asked or len(found) != 1:
        raise InvalidInput(f"{where} names no single line of the order", field=where)
    return found[0]


def _announce(work: UnitOfWork, moved: Moved, lines: Sequence[Row] = ()) -> Row:
    """Tell each tenant that sees the order; one that sees it first now hears of its creation."""
    for hop in moved.hops:
        if hop["visible_version"] == moved.order["version"]:
            all_lines = order_rows.lines_of(work.connection, moved.order["id"])
            work.raise_event(order_events.created(moved.order, all_lines, hop))
        elif hop["visible_at"] is not None:
            work.raise_event(order_events.status_changed(moved.order, hop, moved.step))
    for line in lines:
        draft = order_events.line_updated(moved.order, line)
        if draft is not None:
            work.raise_event(draft)
    return moved.order


def _announce_delivered(
    work: UnitOfWork, moved: Moved, flow_type: str | None, owed: Sequence[Row]
) -> Row:
    for hop in moved.hops:
        if hop["visible_at"] is not None:
            work.raise_event(order_events.delivered(moved.order, hop, flow_type, owed))
    return moved.order
