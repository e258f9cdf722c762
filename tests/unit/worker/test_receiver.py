"""What the receiver makes of one request: verified or not, answered in turn, logged."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from dispatcher.signing import decode_secret, new_secret, signature_header
from worker.receiver import Callback, Receiver, Secrets, log_line, statuses

BODY = b'{"event":"webhook.test"}'


def signed(secret: str, body: bytes = BODY, *, age_seconds: int = 0) -> dict[str, str]:
    """Return the headers our signer puts on a body."""
    timestamp = int(time.time()) - age_seconds
    return {
        "webhook-id": "0191-x",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_header([decode_secret(secret)], "0191-x", timestamp, body),
    }


def receiver(**options: object) -> Receiver:
    """Return a receiver that keeps nothing."""
    nothing: Callable[[Callback], None] = lambda _callback: None  # noqa: E731  # a lambda reads best
    return Receiver(nothing, **options)  # type: ignore[arg-type]  # each test gives what fits


def test_what_we_sign_the_public_library_verifies() -> None:
    """A callback signed by the dispatcher is accepted with the same secret."""
    secret = new_secret()
    assert Secrets([new_secret(), secret]).verify(BODY, signed(secret)) is True


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, BODY),
        ({"webhook-id": "a", "webhook-timestamp": "x", "webhook-signature": "v1,AA=="}, BODY),
        ({"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "nonsense"}, BODY),
        (None, BODY + b" "),
        (None, b"\xff\xfe"),
    ],
)
def test_what_nobody_signed_is_refused(headers: dict[str, str] | None, body: bytes) -> None:
    """Missing or malformed headers and altered bytes are unverified, never an error."""
    secret = new_secret()
    given = signed(secret) if headers is None else headers
    assert Secrets([secret]).verify(body, given) is False


def test_an_old_message_is_refused() -> None:
    """A signature of six minutes ago could be somebody's recording."""
    secret = new_secret()
    assert Secrets([secret]).verify(BODY, signed(secret, age_seconds=360)) is False


def test_without_a_secret_nothing_is_judged() -> None:
    """Neither verified nor refused: there is nothing to verify with."""
    assert Secrets().verify(BODY, signed(new_secret())) is None


def test_a_secret_that_is_no_base64_is_refused_at_once() -> None:
    """A mistyped secret is an error at the start, not a refusal of every callback."""
    with pytest.raises(ValueError, match=r"."):
        Secrets(["whsec_a"])


def test_a_secret_file_is_read_again_when_it_changes(tmp_path: Path) -> None:
    """A secret rotated while the receiver runs is known at the next callback."""
    file, old, new = tmp_path / "secrets", new_secret(), new_secret()
    secrets = Secrets(file=file)
    assert secrets.verify(BODY, signed(old)) is None
    file.write_text(old)
    assert secrets.verify(BODY, signed(old)) is True
    assert secrets.verify(BODY, signed(new)) is False
    file.write_text(f"{old}\n{new}\n")
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert secrets.verify(BODY, signed(new)) is True


def test_statuses_are_given_in_turn_and_the_last_for_ever() -> None:
    """``500,500,200`` fails twice and then accepts everything."""
    found = receiver(respond=(500, 500, 200))
    given = [found.take("/", {}, BODY).status for _ in range(5)]
    assert [500, 500, 200, 200, 200] == given


@pytest.mark.parametrize(
    ("body", "event"),
    [(BODY, "webhook.test"), (b"[1]", ""), (b"not json", ""), (b'{"DeliverID":"x"}', "")],
)
def test_the_event_is_named_where_the_body_names_it(body: bytes, event: str) -> None:
    """A body of another profile, or no JSON at all, has no event's name."""
    assert event == receiver().take("/", {}, body).event


def test_statuses_are_read_from_text() -> None:
    """Blanks around a status are allowed."""
    assert [500, 200] == statuses("500, 200")


@pytest.mark.parametrize("text", ["", "abc", "99", "200,", "600"])
def test_what_is_no_status_is_refused(text: str) -> None:
    """A status is a number from 200 to 599."""
    with pytest.raises(ValueError, match=r"."):
        statuses(text)


def test_a_line_of_the_log_says_what_came_and_what_was_answered() -> None:
    """The line holds everything a proof needs, and the body only as its digest."""
    callback = Callback(1.5, "id-1", "webhook.test", verified=True, status=503, body=BODY, path="/")
    line = log_line(callback)
    assert line.endswith(b"\n")
    assert {
        "received_at": 1.5,
        "id": "id-1",
        "event": "webhook.test",
        "verified": True,
        "status": 503,
        "body_sha256": hashlib.sha256(BODY).hexdigest(),
    } == orjson.loads(line)
