"""Caps of one process on how much one tenant, or one host, may have in flight at once."""

from __future__ import annotations

import asyncio
from collections import deque


class KeyedSlots:
    """At most ``cap`` holders of each key at once; who waits is served in the order of arrival."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    def held(self, key: str) -> int:
        """Return how many hold this key now."""
        return self._held.get(key, 0)

    def take_now(self, key: str) -> bool:
        """Take a slot of ``key`` if one is free."""
        held = self._held.get(key, 0)
        if held >= self.cap:
            return False
        self._held[key] = held + 1
        return True

    async def take(self, key: str) -> None:
        """Take a slot of ``key``, waiting for one when all are held."""
        if self.take_now(key):
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, deque()).append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # The slot may have been handed over in the same moment: it goes on to the next.
            if waiter.done() and not waiter.cancelled():
                self.give(key)
            raise

    def give(self, key: str) -> None:
        """Give a slot back: to the one who waited longest, else to nobody."""
        if key in self._waiting and self._hand_over(key):
            return
        held = self._held[key] - 1
        if held > 0:
            self._held[key] = held
        else:
            del self._held[key]

    def _hand_over(self, key: str) -> bool:
        """Give a slot to whoever waited longest; False when nobody waits any more."""
        waiting = self._waiting[key]
        while waiting:
            waiter = waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return True
        del self._waiting[key]
        return False


class Pace:
    """Spreads calls evenly over time: never more than ``per_second`` begin within a second."""

    def __init__(self, per_second: float | None, begins_at: float) -> None:
        self._gap = 0.0 if per_second is None else 1 / per_second
        self._next_at = begins_at

    def book(self, now: float) -> float:
        """Return when the next call may begin, and count it; both on the loop's clock."""
        if not self._gap:
            return now
        begins_at = max(now, self._next_at)
        self._next_at = begins_at + self._gap
        return begins_at

    def wait_seconds(self, now: float) -> float:
        """Return how long a call that wants to begin now would wait."""
        return max(0.0, self._next_at - now) if self._gap else 0.0
