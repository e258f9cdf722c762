"""One delivery with its surroundings at one instant, and the words for what is in it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

Row = Mapping[str, Any]

#: What a call that brought no answer is called in a sentence (dispatcher.errors.FailureKind).
FAILURES = {
    "blocked_address": "was not made: the address may not be called (egress rules)",
    "dns": "failed: the name could not be resolved",
    "connect": "failed: no connection could be made",
    "tls": "failed: the certificate or the TLS handshake was refused",
    "timeout": "failed: no whole answer within the deadline",
    "protocol": "failed: what came back was not HTTP",
    "reset": "failed: the connection broke off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One delivery with its surroundings, as rows, at one instant.

    ``pattern`` is the first of the endpoint's that covers the event's type today; ``replays`` are
    those whose selection covers the delivery, oldest first; ``ahead`` counts the open deliveries of
    the endpoint that fall due before it. Rows that retention removed are None.
    """

    now: datetime
    delivery: Row
    attempts: Sequence[Row]
    event: Row | None
    endpoint: Row | None
    mailbox: Row | None
    replays: Sequence[Row]
    pattern: str | None
    ahead: int
    schedule_seconds: Sequence[int]
    give_up_at: datetime | None

    @property
    def made(self) -> int:
        """How many attempts of the running schedule were made."""
        return int(self.delivery["attempts"] - self.delivery["attempts_before"])


class Sentence(NamedTuple):
    """One thing to know: what it is about, a stable code for programs, when, and in words."""

    about: str
    code: str
    at: datetime | None
    text: str


def clock(at: datetime) -> str:
    """Return an instant as it stands in a sentence: ``2026-03-02 09:30:05Z``."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"


def ahead(at: datetime, now: datetime) -> str:
    """Return an instant with how far away it is: ``2026-03-02 09:30:05Z (in 5 min)``."""
    away = at - now
    words = f"in {span(away)}" if away > timedelta() else f"{span(-away)} ago"
    return f"{clock(at)} ({words})"


def span(length: timedelta) -> str:
    """Return a length of time in its largest unit: ``12 ms``, ``45 s``, ``12 min``, ``7 h``."""
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    for unit_seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit_seconds:
            return f"{int(seconds // unit_seconds)} {unit}"
    return f"{int(seconds)} s"


def answer(status_code: int | None, error: str | None) -> str:
    """Return what came back as the end of a sentence: ``brought HTTP 500``."""
    if status_code is not None:
        return f"brought HTTP {status_code}"
    if error is None:
        return "left no record"
    return FAILURES.get(error, f"ended with {error}")
