"""Profile ``shoppex``: the body, names, headers and signature of document 002. Pure.

Its own documentation signs ``<delivery id>.<timestamp>.<raw body>`` by ``createHmac('sha256',
secret)`` with the secret as its owner was shown it, so the key is the text ``whsec_…`` itself,
unlike Standard Webhooks, whose key are the bytes that text stands for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from hmac import HMAC, compare_digest

import orjson

from dispatcher.errors import SignatureRefused
from dispatcher.signing import encode_secret, keyed_hash, signed_content

#: The events of document 002 that have another name here; every other name has colons for dots.
NAMES = {
    "payout.requested": "reseller:payout_requested",
    "stock_transfer.requested": "reseller:stock_purchase_requested",
    "fulfillment.delivered": "reseller:api_fulfillment_delivered",
    "stock_transfer.paid": "reseller:stock_purchase_paid",
    "stock_transfer.allocated": "reseller:stock_allocated",
    "stock_item.delivered": "reseller:stock_item_delivered",
}


def event_name(event: str) -> str:
    """Return the colon name of one of our event types."""
    return NAMES.get(event) or event.replace(".", ":")


def render(envelope: bytes) -> bytes:
    """Return ``{"event","data","created_at"}``: ``created_at`` in unix seconds, ``data`` as it is.

    Numbers are copied as they are written: an amount keeps its currency's digits.
    """
    event = json.loads(envelope, parse_float=orjson.Fragment, parse_int=orjson.Fragment)
    happened_at = datetime.fromisoformat(event["timestamp"])
    return orjson.dumps(
        {
            "event": event_name(event["event"]),
            "data": event["data"],
            "created_at": int(happened_at.timestamp()),
        }
    )


def headers(
    secret: bytes, *, message_id: str, event: str, timestamp: int, body: bytes
) -> list[tuple[bytes, bytes]]:
    """Return the headers document 002 knows; they hold one signature, so one secret makes it."""
    keyed = _keyed_by_text(secret).copy()
    keyed.update(signed_content(message_id, timestamp, body))
    return [
        (b"x-shoppex-event", event_name(event).encode()),
        (b"x-shoppex-delivery", message_id.encode()),
        (b"x-shoppex-timestamp", b"%d" % timestamp),
        (b"x-shoppex-signature-v2", f"v1,t={timestamp},h={keyed.hexdigest()}".encode()),
        (b"x-shoppex-signature-v2-algorithm", b"HMAC-SHA256"),
    ]


@lru_cache(10_000)
def _keyed_by_text(secret: bytes) -> HMAC:
    return keyed_hash(encode_secret(secret).encode())


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    tolerance_seconds: int = 300,
) -> str:
    """Return the delivery id of a message that is signed lately with this secret (document 002).

    ``secret`` is the text its owner was shown; header names are in lower case. Raises
    SignatureRefused.
    """
    delivery_id = headers.get("x-shoppex-delivery", "")
    parts = dict(
        part.split("=", 1)
        for part in headers.get("x-shoppex-signature-v2", "").split(",")
        if "=" in part
    )
    timestamp = parts.get("t", "")
    lately = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12
    if not lately or abs(now.timestamp() - int(timestamp)) > tolerance_seconds:
        raise SignatureRefused("the message was not signed lately", reason="timestamp")
    if not delivery_id or "." in delivery_id or len(delivery_id) > 200:
        raise SignatureRefused("the message has no usable delivery id", reason="message_id")
    keyed = keyed_hash(secret.encode()).copy()
    keyed.update(signed_content(delivery_id, int(timestamp), body))
    if not compare_digest(keyed.hexdigest().encode(), parts.get("h", "").encode()):
        raise SignatureRefused(
            "no signature fits the secret and these exact bytes", reason="signature"
        )
    return delivery_id
