"""Standard Webhooks 1.0 signatures, made and verified over the exact bytes. Pure.

Signed are ``{id}.{timestamp}.{body}``; the header lists one ``v1,<base64>`` per secret and one
``v1a,<base64>`` per key pair, so that a receiver verifies with the old or the new one while they
overlap (peers.md section 5).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets as random
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from dispatcher.errors import SignatureRefused
from dispatcher.key_pairs import sign_ed25519, verify_ed25519
from engine.errors import InvalidInput

SECRET_PREFIX = "whsec_"  # noqa: S105  # public: it marks a secret
SECRET_BYTES = 32
SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
TOLERANCE_SECONDS = 300

#: The kinds of signature; the first is always made.
V1, V1A = "v1", "v1a"

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


def sign_v1(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1,<base64 of HMAC-SHA256>``; raises InvalidInput for an id that holds a dot."""
    keyed = keyed_hash(secret).copy()
    keyed.update(signed_content(message_id, timestamp, body))
    return f"{V1},{_base64(keyed.digest())}"


def sign_v1a(key_pair: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return ``v1a,<base64 of the Ed25519 signature>``; raises as ``sign_v1`` does."""
    return f"{V1A},{_base64(sign_ed25519(key_pair, signed_content(message_id, timestamp, body)))}"


def signed_content(message_id: str, timestamp: int, body: bytes) -> bytes:
    """Return the bytes every signature is made over.

    Raises InvalidInput for a dot in the id: it would let one message's signature fit another
    (domain.md 4.2).
    """
    if "." in message_id:
        raise InvalidInput(
            f"message id {message_id!r} holds a dot", field="message_id", value=message_id
        )
    return b"%b.%d.%b" % (message_id.encode(), timestamp, body)


@lru_cache(10_000)
def keyed_hash(secret: bytes) -> hmac.HMAC:
    """Return the HMAC-SHA256 of a secret, to be copied and fed.

    Unlike the one-shot call it does not let go of the GIL: beside a busy settle writer every
    release cost up to a switch interval, 100 times the hash.
    """
    return hmac.new(secret, digestmod="sha256")


def signature_header(
    secrets: Sequence[bytes],
    message_id: str,
    timestamp: int,
    body: bytes,
    *,
    key_pairs: Sequence[bytes] = (),
) -> str:
    """Return one signature per secret and key pair, space-separated, each newest first."""
    made = [sign_v1(secret, message_id, timestamp, body) for secret in secrets]
    made += [sign_v1a(key_pair, message_id, timestamp, body) for key_pair in key_pairs]
    return " ".join(made)


def new_secret() -> str:
    """Return a fresh signing secret: ``whsec_`` and the base64 of 32 random bytes."""
    return encode_secret(random.token_bytes(SECRET_BYTES))


def encode_secret(secret: bytes) -> str:
    """Return the text of a secret, as its owner was shown it."""
    return SECRET_PREFIX + _base64(secret)


def decode_secret(text: str) -> bytes:
    """Return the 24 to 64 bytes of a ``whsec_`` secret, or raise InvalidInput without its text."""
    try:
        raw = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        raw = b""
    # One secret has one text: spare bits at its end would be lost when it is read back.
    if encode_secret(raw) != text or not SECRET_BYTES_MIN <= len(raw) <= SECRET_BYTES_MAX:
        raise InvalidInput(
            f"a signing secret is {SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} to"
            f" {SECRET_BYTES_MAX} bytes",
            field="secret",
        )
    return raw


def verify(
    secrets: Sequence[bytes],
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
    *,
    public_keys: Sequence[bytes] = (),
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> None:
    """Accept a message signed lately with any of the secrets or by any of the public keys.

    Header names are compared without case; unknown signature versions are skipped. Raises
    SignatureRefused with its reason.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    message_id = _required(lowered, ID_HEADER)
    timestamp = _timestamp(_required(lowered, TIMESTAMP_HEADER))
    offered = _required(lowered, SIGNATURE_HEADER).encode("utf-8", "replace").split()
    if abs(now.timestamp() - timestamp) > tolerance_seconds:
        raise _refused("timestamp", f"it was signed more than {tolerance_seconds} s away from now")
    if "." in message_id:
        raise _refused("message_id", f"{ID_HEADER} holds a dot")
    expected = [sign_v1(secret, message_id, timestamp, body).encode() for secret in secrets]
    # Every pair is compared, so that time does not tell which secret, or how much of it, was right.
    matches = [hmac.compare_digest(mine, theirs) for mine in expected for theirs in offered]
    content = signed_content(message_id, timestamp, body)
    if not any(matches) and not _signed_by(public_keys, offered, content):
        raise _refused("signature", "no signature fits the secret and these exact bytes")


def _signed_by(public_keys: Sequence[bytes], offered: Sequence[bytes], content: bytes) -> bool:
    """Tell whether any ``v1a`` signature is one of these keys'."""
    for theirs in offered:
        version, _, text = theirs.partition(b",")
        if version != V1A.encode():
            continue
        try:
            signature = base64.b64decode(text, validate=True)
        except ValueError:
            continue
        if any(verify_ed25519(public_key, signature, content) for public_key in public_keys):
            return True
    return False


def _required(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise _refused("header_missing", f"header {name} is missing")
    return value


def _timestamp(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise _refused("timestamp", f"{TIMESTAMP_HEADER} is not a number of seconds")
    return int(text)


def _refused(reason: str, sentence: str) -> SignatureRefused:
    return SignatureRefused(f"the message is not accepted: {sentence}", reason=reason)


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")
