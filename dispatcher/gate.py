"""The gate every call of a process goes through: how many may be out at once, and for whom.

A hundred calls keep a processor busy when receivers answer at once, and each one more only makes
all of them dearer (measured: 25 microseconds a call with 50 out, 37 with 500). Slow receivers need
thousands out. So a call counts as young for its first moments, and only so many are young at once;
one that lasts grows old and makes room for the next, up to the total.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from dispatcher.limits import KeyedSlots

YOUNG_MAX = 100
#: A call is young for one of these and part of the next: the loop has looked for its answer twice.
YOUNG_SECONDS = 0.005


@dataclass(slots=True, eq=False)
class Place:
    """One call that is out."""

    tenant_id: str
    host: str
    young: bool = True


class Gate:
    """Lets calls out within the caps of the process, of a tenant and of a host; first come first.

    It belongs to one event loop.
    """

    def __init__(self, *, in_flight_max: int, tenant_max: int, host_max: int) -> None:
        self._in_flight_max = in_flight_max
        self._tenants = KeyedSlots(tenant_max)
        self._hosts = KeyedSlots(host_max)
        self._in_flight = self._young = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._recent: list[Place] = []
        self._older: list[Place] = []
        self._clock: asyncio.TimerHandle | None = None

    @property
    def has_room(self) -> bool:
        """Whether one more call could go out at once."""
        return (
            not self._waiting and self._young < YOUNG_MAX and self._in_flight < self._in_flight_max
        )

    def enter_now(self, tenant_id: str, host: str) -> Place | None:
        """Let a call out if it need not wait."""
        if not self.has_room or not self._tenants.take_now(tenant_id):
            return None
        if not self._hosts.take_now(host):
            self._tenants.give(tenant_id)
            return None
        self._count_in()
        return self._begin(tenant_id, host)

    async def enter(self, tenant_id: str, host: str) -> Place:
        """Wait until a call may go out; who enters must leave."""
        await self._tenants.take(tenant_id)
        try:
            await self._hosts.take(host)
        except asyncio.CancelledError:
            self._tenants.give(tenant_id)
            raise
        try:
            if self.has_room:
                self._count_in()
            else:
                await self._wait()
        except asyncio.CancelledError:
            self._hosts.give(host)
            self._tenants.give(tenant_id)
            raise
        return self._begin(tenant_id, host)

    def leave(self, place: Place) -> None:
        """Say that a call is over."""
        self._in_flight -= 1
        self._grow_old(place)
        self._hosts.give(place.host)
        self._tenants.give(place.tenant_id)
        if self._waiting:
            self._let_in()

    def close(self) -> None:
        """Stop the clock."""
        if self._clock is not None:
            self._clock.cancel()

    def _begin(self, tenant_id: str, host: str) -> Place:
        place = Place(tenant_id, host)
        self._recent.append(place)
        if self._clock is None:
            self._clock = asyncio.get_running_loop().call_later(YOUNG_SECONDS, self._tick)
        return place

    def _count_in(self) -> None:
        self._in_flight += 1
        self._young += 1

    async def _wait(self) -> None:
        """Wait for a place; it is counted by whoever hands it over."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._in_flight -= 1
                self._young -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting:
            if self._young >= YOUNG_MAX or self._in_flight >= self._in_flight_max:
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._count_in()
                waiter.set_result(None)

    def _grow_old(self, place: Place) -> None:
        if place.young:
            place.young = False
            self._young -= 1

    def _tick(self) -> None:
        """Let those grow old that were out before the last tick already."""
        for place in self._older:
            self._grow_old(place)
        self._older, self._recent = self._recent, []
        busy = self._older or self._waiting
        self._clock = (
            asyncio.get_running_loop().call_later(YOUNG_SECONDS, self._tick) if busy else None
        )
        self._let_in()
