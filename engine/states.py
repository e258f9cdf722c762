"""The states of a chain order and the one table of what may happen in each (domain.md 2.8)."""

from __future__ import annotations

from dataclasses import dataclass

PENDING_APPROVAL = "pending_approval"
PENDING_FORWARD = "pending_forward"
FORWARDED = "forwarded"
ACCEPTED = "accepted"
PROCESSING = "processing"
SHIPPED = "shipped"
DELIVERED = "delivered"
CANCELLED = "cancelled"
RETURNED = "returned"
STATUSES = (
    PENDING_APPROVAL,
    PENDING_FORWARD,
    FORWARDED,
    ACCEPTED,
    PROCESSING,
    SHIPPED,
    DELIVERED,
    CANCELLED,
    RETURNED,
)
#: Nothing leaves these.
FINAL = (CANCELLED, RETURNED)

#: The origin's parent, who holds the order until it has decided.
APPROVER = "approver"
HOLDER = "holder"
FULFILLER = "fulfiller"
ORIGIN = "origin"
#: The column of an order that names who is meant.
ACTORS = {
    APPROVER: "holder_tenant_id",
    HOLDER: "holder_tenant_id",
    FULFILLER: "fulfiller_tenant_id",
    ORIGIN: "origin_tenant_id",
}


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: in ``source``, ``action`` by ``who`` leads to ``target``.

    ``digital_only`` rows are for orders that have nothing to ship.
    """

    source: str
    action: str
    who: str
    target: str
    digital_only: bool = False


TRANSITIONS = (
    Transition(PENDING_APPROVAL, "approve", APPROVER, PENDING_FORWARD),
    Transition(PENDING_APPROVAL, "reject", APPROVER, CANCELLED),
    Transition(PENDING_APPROVAL, "cancel", ORIGIN, CANCELLED),
    Transition(PENDING_FORWARD, "forward", HOLDER, FORWARDED),
    Transition(FORWARDED, "forward", HOLDER, FORWARDED),
    Transition(PENDING_FORWARD, "accept", HOLDER, ACCEPTED),
    Transition(FORWARDED, "accept", HOLDER, ACCEPTED),
    Transition(ACCEPTED, "process", FULFILLER, PROCESSING),
    Transition(PROCESSING, "unprocess", FULFILLER, ACCEPTED),
    Transition(ACCEPTED, "ship", FULFILLER, SHIPPED),
    Transition(PROCESSING, "ship", FULFILLER, SHIPPED),
    Transition(SHIPPED, "deliver", FULFILLER, DELIVERED),
    Transition(ACCEPTED, "deliver", FULFILLER, DELIVERED, digital_only=True),
    Transition(PROCESSING, "deliver", FULFILLER, DELIVERED, digital_only=True),
    Transition(PENDING_FORWARD, "cancel", ORIGIN, CANCELLED),
    Transition(FORWARDED, "cancel", ORIGIN, CANCELLED),
    Transition(ACCEPTED, "cancel", FULFILLER, CANCELLED),
    Transition(PROCESSING, "cancel", FULFILLER, CANCELLED),
    Transition(SHIPPED, "return", FULFILLER, RETURNED),
    Transition(DELIVERED, "return", FULFILLER, RETURNED),
)
ACTIONS = tuple(dict.fromkeys(row.action for row in TRANSITIONS))


def allowed(status: str, *, digital: bool) -> list[str]:
    """Return the actions that some participant may take in ``status``."""
    return [
        row.action
        for row in TRANSITIONS
        if row.source == status and (digital or not row.digital_only)
    ]


def find(status: str, action: str, *, digital: bool) -> Transition | None:
    """Return the row of the table that applies, or None when the action is not allowed."""
    for row in TRANSITIONS:
        if (row.source, row.action) == (status, action) and (digital or not row.digital_only):
            return row
    return None
