"""What is typed, or read from a file or standard input: JSON documents and secrets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson

from engine.errors import InvalidInput


def read_object(given: str, *, field: str) -> dict[str, Any]:
    """Return the JSON object that ``given`` is, or that ``@file`` or ``@-`` holds.

    Raises InvalidInput naming the field and, for text that is not JSON, the place.
    """
    try:
        document = orjson.loads(_text(given, field=field))
    except orjson.JSONDecodeError as error:
        raise InvalidInput(f"{field} is not JSON: {error}", field=field) from None
    if not isinstance(document, dict):
        raise InvalidInput(f"{field} must be a JSON object", field=field)
    return document


def read_line(given: str, *, field: str) -> str:
    """Return the text that ``given`` is, or that ``@file`` or ``@-`` holds.

    What is typed shows in the list of processes. Raises InvalidInput naming the field.
    """
    text = _text(given, field=field)
    try:
        return text if isinstance(text, str) else text.decode().strip()
    except UnicodeDecodeError:
        raise InvalidInput(f"{field}: {given[1:]} is not a text file", field=field) from None


def _text(given: str, *, field: str) -> str | bytes:
    if not given.startswith("@"):
        return given
    if given == "@-":
        return sys.stdin.buffer.read()
    try:
        return Path(given[1:]).read_bytes()
    except OSError as error:
        raise InvalidInput(
            f"{field}: {given[1:]} cannot be read ({error.strerror})", field=field
        ) from None
