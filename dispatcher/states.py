"""States of a delivery and of an endpoint, and what a response can mean. Pure."""

from __future__ import annotations

from enum import StrEnum


class DeliveryState(StrEnum):
    """Where a delivery stands; "in flight" is its mailbox's lease, not a state."""

    PENDING = "pending"  #: no attempt yet
    RETRYING = "retrying"  #: the last attempt failed, another is scheduled
    SUCCEEDED = "succeeded"  #: the receiver answered 2xx
    FAILED = "failed"  #: the schedule is used up, or the receiver or we gave up
    CANCELLED = "cancelled"  #: nothing will be sent: endpoint disabled, deleted, or deaf to it


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.RETRYING)
SETTLED_STATES = (DeliveryState.SUCCEEDED, DeliveryState.FAILED, DeliveryState.CANCELLED)


class EndpointState(StrEnum):
    """Whether an endpoint is being called."""

    ACTIVE = "active"  #: deliveries flow
    PAUSED = "paused"  #: deliveries wait without burning attempts
    DISABLED = "disabled"  #: deliveries are cancelled until it is enabled again


class Trigger(StrEnum):
    """Why an attempt was made."""

    SCHEDULED = "scheduled"  #: by the retry schedule
    MANUAL = "manual"  #: by a replay
