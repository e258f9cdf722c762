"""Hints: "look now". They carry ids, never payloads, and losing any of them costs latency only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

#: Mailboxes one drain hint names at most.
MAILBOXES_PER_HINT = 100


class Hints(Protocol):
    """Where hints are sent; the worker's broker implements it."""

    def relay(self) -> None:
        """Say that the outbox holds something."""
        ...

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Say that these mailboxes are due."""
        ...


class NoHints:
    """Sends nothing: the sweep finds everything by itself."""

    def relay(self) -> None:
        """Drop the hint."""

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Drop the hint."""


NO_HINTS: Hints = NoHints()


def in_batches(endpoint_ids: Sequence[str]) -> list[Sequence[str]]:
    """Cut a list of mailboxes into hints of at most ``MAILBOXES_PER_HINT``."""
    return [
        endpoint_ids[start : start + MAILBOXES_PER_HINT]
        for start in range(0, len(endpoint_ids), MAILBOXES_PER_HINT)
    ]
