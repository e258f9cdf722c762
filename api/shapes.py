"""What the tenant's routes answer, as OpenAPI describes it; names are those of the columns."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class Shape(BaseModel):
    """An answer has exactly the fields that are described."""

    model_config = ConfigDict(extra="forbid")


class Event(Shape):
    """One event; ``body`` holds, byte for byte, what is sent to endpoints of profile envelope.

    ``masked`` is true where the token lacks ``codes.read`` and what was sold is left out.
    """

    id: str
    event: str
    subject_type: str
    subject_id: str
    sequence: int
    occurred_at: datetime
    created_at: datetime
    cursor: str
    masked: bool
    body: dict[str, Any]


class EventPage(Shape):
    """Events in the order in which they became readable; go on with ``next_cursor``."""

    data: list[Event]
    next_cursor: str
    has_more: bool


class Endpoint(Shape):
    """Where events are sent; never a secret."""

    id: str
    tenant_id: str
    url: str
    events: list[str]
    profile: str
    state: str
    state_reason: str | None
    paused_until: datetime | None
    max_in_flight: int
    rate_per_second: float | None
    ordering: str
    created_at: datetime
    updated_at: datetime


class EndpointPage(Shape):
    """Endpoints, oldest first."""

    data: list[Endpoint]
    next_cursor: str | None


class Delivery(Shape):
    """One event for one endpoint; ``attempts`` counts."""

    id: str
    event_id: str
    event: str
    endpoint_id: str
    tenant_id: str
    state: str
    attempts: int
    next_attempt_at: datetime | None
    last_status_code: int | None
    last_error: str | None
    created_at: datetime
    settled_at: datetime | None


class DeliveryPage(Shape):
    """Deliveries, newest first."""

    data: list[Delivery]
    next_cursor: str | None


class Attempt(Shape):
    """What happened on the wire; the excerpt is what the receiver said, at most 4 KiB."""

    number: int
    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response_excerpt: str | None
    trigger: str
    decided: bool


class DeliveryWithHistory(Delivery):
    """One delivery with every attempt, oldest first."""

    history: list[Attempt]


class Manifest(Shape):
    """One signed line of an endpoint's day.

    ``signature`` signs ``{message_id}.{timestamp}.{body}`` as Standard Webhooks v1; the other
    fields repeat what ``body`` says.
    """

    endpoint_id: str
    day: date
    tenant_id: str
    events_count: int
    first_event_id: str | None
    last_event_id: str | None
    events_digest: str
    previous_digest: str
    body: str
    message_id: str
    timestamp: int
    signature: str
    created_at: datetime


class ManifestPage(Shape):
    """Manifests by endpoint and day."""

    data: list[Manifest]
    next_cursor: str | None


class ListedEvent(Shape):
    """One event of a manifest: its id and the SHA-256 (hex) of its body as it is sent."""

    id: str
    sha256: str


class ManifestWithEvents(Manifest):
    """A manifest with its events; null once bodies were purged or the profile changed."""

    events: list[ListedEvent] | None
