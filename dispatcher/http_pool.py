"""Idle kept-alive connections: the newest is taken first, the oldest is given up first. Pure.

It decides and does no input or output: what it gives up is returned for the caller to close.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Pooled(Protocol):
    """Something with a key that says what it is connected to."""

    @property
    def key(self) -> Hashable:
        """What it can be reused for."""
        ...


PooledT = TypeVar("PooledT", bound=Pooled)


class IdlePool(Generic[PooledT]):
    """Holds idle connections by key; every operation costs the same whatever it holds."""

    def __init__(self, *, total_max: int, per_key_max: int, idle_seconds: float) -> None:
        """Hold at most ``total_max``, of one key at most ``per_key_max``, each ``idle_seconds``."""
        self._total_max = total_max
        self._per_key_max = per_key_max
        self._idle_seconds = idle_seconds
        #: In the order they fell idle; the value is when their time is over.
        self._expiries: OrderedDict[PooledT, float] = OrderedDict()
        self._by_key: dict[Hashable, dict[PooledT, None]] = {}

    def __len__(self) -> int:
        """Return how many connections are idle."""
        return len(self._expiries)

    @property
    def next_expiry_at(self) -> float | None:
        """When the oldest connection's time is over, or None when there is none."""
        return next(iter(self._expiries.values()), None)

    def take(self, key: Hashable) -> PooledT | None:
        """Take out the connection that fell idle last, or return None."""
        stack = self._by_key.get(key)
        if stack is None:
            return None
        connection, _ = stack.popitem()
        if not stack:
            del self._by_key[key]
        del self._expiries[connection]
        return connection

    def put(self, connection: PooledT, now: float) -> PooledT | None:
        """Hold ``connection``; return the one to close for it, which may be itself."""
        stack = self._by_key.setdefault(connection.key, {})
        if len(stack) >= self._per_key_max:
            return connection
        stack[connection] = None
        self._expiries[connection] = now + self._idle_seconds
        if len(self._expiries) <= self._total_max:
            return None
        oldest = next(iter(self._expiries))
        self.discard(oldest)
        return oldest

    def discard(self, connection: PooledT) -> None:
        """Stop holding ``connection``, if it is held."""
        if self._expiries.pop(connection, None) is None:
            return
        stack = self._by_key[connection.key]
        del stack[connection]
        if not stack:
            del self._by_key[connection.key]

    def take_expired(self, now: float) -> list[PooledT]:
        """Take out and return those whose time is over at ``now``."""
        expired = []
        for connection, expires_at in self._expiries.items():
            if expires_at > now:
                break
            expired.append(connection)
        for connection in expired:
            self.discard(connection)
        return expired
