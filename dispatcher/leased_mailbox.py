"""A leased mailbox with all that a drain needs to know of its endpoint."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dispatcher.due import Due
from dispatcher.health import Failing, Notice
from dispatcher.mailboxes import Lease
from dispatcher.poison import CRASHES_MAX
from dispatcher.policies import Worth
from dispatcher.settlement import EXPIRED, UNSUBSCRIBED, Deferral
from dispatcher.signer import Signer
from dispatcher.states import DeliveryState, Trigger


@dataclass(slots=True)
class Mailbox:
    """A leased mailbox with all a drain needs; no database is asked again per delivery."""

    lease: Lease
    url: str
    host: str
    tenant_id: str
    profile: str
    signer: Signer
    max_in_flight: int
    rate_per_second: float | None
    deadline_seconds: float
    ordering: str
    patience: timedelta
    permanent_statuses: frozenset[int]
    hears: Callable[[str], bool]
    worth_of: Callable[[str], Worth]
    failing: Failing
    told: Notice
    queue: deque[Due] = field(default_factory=deque)
    deferrals: list[Deferral] = field(default_factory=list)
    #: The last row of the slice that was read, and whether there may be more behind it.
    last: Due | None = None
    exhausted: bool = True
    blocked_until: datetime | None = None

    @property
    def suspicious(self) -> bool:
        """Whether draining it killed the process again and again."""
        return self.lease.crashes >= CRASHES_MAX

    def give_up_at(self, due: Due) -> datetime | None:
        """Return after when an attempt at a delivery is of no use to anybody."""
        return self.worth_of(due.event).give_up_at(due.created_at)

    def unwanted(self, due: Due, now: datetime) -> tuple[str, DeliveryState] | None:
        """Return why a delivery need not be attempted, and what it ends as; None to attempt it.

        Whoever asks for it by hand wants it still, however old, and whatever the endpoint hears.
        """
        if due.trigger == Trigger.MANUAL:
            return None
        give_up_at = self.give_up_at(due)
        if give_up_at is not None and now > give_up_at:
            return EXPIRED, DeliveryState.FAILED
        if not self.hears(due.event):
            return UNSUBSCRIBED, DeliveryState.CANCELLED
        return None
