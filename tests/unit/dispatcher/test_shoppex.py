"""Profile shoppex: document 002's names and body, and its signature by a secret's text."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.shoppex import NAMES, event_name, headers, render
from dispatcher.signing import decode_secret, new_secret
from engine.catalogue import CATALOGUE
from engine.events import EventDraft, render_body
from engine.money import json_amount

AT = datetime(2026, 3, 2, 9, 30, 15, 999_000, tzinfo=UTC)
#: What document 002 lists, in its order, and how domain.md 2.10 calls each.
DOCUMENT_002 = {
    "reseller:invited": "reseller.invited",
    "reseller:accepted": "reseller.accepted",
    "reseller:sale": "reseller.sale",
    "reseller:embed_campaign_created": "reseller.embed_campaign_created",
    "reseller:payout_requested": "payout.requested",
    "reseller:stock_purchase_requested": "stock_transfer.requested",
    "reseller:api_fulfillment_delivered": "fulfillment.delivered",
    "reseller:stock_purchase_paid": "stock_transfer.paid",
    "reseller:stock_allocated": "stock_transfer.allocated",
    "reseller:stock_item_delivered": "stock_item.delivered",
}


def envelope(type_name: str, data: dict[str, Any]) -> bytes:
    """Return the bytes the engine stores for an event."""
    return render_body(EventDraft(tenant_id="t", type=type_name, data=data), AT)


@pytest.mark.parametrize(("colon", "dotted"), DOCUMENT_002.items())
def test_every_name_of_document_002_is_reached(colon: str, dotted: str) -> None:
    """Our name of each of its ten events becomes its name of it."""
    assert colon == event_name(dotted)


@pytest.mark.parametrize("type_name", sorted(CATALOGUE.keys() - NAMES.keys()))
def test_every_other_name_has_colons_for_dots(type_name: str) -> None:
    """No type is left out, and none is mistaken for one of document 002's."""
    assert type_name.replace(".", ":") == event_name(type_name)


def test_the_body_has_exactly_the_keys_of_document_002() -> None:
    """Name, data and unix seconds, in its order; text stays as it is."""
    data = {"payout_id": "p", "note": "₹ “quoted”", "nested": {"list": [1, None, True]}}
    expected = {
        "event": "reseller:payout_requested",
        "data": data,
        "created_at": int(AT.timestamp()),
    }
    assert orjson.dumps(expected) == render(envelope("payout.requested", data))


def test_money_keeps_its_currencys_decimals() -> None:
    """An amount passes from one shape to the other without becoming a float."""
    data = {"a": json_amount(11800, "INR"), "b": json_amount(2**53 - 1, "KWD"), "c": 10**18}
    body = render(envelope("webhook.test", data))
    assert b'"data":{"a":118.00,"b":9007199254740.991,"c":1000000000000000000}' in body


DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc."), inner),
    max_leaves=20,
)


@given(st.dictionaries(st.text("abc"), DOCUMENTS))
def test_data_is_the_same_to_the_byte(data: dict[str, Any]) -> None:
    """Whatever an event says, both profiles say it with the same bytes."""
    written = orjson.dumps(data)
    assert b'"data":' + written + b',"created_at"' in render(envelope("webhook.test", data))


def test_the_signature_is_keyed_by_the_secrets_text() -> None:
    """As ``createHmac('sha256', secret)`` does with the text an owner was shown."""
    secret, body = new_secret(), b'{"event":"webhook:test"}'
    made = headers(
        decode_secret(secret), message_id="m1", event="webhook.test", timestamp=17, body=body
    )
    digest = hmac.new(secret.encode(), b"m1.17." + body, hashlib.sha256).hexdigest()
    assert [
        (b"x-shoppex-event", b"webhook:test"),
        (b"x-shoppex-delivery", b"m1"),
        (b"x-shoppex-timestamp", b"17"),
        (b"x-shoppex-signature-v2", f"v1,t=17,h={digest}".encode()),
        (b"x-shoppex-signature-v2-algorithm", b"HMAC-SHA256"),
    ] == made


def test_decimals_of_any_length_are_copied() -> None:
    """Even digits a float could not hold arrive."""
    text = b"0.1234567890123456789012345"
    body = envelope("webhook.test", {"x": orjson.Fragment(text)})
    assert b'"x":' + text in render(body)
    assert Decimal(text.decode()) != Decimal(float(text))
