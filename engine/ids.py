"""Identifiers: UUID version 7 as text, so that newer rows sort after older ones."""

from __future__ import annotations

import os
import time
import uuid
from datetime import datetime

from engine.errors import InvalidInput


def new_id() -> str:
    """Return a fresh UUIDv7 in its canonical 36-character form (RFC 9562, section 5.7).

    The 12 bits behind the milliseconds are their fraction (section 6.2, method 3), so ids that one
    process makes one after the other sort in that order.
    """
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & ((1 << 62) - 1)
    value = (milliseconds << 80) | (0x7 << 76) | (fraction << 64) | (0x2 << 62) | random
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def is_id(text: str) -> bool:
    """Tell whether ``text`` is a UUID in canonical form, before a database is asked about it."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except (ValueError, AttributeError):
        return False


def check_id(value: object, *, field: str) -> str:
    """Return an id in lower case, or raise InvalidInput."""
    if not isinstance(value, str) or not is_id(value):
        raise InvalidInput(f"{field} is not an id", field=field, value=str(value))
    return value.lower()


def first_id(instant: datetime) -> str:
    """Return the smallest UUIDv7 of an instant: what was made earlier sorts before it."""
    milliseconds = int(instant.timestamp() * 1000)
    return str(uuid.UUID(int=(milliseconds << 80) | (0x7 << 76) | (0x2 << 62)))
