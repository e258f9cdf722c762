"""What one call meant: an answer or a failure becomes an outcome. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple

EXCERPT_CHARACTERS_MAX = 1024
GONE = 410
#: Answers whose Retry-After pauses the whole endpoint.
SLOW_DOWN = (429, 503)
RETRY_AFTER_MAX = timedelta(hours=24)
#: What a receiver may ask for in its ``webhook-delivery`` header.
ABORT_MESSAGE = b"abort-message"
DISABLE_ENDPOINT = b"disable"


class Verdict(StrEnum):
    """What the dispatcher may do next with a delivery."""

    SUCCEEDED = "succeeded"  #: done
    RETRYABLE = "retryable"  #: try again on schedule
    PERMANENT = "permanent"  #: no attempt of this delivery can succeed


class Outcome(NamedTuple):
    """The meaning of one call, with what is worth keeping of the answer.

    ``disable`` is the reason to stop calling the endpoint altogether; ``pause_until`` holds all its
    deliveries back; ``blames_endpoint`` counts against its health.
    """

    verdict: Verdict
    status_code: int | None
    error: str | None
    excerpt: str | None = None
    disable: str | None = None
    pause_until: datetime | None = None
    blames_endpoint: bool = False

    @property
    def parks(self) -> bool:
        """Whether the delivery is given up though nobody answered: it cannot be processed."""
        return self.verdict is Verdict.PERMANENT and self.status_code is None


def classify_answer(
    status_code: int,
    headers: Iterable[tuple[bytes, bytes]],
    body: bytes,
    *,
    now: datetime,
    permanent_statuses: Collection[int] = (),
) -> Outcome:
    """Read an HTTP answer: 2xx succeeded, 410 gone, all else (3xx too) is tried again.

    A ``Retry-After`` of 429 and 503 pauses the endpoint, at most 24 hours; ``webhook-delivery``
    asks to abort this message or to disable the endpoint. ``permanent_statuses`` are the owner's
    own list of answers that no retry can mend.
    """
    wish, retry_after = _wishes(headers)
    excerpt = printable(body)
    if 200 <= status_code < 300 and wish != DISABLE_ENDPOINT:
        return Outcome(Verdict.SUCCEEDED, status_code, None, excerpt)
    outcome = _by_status(status_code, permanent_statuses)._replace(excerpt=excerpt)
    if wish == DISABLE_ENDPOINT:
        return outcome._replace(
            verdict=Verdict.PERMANENT, error="disabled_by_receiver", disable="receiver"
        )
    if wish == ABORT_MESSAGE and outcome.verdict is not Verdict.SUCCEEDED:
        return outcome._replace(
            verdict=Verdict.PERMANENT, error="aborted_by_receiver", blames_endpoint=False
        )
    if status_code in SLOW_DOWN and retry_after is not None:
        pause_until = parse_retry_after(retry_after, now)
        # A receiver that says when to come back is well: it is not blamed.
        if pause_until is not None:
            return outcome._replace(pause_until=pause_until, blames_endpoint=False)
    return outcome


def _by_status(status_code: int, permanent_statuses: Collection[int]) -> Outcome:
    if 200 <= status_code < 300:
        return Outcome(Verdict.SUCCEEDED, status_code, None)
    if status_code == GONE:
        return Outcome(Verdict.PERMANENT, status_code, "gone", disable="gone")
    error = f"http_{status_code // 100}xx"
    if status_code in permanent_statuses:
        return Outcome(Verdict.PERMANENT, status_code, error)
    return Outcome(Verdict.RETRYABLE, status_code, error, blames_endpoint=True)


def classify_failure(kind: str) -> Outcome:
    """Read a call that brought no answer; ``kind`` is a coarse class such as ``timeout``."""
    return Outcome(Verdict.RETRYABLE, None, kind, blames_endpoint=True)


def unprocessable(reason: str) -> Outcome:
    """Return the outcome that parks a delivery: it cannot even be sent, and stops nobody."""
    return Outcome(Verdict.PERMANENT, None, reason)


def parse_retry_after(value: bytes, now: datetime) -> datetime | None:
    """Return the instant ``Retry-After`` names (seconds or a date, RFC 9110 10.2.3), else None.

    It lies between now and 24 hours from now, whatever the receiver wrote.
    """
    text = value.decode("ascii", "replace").strip()
    if text.isascii() and text.isdigit():
        return now + min(timedelta(seconds=min(int(text[:12]), 10**9)), RETRY_AFTER_MAX)
    try:
        named = parsedate_to_datetime(text)
    except ValueError:
        return None
    if named.tzinfo is None:
        named = named.replace(tzinfo=UTC)
    return min(max(named.astimezone(UTC), now), now + RETRY_AFTER_MAX)


def printable(body: bytes) -> str | None:
    """Keep at most 1,024 characters of an answer as plain ASCII without control codes."""
    if not body:
        return None
    text = body[:EXCERPT_CHARACTERS_MAX].decode("ascii", "replace").replace("\ufffd", "?")
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)


def _wishes(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, bytes | None]:
    """Return what the receiver asks for: its ``webhook-delivery`` and its ``retry-after``."""
    wish, retry_after = b"", None
    for name, value in headers:
        if len(name) == 16 and name.lower() == b"webhook-delivery":
            wish = value.strip().lower()
        elif len(name) == 11 and name.lower() == b"retry-after":
            retry_after = value
    return wish, retry_after
