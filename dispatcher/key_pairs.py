"""Ed25519 key pairs of Standard Webhooks ``v1a``: who holds the public key verifies, none signs.

A private key is the 32 bytes of its seed followed by the 32 bytes of its public key (``whsk_``, the
form Svix uses; peers.md section 5); the public key alone is ``whpk_``. Pure.
"""

from __future__ import annotations

import base64
import secrets as random
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from engine.errors import InvalidInput

PRIVATE_PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
SEED_BYTES = 32
PUBLIC_BYTES = 32


def new_key_pair() -> bytes:
    """Return a fresh private key: seed and public key, 64 bytes."""
    return _with_public(random.token_bytes(SEED_BYTES))


def public_key_text(key_pair: bytes) -> str:
    """Return what a receiver verifies with, ``whpk_…``; it may be shown to anyone."""
    return PUBLIC_PREFIX + base64.b64encode(key_pair[SEED_BYTES:]).decode("ascii")


def decode_private_key(text: str) -> bytes:
    """Return the 64 bytes of a ``whsk_`` key, or raise InvalidInput without its text."""
    raw = _decoded(text, PRIVATE_PREFIX)
    if len(raw) != SEED_BYTES + PUBLIC_BYTES or _with_public(raw[:SEED_BYTES]) != raw:
        raise InvalidInput(
            f"a private key is {PRIVATE_PREFIX} and the base64 of a seed and its public key,"
            f" {SEED_BYTES} bytes each",
            field="private_key",
        )
    return raw


def decode_public_key(text: str) -> bytes:
    """Return the 32 bytes of a ``whpk_`` key, or raise InvalidInput."""
    raw = _decoded(text, PUBLIC_PREFIX)
    if len(raw) != PUBLIC_BYTES:
        raise InvalidInput(
            f"a public key is {PUBLIC_PREFIX} and the base64 of {PUBLIC_BYTES} bytes",
            field="public_key",
        )
    return raw


def sign_ed25519(key_pair: bytes, content: bytes) -> bytes:
    """Return the 64 bytes of the signature of a private key over ``content``."""
    return _loaded(key_pair).sign(content)


def verify_ed25519(public_key: bytes, signature: bytes, content: bytes) -> bool:
    """Tell whether the owner of a public key signed exactly this content."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except InvalidSignature:
        return False
    return True


@lru_cache(10_000)
def _loaded(key_pair: bytes) -> Ed25519PrivateKey:
    """Keep the key object: making it costs 20 µs, a third of the signature itself."""
    return Ed25519PrivateKey.from_private_bytes(key_pair[:SEED_BYTES])


def _with_public(seed: bytes) -> bytes:
    return seed + Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _decoded(text: str, prefix: str) -> bytes:
    """Return the bytes behind a prefix; none where the text is not canonical base64."""
    try:
        raw = base64.b64decode(text.removeprefix(prefix), validate=True)
    except ValueError:
        return b""
    return raw if prefix + base64.b64encode(raw).decode("ascii") == text else b""
