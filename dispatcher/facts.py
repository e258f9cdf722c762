"""What happened, one wide record each: the code that sees it emits it, and nothing else.

Facts carry identifiers, classes and figures: never a URL, a body, a header or a secret, so whoever
turns them into lines or numbers cannot leak one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, Protocol

from dispatcher.settlement import Settlement

BLOCKED_ADDRESS = "blocked_address"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryAttempted:
    """One call was made and settled; ``state`` is what became of the delivery.

    ``due_at`` is when it could have been made at the earliest: for the first attempt the commit of
    the event. ``error`` is a coarse class, such as ``timeout`` or ``http_5xx``.
    """

    name: ClassVar[str] = "delivery.attempted"

    delivery_id: str
    endpoint_id: str
    number: int
    trigger: str
    state: str
    status_code: int | None
    error: str | None
    started_at: datetime
    duration_ms: int
    due_at: datetime | None = None
    next_attempt_at: datetime | None = None

    @property
    def waited_seconds(self) -> float | None:
        """How long a delivery that was due waited for this attempt."""
        return None if self.due_at is None else (self.started_at - self.due_at).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParked:
    """A delivery was given up because it cannot be processed, or killed the process."""

    name: ClassVar[str] = "delivery.parked"

    delivery_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayExpanded:
    """One transaction of the relay: events taken out of the outbox, mailboxes made due."""

    name: ClassVar[str] = "relay.expanded"

    events: int
    mailboxes: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleCommitted:
    """One transaction of the settle writer: so many attempts, so many mailboxes given back."""

    name: ClassVar[str] = "settle.committed"

    rows: int
    releases: int
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseLost:
    """A worker's lease was over before it gave the mailbox back; another may hold it."""

    name: ClassVar[str] = "lease.lost"

    endpoint_id: str
    lease_token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressRefused:
    """A call was not made, because its address may not be called."""

    name: ClassVar[str] = "egress.refused"

    endpoint_id: str
    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointDisabled:
    """A worker disabled an endpoint, and why: what its receiver asked for, or ``failing``."""

    name: ClassVar[str] = "endpoint.disabled"

    endpoint_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitMoved:
    """The circuit of an endpoint opened, is probed, or closed again."""

    name: ClassVar[str] = "circuit.moved"

    endpoint_id: str
    circuit: str
    failures_in_row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HintLost:
    """The broker did not take a hint, or is not asked to for a while; the sweep gives it again."""

    name: ClassVar[str] = "hint.lost"

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPruned:
    """A run of retention removed rows, so many of each kind."""

    name: ClassVar[str] = "retention.pruned"

    counts: Mapping[str, int]


Fact = (
    DeliveryAttempted
    | DeliveryParked
    | RelayExpanded
    | SettleCommitted
    | LeaseLost
    | EgressRefused
    | EndpointDisabled
    | CircuitMoved
    | HintLost
    | RetentionPruned
)
Emit = Callable[[Fact], None]


def nowhere(_fact: Fact) -> None:
    """Forget a fact: what emits by default has nobody to tell."""


class Watch(Protocol):
    """Whoever is told what a dispatcher does; called from any of its threads."""

    def emit(self, fact: Fact, /) -> None:
        """Hear of one fact."""

    def observe(self, settlement: Settlement, /) -> None:
        """Hear of one attempt whose settlement is committed: the hot path's own way in."""


class Unwatched:
    """The watch nobody keeps."""

    def emit(self, _fact: Fact, /) -> None:
        """Forget it."""

    def observe(self, _settlement: Settlement, /) -> None:
        """Forget it."""


UNWATCHED: Watch = Unwatched()


def of_settlement(settlement: Settlement) -> Iterator[Fact]:
    """Yield what one settled attempt says."""
    outcome = settlement.outcome
    yield DeliveryAttempted(
        delivery_id=settlement.delivery_id,
        endpoint_id=settlement.endpoint_id,
        number=settlement.number,
        trigger=settlement.trigger,
        state=settlement.state,
        status_code=outcome.status_code,
        error=outcome.error,
        started_at=settlement.started_at,
        duration_ms=settlement.duration_ms,
        due_at=settlement.due_at,
        next_attempt_at=settlement.next_attempt_at,
    )
    if outcome.error == BLOCKED_ADDRESS:
        yield EgressRefused(endpoint_id=settlement.endpoint_id, delivery_id=settlement.delivery_id)


def line_of(fact: Fact) -> dict[str, Any]:
    """Return the fields of a line: those of the fact that say something."""
    found = {field.name: getattr(fact, field.name) for field in fields(fact)}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in found.items()
        if value is not None
    }
