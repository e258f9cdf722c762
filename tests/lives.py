"""Lives of deliveries as rows, for explanations: each test changes what it is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dispatcher.life import Life

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DELIVERY = "01900000-0000-7000-8000-00000000000d"
EVENT = "01900000-0000-7000-8000-00000000000e"
ENDPOINT = "01900000-0000-7000-8000-0000000000aa"
SCHEDULE = (0, 5, 30)


def ago(**length: float) -> datetime:
    """Return an instant before the test's now."""
    return NOW - timedelta(**length)


def soon(**length: float) -> datetime:
    """Return an instant after the test's now."""
    return NOW + timedelta(**length)


def attempt(number: int, **changes: Any) -> dict[str, Any]:
    """Return one attempt that brought HTTP 500, made ``number`` seconds after the event."""
    row = {
        "number": number,
        "started_at": ago(minutes=10) + timedelta(seconds=number),
        "duration_ms": 12,
        "status_code": 500,
        "error": "http_5xx",
        "response_excerpt": "oops",
        "trigger": "scheduled",
        "decided": True,
    }
    return {**row, **changes}


def delivery(**changes: Any) -> dict[str, Any]:
    """Return a delivery that was not attempted yet and is due."""
    row = {
        "id": DELIVERY,
        "event_id": EVENT,
        "event": "chain_order.shipped",
        "endpoint_id": ENDPOINT,
        "tenant_id": "01900000-0000-7000-8000-0000000000bb",
        "state": "pending",
        "attempts": 0,
        "attempts_before": 0,
        "trigger": "scheduled",
        "next_attempt_at": ago(minutes=10),
        "last_status_code": None,
        "last_error": None,
        "created_at": ago(minutes=10),
        "settled_at": None,
    }
    return {**row, **changes}


def event(**changes: Any) -> dict[str, Any]:
    """Return the event of the delivery."""
    row = {
        "id": EVENT,
        "type": "chain_order.shipped",
        "subject_type": "chain_order",
        "subject_id": "o-1",
        "sequence": 5,
        "raised_by": "cli:till",
        "occurred_at": ago(minutes=11),
        "created_at": ago(minutes=11),
        "body_bytes": 300,
    }
    return {**row, **changes}


def endpoint(**changes: Any) -> dict[str, Any]:
    """Return an active endpoint that hears chain orders."""
    row = {
        "id": ENDPOINT,
        "events": ["chain_order.*"],
        "state": "active",
        "state_reason": None,
        "paused_until": None,
        "ordering": "none",
        "permanent_statuses": None,
        "updated_at": ago(hours=1),
        "deleted_at": None,
    }
    return {**row, **changes}


def mailbox(**changes: Any) -> dict[str, Any]:
    """Return a mailbox that is due and held by nobody."""
    row = {
        "due_at": ago(minutes=10),
        "blocked_until": None,
        "lease_until": None,
        "leased_by": None,
        "failures_in_row": 0,
        "circuit": "closed",
    }
    return {**row, **changes}


def life(**changes: Any) -> Life:
    """Return the life of a delivery that is due for its first attempt."""
    rows: dict[str, Any] = {
        "now": NOW,
        "delivery": delivery(),
        "attempts": [],
        "event": event(),
        "endpoint": endpoint(),
        "mailbox": mailbox(),
        "replays": [],
        "pattern": "chain_order.*",
        "ahead": 0,
        "schedule_seconds": SCHEDULE,
        "give_up_at": None,
    }
    return Life(**{**rows, **changes})


def settled(state: str, attempts: int = 3, **changes: Any) -> dict[str, Any]:
    """Return a delivery that ended a minute ago."""
    return delivery(
        state=state,
        attempts=attempts,
        **{"next_attempt_at": None, "settled_at": ago(minutes=1), **changes},
    )
