"""One timer for the deadlines of all calls: one each would be set and cancelled for nothing."""

from __future__ import annotations

import asyncio
from typing import Protocol

#: Deadlines that pass close together end together; none is noticed later than this.
TICK_SECONDS = 0.05
NEVER = float("inf")


class Expiring(Protocol):
    """Something that can be told that its time is over."""

    def expire(self) -> None:
        """End now, as out of time."""
        ...


class DeadlineWatch:
    """Ends what is still watched when its deadline passes.

    Watching and forgetting are dictionary operations. The timer stands at the earliest deadline it
    has seen; as most calls end long before theirs, it fires about once per deadline's length.
    """

    def __init__(self) -> None:
        """Watch nothing."""
        self._deadlines: dict[Expiring, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def __len__(self) -> int:
        """Return how many calls are watched."""
        return len(self._deadlines)

    def watch(self, call: Expiring, deadline_at: float) -> None:
        """End ``call`` at ``deadline_at`` (the loop's time) unless it is forgotten before."""
        self._deadlines[call] = deadline_at
        if deadline_at < self._timer_at:
            self._set_timer(deadline_at)

    def forget(self, call: Expiring) -> None:
        """Stop watching ``call``."""
        self._deadlines.pop(call, None)

    def close(self) -> None:
        """Forget everything, ending nothing."""
        self._deadlines.clear()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, NEVER

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._tick)
        self._timer_at = at

    def _tick(self) -> None:
        now = asyncio.get_running_loop().time()
        self._timer, self._timer_at = None, NEVER
        for call in [call for call, at in self._deadlines.items() if at <= now]:
            del self._deadlines[call]
            call.expire()
        if self._deadlines:
            self._set_timer(max(min(self._deadlines.values()), now + TICK_SECONDS))
