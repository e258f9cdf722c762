"""Headers of one attempt: who sends, what it is, and the signature over the exact bytes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dispatcher import shoppex
from dispatcher.signing import signature_header

USER_AGENT = b"Tillbell/0.1 (+webhooks)"


def build_headers(
    *,
    message_id: str,
    body: bytes,
    secrets: Sequence[bytes],
    now: datetime,
    key_pairs: Sequence[bytes] = (),
    profile: str = "envelope",
    event: str = "",
) -> list[tuple[bytes, bytes]]:
    """Return the headers of one attempt besides the transport's own (Standard Webhooks 1.0).

    The id stays the same over every retry and replay; timestamp and signature are the attempt's.
    Headers of a profile stand beside the standard ones, so that a receiver can migrate.
    """
    timestamp = int(now.timestamp())
    signature = signature_header(secrets, message_id, timestamp, body, key_pairs=key_pairs)
    made = [
        (b"user-agent", USER_AGENT),
        (b"content-type", b"application/json"),
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", b"%d" % timestamp),
        (b"webhook-signature", signature.encode()),
    ]
    if profile == "shoppex":
        made += shoppex.headers(
            secrets[0], message_id=message_id, event=event, timestamp=timestamp, body=body
        )
    return made
