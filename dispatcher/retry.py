"""When the next attempt is due. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds to wait before attempt 1, 2, 3 … and the share by which each wait is spread.

    ``schedule_seconds[0]`` is the wait before the first attempt: its length is the attempts made.
    """

    schedule_seconds: Sequence[int]
    jitter: float = 0.2

    def next_attempt_at(self, made: int, now: datetime, spread: float) -> datetime | None:
        """Return when to try again after ``made`` attempts, or None when the schedule is used up.

        ``spread`` is a random number in [0, 1): 0.5 is the wait exactly, 0 and 1 are its edges.
        """
        if made >= len(self.schedule_seconds):
            return None
        factor = 1 + self.jitter * (2 * spread - 1)
        return now + timedelta(seconds=self.schedule_seconds[made] * factor)
