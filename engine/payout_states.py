"""The states of a payout and the one table of what may become of it."""

from __future__ import annotations

from dataclasses import dataclass

REQUESTED = "requested"
APPROVED = "approved"
REJECTED = "rejected"
COMPLETED = "completed"
CANCELLED = "cancelled"
STATUSES = (REQUESTED, APPROVED, REJECTED, COMPLETED, CANCELLED)


@dataclass(frozen=True, slots=True)
class Transition:
    """One row of the table: what may become of a payout, and whether only the platform says so."""

    sources: tuple[str, ...]
    target: str
    platform_only: bool = True


TRANSITIONS = {
    "approve": Transition((REQUESTED,), APPROVED),
    "reject": Transition((REQUESTED,), REJECTED),
    "complete": Transition((APPROVED,), COMPLETED),
    "cancel": Transition((REQUESTED, APPROVED), CANCELLED, platform_only=False),
}


def allowed(status: str) -> list[str]:
    """Return what may be done with a payout in ``status``."""
    return [action for action, row in TRANSITIONS.items() if status in row.sources]
