"""Key pairs: the public vector, their texts, and who can sign and who can only verify."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.errors import SignatureRefused
from dispatcher.key_pairs import (
    decode_private_key,
    decode_public_key,
    new_key_pair,
    public_key_text,
    sign_ed25519,
    verify_ed25519,
)
from dispatcher.signing import sign_v1a, signature_header, verify
from engine.errors import InvalidInput

# The one public vector of v1a (peers.md section 5): Svix's, and the example of the specification.
PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)
PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = (
    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
)
NOW = datetime.fromtimestamp(TIMESTAMP, UTC)


def signed(*key_pairs: bytes) -> dict[str, str]:
    """Return the headers of a message signed with one secret and these key pairs."""
    signature = signature_header([b"s" * 32], ID, TIMESTAMP, BODY, key_pairs=key_pairs)
    return {
        "webhook-id": ID,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": signature,
    }


def test_the_public_vector_is_reproduced() -> None:
    """Private key, public key and signature are the published ones, to the byte."""
    key_pair = decode_private_key(PRIVATE)
    assert PUBLIC == public_key_text(key_pair)
    assert SIGNATURE == sign_v1a(key_pair, ID, TIMESTAMP, BODY)
    verify([], signed(key_pair), BODY, NOW, public_keys=[decode_public_key(PUBLIC)])


def test_a_new_pair_signs_and_its_public_half_verifies() -> None:
    """Two pairs differ; each is a seed and its own public key."""
    first, second = new_key_pair(), new_key_pair()
    assert (64, 64) == (len(first), len(second))
    assert first != second
    public = decode_public_key(public_key_text(first))
    assert verify_ed25519(public, sign_ed25519(first, BODY), BODY)
    assert not verify_ed25519(public, sign_ed25519(second, BODY), BODY)


@given(st.binary(max_size=300), st.integers(min_value=0))
def test_a_flipped_bit_is_refused(content: bytes, position: int) -> None:
    """Whatever was signed, one bit more or less is not it."""
    key_pair = decode_private_key(PRIVATE)
    signature = sign_ed25519(key_pair, content)
    public = decode_public_key(PUBLIC)
    assert verify_ed25519(public, signature, content)
    flipped = bytearray(signature)
    flipped[position % 64] ^= 1 << position % 8
    assert not verify_ed25519(public, bytes(flipped), content)


def test_a_receiver_with_either_public_key_accepts_while_both_sign() -> None:
    """A rotation of key pairs overlaps like one of secrets; a third key fits neither."""
    old, new, other = new_key_pair(), new_key_pair(), new_key_pair()
    headers = signed(new, old)
    assert ["v1", "v1a", "v1a"] == [
        each.partition(",")[0] for each in headers["webhook-signature"].split()
    ]
    for key_pair in (old, new):
        verify([], headers, BODY, NOW, public_keys=[key_pair[32:]])
    with pytest.raises(SignatureRefused) as refusal:
        verify([], headers, BODY, NOW, public_keys=[other[32:]])
    assert "signature" == refusal.value.details["reason"]


@pytest.mark.parametrize(
    "signature", ["v1a,", "v1a", "v1a,AAAA", "v1a,!!", "v1a," + "A" * 88, "v1," + SIGNATURE[4:]]
)
def test_a_malformed_signature_is_refused_and_not_a_crash(signature: str) -> None:
    """Too short, no base64, or under the wrong version: none is accepted."""
    with pytest.raises(SignatureRefused):
        verify(
            [],
            signed() | {"webhook-signature": signature},
            BODY,
            NOW,
            public_keys=[decode_public_key(PUBLIC)],
        )


def test_without_anything_to_verify_with_nothing_is_accepted() -> None:
    """Neither secret nor public key: no signature can be right."""
    with pytest.raises(SignatureRefused):
        verify([], signed(decode_private_key(PRIVATE)), BODY, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whpk_",
        PUBLIC.removeprefix("whpk_"),
        PRIVATE,
        "whpk_" + base64.b64encode(b"p" * 31).decode(),
        PUBLIC[:-2] + "5=",
    ],
)
def test_a_wrong_public_key_is_refused(text: str) -> None:
    """Prefix, 32 bytes and canonical base64 are required."""
    with pytest.raises(InvalidInput) as refusal:
        decode_public_key(text)
    assert {"field": "public_key"} == refusal.value.details


@pytest.mark.parametrize(
    "text",
    [
        PUBLIC,
        "whsk_" + base64.b64encode(b"s" * 64).decode(),
        "whsk_" + base64.b64encode(b"s" * 32).decode(),
        PRIVATE[:-6] + "AAAA==",
    ],
)
def test_a_wrong_private_key_is_refused_without_its_text(text: str) -> None:
    """A seed beside another's public key would sign what nobody can verify."""
    with pytest.raises(InvalidInput) as refusal:
        decode_private_key(text)
    assert {"field": "private_key"} == refusal.value.details
    assert text[5:] not in refusal.value.message
