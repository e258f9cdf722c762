"""Where the time comes from; decisions receive it as a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that can say what time it is."""

    def now(self) -> datetime:
        """Return the current instant, aware, in UTC."""
        ...

    def sync(self) -> None:
        """Ask the source again if the last answer is old; called between batches."""
        ...


class SystemClock:
    """The clock of this machine; only for logs and where no database is at hand."""

    def now(self) -> datetime:
        """Return the machine's current instant."""
        return datetime.now(UTC)

    def sync(self) -> None:
        """Do nothing: it is the source."""


class FixedClock:
    """A clock that stands still until it is told to move: for tests, ``--as-of`` and the demo."""

    def __init__(self, at: datetime) -> None:
        """Start at ``at``, which must be aware."""
        self.set(at)

    def now(self) -> datetime:
        """Return the instant it was last set to."""
        return self._at

    def sync(self) -> None:
        """Do nothing: it moves only when told."""

    def advance(self, step: timedelta) -> None:
        """Move forward (or back) by ``step``."""
        self._at += step

    def set(self, at: datetime) -> None:
        """Jump to ``at``, which must be aware."""
        if at.tzinfo is None:
            msg = "a fixed clock needs an aware instant"
            raise ValueError(msg)
        self._at = at.astimezone(UTC)
