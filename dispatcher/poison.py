"""Poison: a delivery that kills the process again and again is found out and parked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import exists, update

from config.crash_points import C15_MARKED_DEAD, at
from dispatcher.mailboxes import Lease
from dispatcher.states import DeliveryState
from dispatcher.tables import attempts, deliveries, mailboxes
from engine.database import Database

#: Leases that must run out in a row before deliveries are tried one at a time.
CRASHES_MAX = 3


def name_suspect(database: Database, held: Lease, delivery_id: str) -> None:
    """Write down what is about to be tried, so that a crash points at it."""
    with database.write() as connection:
        connection.execute(
            update(mailboxes)
            .where(mailboxes.c.endpoint_id == held.endpoint_id)
            .where(mailboxes.c.lease_token == held.token)
            .values(suspect_delivery_id=delivery_id)
        )


def park(database: Database, delivery_id: str, now: datetime) -> bool:
    """Give up a delivery for good, if it is still open; tell whether it was.

    An attempt that was written down too late to count did not kill anybody: its process stood still
    for longer than its lease, and the delivery is innocent.
    """
    survived = exists().where(
        attempts.c.delivery_id == deliveries.c.id, attempts.c.number > deliveries.c.attempts
    )
    with database.write() as connection:
        parked = connection.execute(
            update(deliveries)
            .where(deliveries.c.id == delivery_id, deliveries.c.next_attempt_at.is_not(None))
            .where(~survived)
            .values(
                state=DeliveryState.FAILED,
                next_attempt_at=None,
                last_error="poison",
                settled_at=now,
            )
        )
        at(C15_MARKED_DEAD)
    return parked.rowcount == 1
