"""The published vectors: our signer, the public libraries and the bare primitives agree on each."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import standardwebhooks.webhooks
import svix.webhooks
import time_machine
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dispatcher import shoppex
from dispatcher.errors import SignatureRefused
from dispatcher.key_pairs import decode_private_key, decode_public_key, public_key_text
from dispatcher.request import build_headers
from dispatcher.signing import decode_secret, signature_header, verify
from tests.faults.plugin import Reached

FOLDER = Path(__file__).parents[2] / "vectors"
VECTORS = orjson.loads((FOLDER / "standard-webhooks.json").read_bytes())["vectors"]
SHOPPEX = orjson.loads((FOLDER / "shoppex.json").read_bytes())["vectors"]

Verifier = Callable[[str, dict[str, str], bytes, datetime], bool]


def names(vectors: list[dict[str, Any]]) -> list[str]:
    """Return what the vectors are called."""
    return [each["name"] for each in vectors]


def at(vector: dict[str, Any]) -> datetime:
    """Return the instant a message was signed at."""
    return datetime.fromtimestamp(vector["timestamp"], UTC)


def ours(secret: str, headers: dict[str, str], body: bytes, now: datetime) -> bool:
    """Tell whether our verifier accepts a message by this secret."""
    try:
        verify([decode_secret(secret)], headers, body, now)
    except SignatureRefused:
        return False
    return True


def ours_by_public_key(key: str, headers: dict[str, str], body: bytes, now: datetime) -> bool:
    """Tell whether our verifier accepts a message by this public key."""
    try:
        verify([], headers, body, now, public_keys=[decode_public_key(key)])
    except SignatureRefused:
        return False
    return True


def public_library(library: Any) -> Verifier:
    """Return a public library's verifier in the same form."""

    def accepts(secret: str, headers: dict[str, str], body: bytes, now: datetime) -> bool:
        webhook = library.Webhook(secret)
        webhook = getattr(webhook, "_inner", webhook)  # svix wraps the other, and parses no body
        with time_machine.travel(now, tick=False):
            try:
                webhook.verify(body, headers, json_parse=False)
            except library.WebhookVerificationError:
                return False
        return True

    return accepts


def bare_ed25519(key: str, headers: dict[str, str], body: bytes, now: datetime) -> bool:
    """Tell whether ``cryptography`` alone finds a ``v1a`` signature of this key, and it is new."""
    timestamp = int(headers["webhook-timestamp"])
    content = f"{headers['webhook-id']}.{timestamp}.".encode() + body
    public_key = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    for each in headers["webhook-signature"].split():
        version, _, signature = each.partition(",")
        if version != "v1a":
            continue
        try:
            public_key.verify(base64.b64decode(signature), content)
        except InvalidSignature:
            continue
        return abs(now.timestamp() - timestamp) <= 300
    return False


BY_SECRET = (
    ours,
    public_library(standardwebhooks.webhooks),
    public_library(svix.webhooks),
)
BY_PUBLIC_KEY = (ours_by_public_key, bare_ed25519)


def verdicts(
    vector: dict[str, Any], headers: dict[str, str], body: bytes, now: datetime
) -> Iterator[bool]:
    """Yield what each verifier says with each secret and each public key of a vector."""
    for verifier in BY_SECRET:
        yield from (verifier(each, headers, body, now) for each in vector["secrets"])
    for by_key in BY_PUBLIC_KEY:
        yield from (by_key(each, headers, body, now) for each in vector["public_keys"])


@pytest.mark.parametrize("vector", VECTORS, ids=names(VECTORS))
def test_our_signer_makes_exactly_these_headers(vector: dict[str, Any]) -> None:
    """Every secret and key pair signs, in the order given, to the published bytes."""
    key_pairs = [decode_private_key(each) for each in vector["key_pairs"]]
    secrets = [decode_secret(each) for each in vector["secrets"]]
    body = vector["body"].encode()
    made = signature_header(secrets, vector["id"], vector["timestamp"], body, key_pairs=key_pairs)
    assert vector["headers"]["webhook-signature"] == made
    assert vector["public_keys"] == [public_key_text(each) for each in key_pairs]
    pairs = dict(
        build_headers(
            message_id=vector["id"], body=body, secrets=secrets, key_pairs=key_pairs, now=at(vector)
        )
    )
    wanted = {name.encode(): value.encode() for name, value in vector["headers"].items()}
    assert wanted == {name: pairs[name] for name in wanted}


@pytest.mark.fault("F60")
@pytest.mark.parametrize("vector", VECTORS, ids=names(VECTORS))
@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_every_verifier_accepts_every_vector(
    vector: dict[str, Any], seconds: int, reached: Reached
) -> None:
    """Any one secret or public key is enough, anywhere within the tolerance."""
    now = at(vector) + timedelta(seconds=seconds)
    found = list(verdicts(vector, vector["headers"], vector["body"].encode(), now))
    assert found
    assert all(found)
    reached.says("F60", f"standardwebhooks, svix and cryptography on {len(VECTORS)} vectors")


@pytest.mark.fault("F60")
@pytest.mark.parametrize("vector", VECTORS, ids=names(VECTORS))
@pytest.mark.parametrize("seconds", [-301, 301])
def test_every_verifier_refuses_what_is_301_seconds_away(
    vector: dict[str, Any], seconds: int
) -> None:
    """An old message is a replay, however well it is signed."""
    now = at(vector) + timedelta(seconds=seconds)
    assert not any(verdicts(vector, vector["headers"], vector["body"].encode(), now))


@pytest.mark.fault("F60")
@pytest.mark.parametrize("vector", VECTORS, ids=names(VECTORS))
def test_every_verifier_refuses_a_changed_bit_id_or_time(vector: dict[str, Any]) -> None:
    """Body, id and timestamp are all under the signature."""
    headers, body = vector["headers"], vector["body"].encode()
    tampered = bytes([body[0] ^ 1]) + body[1:] if body else b"\x01"
    later = str(vector["timestamp"] + 1)
    for changed, changed_body in (
        (headers, tampered),
        (headers, body + b" "),
        (headers | {"webhook-id": vector["id"] + "x"}, body),
        (headers | {"webhook-timestamp": later}, body),
    ):
        assert not any(verdicts(vector, changed, changed_body, at(vector)))


@pytest.mark.parametrize("vector", SHOPPEX, ids=names(SHOPPEX))
def test_document_002_is_rendered_and_signed_to_the_byte(vector: dict[str, Any]) -> None:
    """Body and headers of the profile are the published ones, beside the standard headers."""
    body = shoppex.render(vector["envelope"].encode())
    assert vector["body"] == body.decode()
    made = build_headers(
        message_id=vector["id"],
        body=body,
        secrets=[decode_secret(vector["secret"])],
        now=at(vector),
        profile="shoppex",
        event=vector["event"],
    )
    headers = {name.decode(): value.decode() for name, value in made}
    assert len(made) == len(headers)
    assert vector["headers"] == {name: headers[name] for name in vector["headers"]}
    assert ours(vector["secret"], headers, body, at(vector))
