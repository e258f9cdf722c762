"""What one call meant: an answer or a failure becomes an outcome. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

EXCERPT_CHARACTERS_MAX = 1024
GONE = 410


class Verdict(StrEnum):
    """What the dispatcher may do next with a delivery."""

    SUCCEEDED = "succeeded"  #: done
    RETRYABLE = "retryable"  #: try again on schedule
    PERMANENT = "permanent"  #: no attempt of this delivery can succeed


class Outcome(NamedTuple):
    """The meaning of one call, with what is worth keeping of the answer.

    ``disable`` is the reason to stop calling the endpoint altogether, or None.
    """

    verdict: Verdict
    status_code: int | None
    error: str | None
    excerpt: str | None = None
    disable: str | None = None


def classify_answer(status_code: int, body: bytes) -> Outcome:
    """Read an HTTP answer: 2xx succeeded, 410 gone, all else (3xx too) is tried again."""
    excerpt = printable(body)
    if 200 <= status_code < 300:
        return Outcome(Verdict.SUCCEEDED, status_code, None, excerpt)
    if status_code == GONE:
        return Outcome(Verdict.PERMANENT, status_code, "gone", excerpt, disable="gone")
    return Outcome(Verdict.RETRYABLE, status_code, f"http_{status_code // 100}xx", excerpt)


def classify_failure(kind: str) -> Outcome:
    """Read a call that brought no answer; ``kind`` is a coarse class such as ``timeout``."""
    return Outcome(Verdict.RETRYABLE, None, kind)


def unprocessable(reason: str) -> Outcome:
    """Park a delivery that cannot even be sent, so that it stops nobody."""
    return Outcome(Verdict.PERMANENT, None, reason)


def printable(body: bytes) -> str | None:
    """Keep at most 1,024 characters of an answer as plain ASCII without control codes."""
    if not body:
        return None
    text = body[:EXCERPT_CHARACTERS_MAX].decode("ascii", "replace").replace("\ufffd", "?")
    return "".join(character if character.isprintable() else " " for character in text)
