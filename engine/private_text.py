"""Text of people that is not kept: its digest tells whether it is the same again."""

from __future__ import annotations

import hashlib
import re

from engine.errors import InvalidInput
from engine.inputs import check_text

EMAIL_LENGTH_MAX = 254
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+")


def check_email(value: object, *, field: str) -> str:
    """Return an address in lower case, or raise InvalidInput, which does not repeat it."""
    text = check_text(value, field=field, length_max=EMAIL_LENGTH_MAX).lower()
    if not _EMAIL.fullmatch(text):
        raise InvalidInput(f"{field} is not an e-mail address", field=field)
    return text


def digest(owner_id: str, text: str) -> str:
    """Return the SHA-256 of a text within its owner: another owner's digest of it is another."""
    return hashlib.sha256(f"{owner_id}\n{text}".encode()).hexdigest()
