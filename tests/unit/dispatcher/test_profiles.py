"""Profiles: the stored bytes for most, document 000's flat bodies for those who ask for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.profiles import PROFILES, render
from engine.catalogue import CATALOGUE
from engine.events import EventDraft, render_body
from engine.money import money_fields

AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
FLAT_TYPES = {"order.line_updated", "product.updated"}
LINE = {
    "deliver_id": "D-1",
    "order_detail_id": 55501,
    "status": 1,
    "delivery_data": ["code-1", "code-2"],
    "delivery_note": "left at the door ₹",
    "chain_order_id": "x",
}


def envelope(type_name: str, data: dict[str, Any]) -> bytes:
    """Return the bytes the engine stores for an event."""
    draft = EventDraft(tenant_id="t", type=type_name, data=data)
    return render_body(draft, AT)


def product(price_minor: int, currency: str = "INR") -> dict[str, Any]:
    """Return the data of a product update."""
    view = {
        **money_fields(currency, price=price_minor),
        "stock": 7,
        "status": "active",
        "is_available": True,
    }
    return {
        "product_id": "p",
        "sku": "PROD-001",
        "changed": ["price"],
        "currency": currency,
        "old": view,
        "new": view,
        "version": 4,
        "coalesced_count": 1,
    }


@given(st.binary())
def test_the_envelope_is_sent_as_it_is_stored(body: bytes) -> None:
    """The default profile looks at nothing: the signed bytes are the stored bytes."""
    assert body is render("envelope", body)


def test_an_order_line_has_exactly_the_keys_of_document_000() -> None:
    """The delivery callback, in its order and spelling."""
    expected = {
        "DeliverID": "D-1",
        "OrderDetailID": 55501,
        "Status": 1,
        "DeliveryData": ["code-1", "code-2"],
        "DeliveryNote": "left at the door ₹",
    }
    body = render("flat", envelope("order.line_updated", LINE))
    assert orjson.dumps(expected) == body


def test_an_order_line_without_data_says_so() -> None:
    """Nothing to hand over is an empty list; no note is null."""
    bare = {"deliver_id": None, "order_detail_id": 1, "status": 3, "delivery_data": None}
    body = orjson.loads(render("flat", envelope("order.line_updated", bare)))
    assert ([], None, None) == (body["DeliveryData"], body["DeliveryNote"], body["DeliverID"])


def test_a_product_update_is_flat_with_the_receivers_price() -> None:
    """What changed and what holds now, without the old view or anything nested."""
    expected = (
        b'{"ProductID":"p","Sku":"PROD-001","Changed":["price"],"Price":118.00,"Stock":7,'
        b'"Status":"active","IsAvailable":true,"Currency":"INR","Version":4,'
        b'"UpdatedAt":"2026-03-02T09:30:00Z"}'
    )
    assert expected == render("flat", envelope("product.updated", product(11800)))


@pytest.mark.parametrize(
    ("price_minor", "currency", "text"),
    [
        (11800, "INR", b'"Price":118.00,'),
        (11850, "INR", b'"Price":118.50,'),
        (5, "USD", b'"Price":0.05,'),
        (118, "JPY", b'"Price":118,'),
        (1005, "KWD", b'"Price":1.005,'),
        (2**53 - 1, "INR", b'"Price":90071992547409.91,'),
    ],
)
def test_money_keeps_its_currencys_decimals(price_minor: int, currency: str, text: bytes) -> None:
    """A price is written with exactly its currency's digits, never through a float."""
    assert text in render("flat", envelope("product.updated", product(price_minor, currency)))


@pytest.mark.parametrize("type_name", sorted(set(CATALOGUE) - FLAT_TYPES))
def test_a_type_document_000_does_not_know_keeps_its_envelope(type_name: str) -> None:
    """A flat endpoint hears every other type with the very bytes of the envelope."""
    body = envelope(type_name, {"amount": 1.5, "note": "₹"})
    assert body is render("flat", body)


def test_rendering_twice_gives_the_same_bytes() -> None:
    """A profile depends on the event alone: what is rendered anew is what was sent."""
    for profile in PROFILES:
        for body in (
            envelope("order.line_updated", LINE),
            envelope("product.updated", product(11800)),
        ):
            assert render(profile, body) == render(profile, body)
