"""Poison: a delivery that kills the process again and again is found out and parked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from datetime import datetime

from sqlalchemy import exists, update

from config.crash_points import C15_MARKED_DEAD, at
from dispatcher.due import Due
from dispatcher.mailboxes import Lease
from dispatcher.states import DeliveryState
from dispatcher.tables import attempts, deliveries, mailboxes
from engine.database import Database

#: Leases that must run out in a row before deliveries are tried one at a time.
CRASHES_MAX = 3


class Trial:
    """Lets suspects go one at a time in a process, each named while it is in the air.

    A process that dies leaves all its mailboxes: were one named in each, all but one of those who
    are parked for it would be innocent.
    """

    def __init__(self, database: Database, executor: Executor) -> None:
        """Name in ``database``, on the threads of ``executor``."""
        self._database, self._executor = database, executor
        self._turn = asyncio.Lock()

    async def of(
        self, held: Lease, due: Due, deliver: Callable[[Due], Awaitable[None]], seconds: float
    ) -> bool:
        """Deliver one suspect alone; False where its turn did not come within ``seconds``."""
        try:
            await asyncio.wait_for(self._turn.acquire(), max(0.0, seconds))
        except TimeoutError:
            return False
        try:
            await self._name(held, due.delivery_id)
            await deliver(due)
            await self._name(held, None)
        finally:
            self._turn.release()
        return True

    async def _name(self, held: Lease, delivery_id: str | None) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, name_suspect, self._database, held, delivery_id)


def name_suspect(database: Database, held: Lease, delivery_id: str | None) -> None:
    """Write down what is about to be tried (None: nothing is), so that a crash points at it."""
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
