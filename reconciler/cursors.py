"""Cursors of slices: the place of the last row looked at, as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson


def text_of(place: tuple[Any, ...] | None) -> str | None:
    """Return a place, an instant and an identifier, as text; None stays None."""
    return None if place is None else orjson.dumps(list(place)).decode()


def place_of(cursor: str | None) -> tuple[datetime, str] | None:
    """Return the place that a cursor names."""
    if cursor is None:
        return None
    at, key = orjson.loads(cursor)
    return datetime.fromisoformat(at), key
