"""The headers of an attempt: Standard Webhooks, one id for all, its own time and signature."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dispatcher.request import build_headers
from dispatcher.signing import verify

NOW = datetime(2026, 3, 2, 9, 30, 15, 999_000, tzinfo=UTC)
BODY = b'{"event":"webhook.test"}'
OLD, NEW = b"o" * 32, b"n" * 32


def built(now: datetime = NOW, body: bytes = BODY) -> dict[str, str]:
    """Return the headers of an attempt signed with both secrets."""
    pairs = build_headers(message_id="m1", body=body, secrets=[NEW, OLD], now=now)
    assert len(pairs) == len(dict(pairs))
    return {name.decode(): value.decode() for name, value in pairs}


def test_an_attempt_has_exactly_these_headers() -> None:
    """Who sends, what it is, and the three of Standard Webhooks; the time is whole seconds."""
    headers = built()
    expected = ["user-agent", "content-type", "webhook-id", "webhook-timestamp"]
    assert [*expected, "webhook-signature"] == list(headers)
    assert "application/json" == headers["content-type"]
    assert headers["user-agent"].startswith("Tillbell/")
    assert ("m1", "1772443815") == (headers["webhook-id"], headers["webhook-timestamp"])


def test_either_secret_verifies_the_exact_bytes() -> None:
    """The signature covers id, time and body, once for each secret that is valid."""
    headers = built()
    for secret in (OLD, NEW):
        verify([secret], headers, BODY, now=NOW)
    assert 2 == len(headers["webhook-signature"].split())


def test_a_later_attempt_keeps_the_id_and_signs_its_own_time() -> None:
    """A retry differs from the first attempt in time and signature only."""
    first, second = built(), built(NOW + timedelta(seconds=5))
    differing = {name for name in first if first[name] != second[name]}
    assert {"webhook-timestamp", "webhook-signature"} == differing
