"""What an upstream platform says of an order, read out of its answers and callbacks. Pure.

Three documents say how: 000 (order detail, status 0 to 3), 001 (``chain-orders/{id}``) and 003
(``execute/status``). Whatever cannot be read changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from config.errors import TillbellError
from engine import states


class Kind(StrEnum):
    """Which document an upstream speaks."""

    ORDER_DETAIL = "order_detail"  #: document 000
    CHAIN_ORDER = "chain_order"  #: document 001
    EXECUTION = "execution"  #: document 003


#: The one event about a line, not an order.
LINE_EVENT = "order.line_updated"
#: Where each kind tells the state of an order, behind the base URL.
PATHS = {
    Kind.ORDER_DETAIL: "/orders/{reference}",
    Kind.CHAIN_ORDER: "/chain-orders/{reference}",
    Kind.EXECUTION: "/api/orders/{reference}/execute/status",
}
#: Document 000: cancelled, delivered, being processed, removed from processing.
DETAIL_STATUSES = {
    0: states.CANCELLED,
    1: states.DELIVERED,
    2: states.PROCESSING,
    3: states.ACCEPTED,
}
#: Document 003 names no values; these are the usual ones, without regard to case or blanks.
EXECUTION_STATUSES = {
    "pending": states.ACCEPTED,
    "queued": states.ACCEPTED,
    "inprogress": states.PROCESSING,
    "executing": states.PROCESSING,
    "completed": states.DELIVERED,
    "executed": states.DELIVERED,
    "failed": states.CANCELLED,
    "cancelled": states.CANCELLED,
    "canceled": states.CANCELLED,
}


class UnreadableAnswer(TillbellError):
    """An upstream's answer is not what its document says; nothing is changed for it."""

    code = "UPSTREAM_UNREADABLE"


class Reading(NamedTuple):
    """What an upstream says of one order; ``references`` are the names it gives it."""

    status: str
    references: tuple[str, ...] = ()
    tracking_number: str | None = None
    carrier: str | None = None
    reason: str | None = None
    delivery_data: list[Any] | None = None
    delivery_note: str | None = None
    #: The order's version there, and the instant there: what tells an old message from a new one.
    sequence: int | None = None
    occurred_at: datetime | None = None


def read_answer(kind: Kind, body: bytes) -> Reading:
    """Return what an answer to a poll says, or raise UnreadableAnswer with the reason."""
    return _READERS[kind](_document(body))


def read_callback(body: bytes) -> tuple[str, Reading | None]:
    """Return a callback's event and what it says, None where it says nothing of an order's state.

    Document 000 posts a flat body, 001 an event with ``data``, 002 the same under colon names.
    Raises UnreadableAnswer.
    """
    document = _document(body)
    if "event" not in document:
        return LINE_EVENT, _order_detail(document)
    event = _text(document, "event").replace(":", ".")
    data = document.get("data")
    if not isinstance(data, Mapping):
        raise UnreadableAnswer("the callback has no data", field="data")
    reader = _CALLBACKS.get(event)
    if reader is None:
        return event, None
    reading = reader(data)._replace(occurred_at=_instant(document))
    if event == LINE_EVENT:
        return event, reading  # its number counts the line's versions, not the order's
    return event, reading._replace(sequence=_number(document, "sequence") or _number(data, "seq"))


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UnreadableAnswer("the answer is not JSON") from None
    if not isinstance(found, Mapping):
        raise UnreadableAnswer("the answer is no JSON object")
    return found


def _order_detail(document: Mapping[str, Any]) -> Reading:
    found = document.get("data", document)
    status = found.get("Status") if isinstance(found, Mapping) else None
    if type(status) is not int or status not in DETAIL_STATUSES:  # True would be 1
        raise UnreadableAnswer("Status is none of 0, 1, 2, 3", field="Status")
    codes = found.get("DeliveryData")
    return Reading(
        DETAIL_STATUSES[status],
        references=_references(found, "OrderDetailID", "DeliverID"),
        delivery_data=codes if isinstance(codes, list) else None,
        delivery_note=_optional(found, "DeliveryNote"),
    )


def _line(data: Mapping[str, Any]) -> Reading:
    """Read our own rendering of document 000's callback in the envelope."""
    names = {"status": "Status", "order_detail_id": "OrderDetailID", "deliver_id": "DeliverID"}
    names |= {"delivery_data": "DeliveryData", "delivery_note": "DeliveryNote"}
    found = _order_detail({names.get(name, name): value for name, value in data.items()})
    return found._replace(references=(*found.references, *_references(data, "chain_order_id")))


def _chain_order(document: Mapping[str, Any]) -> Reading:
    found = document.get("order", document)
    if not isinstance(found, Mapping):
        raise UnreadableAnswer("the answer holds no order", field="order")
    reading = _of_chain(found, found.get("chain_status"), "id")
    return reading._replace(sequence=_number(found, "version"))


def _status_changed(data: Mapping[str, Any]) -> Reading:
    return _of_chain(data, data.get("status"), "chain_order_id")


def _delivered(data: Mapping[str, Any]) -> Reading:
    return _of_chain(data, states.DELIVERED, "chain_order_id")


def _of_chain(found: Mapping[str, Any], status: object, id_name: str) -> Reading:
    if status not in states.STATUSES:
        raise UnreadableAnswer(f"{str(status)[:40]!r} is no chain status", field="chain_status")
    shipping = found.get("shipping")
    shipping = shipping if isinstance(shipping, Mapping) else {}
    return Reading(
        str(status),
        references=_references(found, id_name, "origin_order_number"),
        tracking_number=_optional(shipping, "tracking_number", 100),
        carrier=_optional(shipping, "carrier", 100),
        reason=_optional(found, "reason") or _optional(found, "cancel_reason"),
    )


def _execution(document: Mapping[str, Any]) -> Reading:
    found = document.get("data", document)
    status = found.get("status") if isinstance(found, Mapping) else None
    known = EXECUTION_STATUSES.get("".join(str(status).lower().split()))
    if known is None:
        raise UnreadableAnswer(f"{str(status)[:40]!r} is no execution status", field="status")
    return Reading(known, references=_references(found, "orderId", "id"))


def _references(found: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    texts = [str(found[name]) for name in names if found.get(name) is not None]
    return tuple(text for text in texts if "\0" not in text and len(text) <= 200)


def _optional(found: Mapping[str, Any], name: str, length_max: int = 500) -> str | None:
    value = found.get(name)
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").strip()[:length_max] or None


def _number(found: Mapping[str, Any], name: str) -> int | None:
    value = found.get(name)
    return value if type(value) is int and 0 < value < 1 << 63 else None


def _instant(document: Mapping[str, Any]) -> datetime | None:
    """Return when a callback says that it happened: document 001's text, or 002's seconds."""
    seconds, written = document.get("created_at"), document.get("timestamp")
    try:
        if type(seconds) is int:
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(written) if isinstance(written, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return None if at is None or at.tzinfo is None else at.astimezone(UTC)


def _text(found: Mapping[str, Any], name: str) -> str:
    value = _optional(found, name)
    if value is None:
        raise UnreadableAnswer(f"{name} is missing", field=name)
    return value


_READERS: dict[Kind, Callable[[Mapping[str, Any]], Reading]] = {
    Kind.ORDER_DETAIL: _order_detail,
    Kind.CHAIN_ORDER: _chain_order,
    Kind.EXECUTION: _execution,
}
_CALLBACKS: dict[str, Callable[[Mapping[str, Any]], Reading]] = {
    "chain_order.status_changed": _status_changed,
    "chain_order.delivered": _delivered,
    LINE_EVENT: _line,
}
