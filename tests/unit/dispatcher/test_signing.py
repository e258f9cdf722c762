"""Signatures: the public vectors, two public verifiers, and every way a message is refused."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks.webhooks
import svix.webhooks
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import SignatureRefused
from dispatcher.signing import decode_secret, new_secret, sign_v1, signature_header, verify
from engine.errors import InvalidInput

# libraries/python/tests/test_webhooks.py::test_sign_function of standard-webhooks (peers.md 5).
VECTOR_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_TIMESTAMP = 1614265330
VECTOR_BODY = b'{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

NOW = datetime.fromtimestamp(VECTOR_TIMESTAMP, UTC)
OLD = b"o" * 32
NEW = b"n" * 32
PUBLIC_LIBRARIES = (standardwebhooks.webhooks, svix.webhooks)


def headers(*secrets: bytes, timestamp: int = VECTOR_TIMESTAMP) -> dict[str, str]:
    """Return the three headers of a message signed with ``secrets``."""
    return {
        "webhook-id": VECTOR_ID,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature_header(secrets, VECTOR_ID, timestamp, VECTOR_BODY),
    }


def test_the_public_vector_is_reproduced() -> None:
    """Our signature equals the one every official library is tested with."""
    secret = decode_secret(VECTOR_SECRET)
    assert VECTOR_SIGNATURE == sign_v1(secret, VECTOR_ID, VECTOR_TIMESTAMP, VECTOR_BODY)


@pytest.mark.parametrize("library", PUBLIC_LIBRARIES)
def test_the_public_libraries_accept_our_signature(library: Any) -> None:
    """A receiver with an official library accepts the exact bytes, also under rotation."""
    secret = new_secret()
    public = library.Webhook(secret)
    signed = headers(NEW, decode_secret(secret))
    with time_machine.travel(NOW, tick=False):
        public.verify(VECTOR_BODY.decode(), signed)
        with pytest.raises(library.WebhookVerificationError):
            public.verify(VECTOR_BODY.decode() + " ", signed)


@pytest.mark.parametrize("library", PUBLIC_LIBRARIES)
def test_we_accept_the_public_libraries_signatures(library: Any) -> None:
    """A message signed by an official library passes our verifier."""
    signature = library.Webhook(VECTOR_SECRET).sign(VECTOR_ID, NOW, VECTOR_BODY.decode())
    offered = headers(NEW) | {"webhook-signature": signature}
    verify([decode_secret(VECTOR_SECRET)], offered, VECTOR_BODY, NOW)


@given(st.binary(min_size=24, max_size=64), st.binary(max_size=500))
def test_what_is_signed_verifies(secret: bytes, body: bytes) -> None:
    """Any secret and any bytes: the signature fits them."""
    signed = headers() | {"webhook-signature": sign_v1(secret, VECTOR_ID, VECTOR_TIMESTAMP, body)}
    verify([secret], signed, body, NOW)


@given(st.integers(0, len(VECTOR_BODY) * 8 - 1))
def test_a_flipped_bit_is_refused(position: int) -> None:
    """One bit of the body changed breaks the signature."""
    body = bytearray(VECTOR_BODY)
    body[position // 8] ^= 1 << position % 8
    with pytest.raises(SignatureRefused) as refusal:
        verify([NEW], headers(NEW), bytes(body), NOW)
    assert refusal.value.details["reason"] == "signature"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"webhook-id": "msg_another"}, "signature"),
        ({"webhook-id": "msg.dotted"}, "message_id"),
        ({"webhook-id": ""}, "header_missing"),
        ({"webhook-timestamp": str(VECTOR_TIMESTAMP + 1)}, "signature"),
        ({"webhook-timestamp": "yesterday"}, "timestamp"),
        ({"webhook-timestamp": "-1"}, "timestamp"),
        ({"webhook-timestamp": "9" * 400}, "timestamp"),
        ({"webhook-signature": ""}, "header_missing"),
        ({"webhook-signature": "v1,"}, "signature"),
        ({"webhook-signature": "v1a," + "A" * 86}, "signature"),
        ({"webhook-signature": "nonsense , ,, é"}, "signature"),
    ],
)
def test_a_changed_header_is_refused(change: dict[str, str], reason: str) -> None:
    """Id and timestamp are signed too, and malformed headers are refusals, not crashes."""
    with pytest.raises(SignatureRefused) as refusal:
        verify([NEW], headers(NEW) | change, VECTOR_BODY, NOW)
    assert (reason, "SIGNATURE_REFUSED") == (refusal.value.details["reason"], refusal.value.code)


@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_message_301_seconds_away_is_refused(seconds: int) -> None:
    """Too old or too far ahead, a good signature is a replay."""
    with pytest.raises(SignatureRefused) as refusal:
        verify([NEW], headers(NEW), VECTOR_BODY, NOW + timedelta(seconds=seconds))
    assert refusal.value.details["reason"] == "timestamp"


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_message_within_300_seconds_is_accepted(seconds: int) -> None:
    """The tolerance reaches to both sides and includes its end."""
    verify([NEW], headers(NEW), VECTOR_BODY, NOW + timedelta(seconds=seconds))


def test_rotation_signs_with_both_and_the_newest_first() -> None:
    """While secrets overlap, a receiver with either accepts; with neither it refuses."""
    signed = headers(NEW, OLD)
    first, second = signed["webhook-signature"].split(" ")
    assert first == sign_v1(NEW, VECTOR_ID, VECTOR_TIMESTAMP, VECTOR_BODY)
    assert second == sign_v1(OLD, VECTOR_ID, VECTOR_TIMESTAMP, VECTOR_BODY)
    verify([OLD], signed, VECTOR_BODY, NOW)
    verify([NEW], signed, VECTOR_BODY, NOW)
    with pytest.raises(SignatureRefused):
        verify([b"x" * 32], signed, VECTOR_BODY, NOW)


def test_header_names_are_read_without_case() -> None:
    """A framework that capitalises header names changes nothing."""
    shouted = {name.upper(): value for name, value in headers(NEW).items()}
    verify([NEW], shouted, VECTOR_BODY, NOW)


def test_an_id_with_a_dot_cannot_be_signed() -> None:
    """A dot in the id would let one signature fit two messages."""
    with pytest.raises(InvalidInput) as refusal:
        sign_v1(NEW, "msg.1", VECTOR_TIMESTAMP, VECTOR_BODY)
    assert refusal.value.details["field"] == "message_id"


def test_a_new_secret_is_32_random_bytes() -> None:
    """Two secrets differ, and each decodes to 32 bytes."""
    first, second = new_secret(), new_secret()
    assert first != second
    assert [32, 32] == [len(decode_secret(first)), len(decode_secret(second))]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "whsec_!!!!",
        base64.b64encode(b"k" * 32).decode(),
        "whsec_" + base64.b64encode(b"k" * 23).decode(),
        "whsec_" + base64.b64encode(b"k" * 65).decode(),
        "whsec_" + base64.b64encode(b"k" * 32).decode()[:-2],
        "whsec_ünïcode",
    ],
)
def test_a_wrong_secret_is_refused_without_its_text(text: str) -> None:
    """Prefix, base64 and 24 to 64 bytes are required; the refusal names the field only."""
    with pytest.raises(InvalidInput) as refusal:
        decode_secret(text)
    assert {"field": "secret"} == refusal.value.details
    assert len(text) < 7 or text[6:] not in refusal.value.message


@pytest.mark.parametrize("length", [24, 64])
def test_secrets_of_24_to_64_bytes_are_read(length: int) -> None:
    """Both ends of the range of Standard Webhooks 1.0 are accepted."""
    secret = b"k" * length
    assert secret == decode_secret("whsec_" + base64.b64encode(secret).decode())
