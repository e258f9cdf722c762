"""How long an event is worth sending: by its endpoint, by its type, by default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from dispatcher.retry import RetryPolicy
from dispatcher.tables import delivery_policies
from engine.catalogue import require_types
from engine.errors import InvalidInput
from engine.unit_of_work import UnitOfWork

WAITS_MAX = 50
WAIT_SECONDS_MAX = 604_800
WITHIN_SECONDS_MAX = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Worth:
    """The schedule of one kind of event to one endpoint, and for how long it is worth sending."""

    policy: RetryPolicy
    within: timedelta | None

    def give_up_at(self, created_at: datetime) -> datetime | None:
        """Return the instant after which nobody wants it any more."""
        return None if self.within is None else created_at + self.within


def worth(
    default: RetryPolicy,
    *,
    endpoint_schedule: Sequence[int] | None,
    endpoint_within_seconds: int | None,
    event_policy: Mapping[str, Any] | None,
) -> Worth:
    """Choose the schedule: the endpoint's, else the event type's, else the default.

    Of two deadlines the earlier counts.
    """
    event = event_policy or {}
    schedule = endpoint_schedule or event.get("retry_schedule")
    policy = RetryPolicy(tuple(schedule), default.jitter) if schedule else default
    limits = [endpoint_within_seconds, event.get("deliver_within_seconds")]
    seconds = min((limit for limit in limits if limit is not None), default=None)
    return Worth(policy, None if seconds is None else timedelta(seconds=seconds))


def event_policies(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return what is set per event type."""
    rows = connection.execute(select(delivery_policies)).mappings()
    return {row["event_type"]: dict(row) for row in rows}


def set_event_policy(
    work: UnitOfWork,
    event_type: str,
    *,
    retry_schedule: Sequence[int] | None = None,
    deliver_within_seconds: int | None = None,
) -> dict[str, Any] | None:
    """Set, or with nothing given remove, what a type is worth; return what holds now.

    Raises UnknownEventType, or InvalidInput naming the field.
    """
    require_types(work.connection, [event_type])
    row = {
        "event_type": event_type,
        "retry_schedule": check_schedule(retry_schedule),
        "deliver_within_seconds": check_within(deliver_within_seconds),
        "updated_at": work.now,
    }
    if retry_schedule is None and deliver_within_seconds is None:
        same = delivery_policies.c.event_type == event_type
        work.connection.execute(delete(delivery_policies).where(same))
        return None
    kind = work.connection.dialect.name
    dialect_insert = sqlite.insert if kind == "sqlite" else postgresql.insert
    work.connection.execute(
        dialect_insert(delivery_policies)
        .values(row)
        .on_conflict_do_update(index_elements=["event_type"], set_=row)
    )
    return row


def check_schedule(waits: Sequence[int] | None) -> list[int] | None:
    """Return 1 to 50 waits of 0 to 604,800 seconds, or raise InvalidInput."""
    if waits is None:
        return None
    sound = all(isinstance(each, int) and 0 <= each <= WAIT_SECONDS_MAX for each in waits)
    if not 1 <= len(waits) <= WAITS_MAX or not sound:
        raise InvalidInput(
            f"a schedule has 1 to {WAITS_MAX} waits of 0 to {WAIT_SECONDS_MAX} seconds",
            field="retry_schedule",
            value=list(waits),
        )
    return list(waits)


def check_within(seconds: int | None) -> int | None:
    """Return a deadline of 1 second to 30 days, or raise InvalidInput."""
    if seconds is not None and not 1 <= seconds <= WITHIN_SECONDS_MAX:
        raise InvalidInput(
            f"deliver_within_seconds {seconds} is not between 1 and {WITHIN_SECONDS_MAX}",
            field="deliver_within_seconds",
            value=seconds,
        )
    return seconds
