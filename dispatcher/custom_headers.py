"""An owner's own headers: checked when they are given, sealed at rest, sent with every attempt.

They may hold a credential, so their values are never shown again and never logged; names are. The
rules are domain.md 4.2: nothing that frames, routes or signs the request is anyone's but ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from engine.errors import InvalidInput
from engine.sealing import KeyRing, bound_to

HEADERS_MAX = 10
NAME_LENGTH_MAX = 100
VALUE_LENGTH_MAX = 1024
#: What headers are bound to beside their owner: they cannot be opened as a secret.
SEALED_AS = "headers"

#: The columns of an endpoint without headers of its own.
CLEARED = {"header_names": None, "headers_key_id": None, "headers_sealed": None}

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
#: RFC 9110 and 9112: framing, routing, hop by hop; and what is ours to say.
_RESERVED = re.compile(
    r"host|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|http2-settings"
    r"|accept-encoding|cookie|user-agent|apikey|(content|proxy|webhook|x-shoppex)-.*"
)


def from_lines(lines: Sequence[str]) -> dict[str, str]:
    """Return headers written ``Name: value``, or raise InvalidInput that shows no value."""
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, value = line.partition(":")
        if not colon:
            raise _refused(f"header {number} is not written 'Name: value'")
        if name in headers:
            raise _refused(f"header {name} is given twice")
        headers[name] = value.strip(" ")
    return headers


def check_headers(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers as they will be sent, or raise InvalidInput that shows no value."""
    if len(given) > HEADERS_MAX:
        raise _refused(f"an endpoint has at most {HEADERS_MAX} headers of its own")
    seen: set[str] = set()
    for name, value in given.items():
        _check_name(name)
        if name.lower() in seen:
            raise _refused(f"header {name} is given twice")
        seen.add(name.lower())
        if len(value) > VALUE_LENGTH_MAX or not _VALUE.fullmatch(value):
            raise _refused(
                f"the value of header {name} must be 1 to {VALUE_LENGTH_MAX} printable ASCII"
                " characters without blanks around them"
            )
    return dict(given)


def sealed(
    keyring: KeyRing, tenant_id: str, endpoint_id: str, given: Mapping[str, str]
) -> Mapping[str, Any]:
    """Return the columns that keep an endpoint's headers; none at all clears them."""
    headers = check_headers(given)
    if not headers:
        return CLEARED
    key_id, ciphertext = keyring.seal(
        orjson.dumps(headers), bound_to=bound_to(tenant_id, endpoint_id, SEALED_AS)
    )
    return {
        "header_names": list(headers),
        "headers_key_id": key_id,
        "headers_sealed": ciphertext,
    }


def opened(keyring: KeyRing, row: Any) -> list[tuple[bytes, bytes]]:
    """Return the headers of an endpoint's row as they are sent; raises SecretUnreadable."""
    if row.headers_sealed is None:
        return []
    plain = keyring.open(
        row.headers_key_id,
        row.headers_sealed,
        bound_to=bound_to(row.tenant_id, row.id, SEALED_AS),
    )
    return [(name.encode(), value.encode()) for name, value in orjson.loads(plain).items()]


def _check_name(name: str) -> None:
    if len(name) > NAME_LENGTH_MAX or not _TOKEN.fullmatch(name):
        raise _refused(
            f"{name[:NAME_LENGTH_MAX]!r} is not a header name: 1 to {NAME_LENGTH_MAX} letters,"
            " digits and hyphens"
        )
    if _RESERVED.fullmatch(name.lower()):
        raise _refused(f"header {name} is set by Tillbell or the connection, not by an endpoint")


def _refused(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, field="headers")
