"""Which of two messages about an order is the newer: what is older than what was applied is late.

Messages overtake each other on their way. Numbers decide where both have one, else the upstream's
own clock; document 000's have neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, case, or_, true, update

from engine.unit_of_work import UnitOfWork
from engine.upstream_tables import upstream_orders
from reconciler.upstream_reading import Reading

_TABLE = upstream_orders.c


def take(work: UnitOfWork, linked: Mapping[str, Any], reading: Reading) -> bool:
    """Claim an order for a message with one guarded update; False when a newer one has it.

    The claim keeps the row to the end of the transaction: of two messages at once, the older either
    made its step before the newer looked, or makes none.
    """
    if reading.sequence is None and reading.occurred_at is None:
        return True
    claim: dict[str, Any] = {}
    if reading.sequence is not None:
        claim["seen_sequence"] = reading.sequence
    if reading.occurred_at is not None:
        later = or_(
            _TABLE.seen_occurred_at.is_(None), _TABLE.seen_occurred_at < reading.occurred_at
        )
        claim["seen_occurred_at"] = case(
            (later, reading.occurred_at), else_=_TABLE.seen_occurred_at
        )
    taken = work.connection.execute(
        update(upstream_orders).where(_mine(linked), _not_late(reading)).values(claim)
    )
    return taken.rowcount == 1


def count_late(work: UnitOfWork, linked: Mapping[str, Any]) -> None:
    """Count a message that came too late to mean anything."""
    counted = {"late": _TABLE.late + 1}
    work.connection.execute(update(upstream_orders).where(_mine(linked)).values(counted))


def _mine(linked: Mapping[str, Any]) -> ColumnElement[bool]:
    return and_(
        _TABLE.upstream_id == linked["upstream_id"], _TABLE.reference == linked["reference"]
    )


def _not_late(reading: Reading) -> ColumnElement[bool]:
    by_time: ColumnElement[bool] = true()
    if reading.occurred_at is not None:
        by_time = or_(
            _TABLE.seen_occurred_at.is_(None), _TABLE.seen_occurred_at <= reading.occurred_at
        )
    if reading.sequence is None:
        return by_time
    unnumbered = and_(_TABLE.seen_sequence.is_(None), by_time)
    return or_(_TABLE.seen_sequence <= reading.sequence, unnumbered)
