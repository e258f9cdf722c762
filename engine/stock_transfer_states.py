"""The states of a stock transfer and the one table of what may happen in each (document 002)."""

from __future__ import annotations

from engine.states import Transition

REQUESTED = "requested"
INVOICED = "invoiced"
PAID = "paid"
ALLOCATED = "allocated"
PARTIALLY_DELIVERED = "partially_delivered"
DELIVERED = "delivered"
CANCELLED = "cancelled"
EXPIRED = "expired"
STATUSES = (
    REQUESTED,
    INVOICED,
    PAID,
    ALLOCATED,
    PARTIALLY_DELIVERED,
    DELIVERED,
    CANCELLED,
    EXPIRED,
)
UNPAID = (REQUESTED, INVOICED)

MERCHANT = "merchant"
RESELLER = "reseller"
EITHER = "either"
#: Whoever runs the platform: a payment provider's word, or the clock. Nobody's tenant.
OPERATOR = "operator"

TRANSITIONS = (
    Transition(REQUESTED, "invoice", EITHER, INVOICED),
    Transition(INVOICED, "pay", RESELLER, PAID),
    Transition(INVOICED, "confirm_payment", OPERATOR, PAID),
    Transition(REQUESTED, "mark_paid", MERCHANT, PAID),
    Transition(INVOICED, "mark_paid", MERCHANT, PAID),
    Transition(PAID, "allocate", MERCHANT, ALLOCATED),
    Transition(ALLOCATED, "deliver", EITHER, PARTIALLY_DELIVERED),
    Transition(PARTIALLY_DELIVERED, "deliver", EITHER, PARTIALLY_DELIVERED),
    Transition(ALLOCATED, "deliver_last", EITHER, DELIVERED),
    Transition(PARTIALLY_DELIVERED, "deliver_last", EITHER, DELIVERED),
    Transition(REQUESTED, "cancel", EITHER, CANCELLED),
    Transition(INVOICED, "cancel", EITHER, CANCELLED),
    Transition(REQUESTED, "expire", OPERATOR, EXPIRED),
    Transition(INVOICED, "expire", OPERATOR, EXPIRED),
)


def allowed(status: str) -> list[str]:
    """Return the actions that somebody may take in ``status``."""
    return [row.action for row in TRANSITIONS if row.source == status]


def find(status: str, action: str) -> Transition | None:
    """Return the row of the table that applies, or None when the action is not allowed."""
    for row in TRANSITIONS:
        if (row.source, row.action) == (status, action):
            return row
    return None
