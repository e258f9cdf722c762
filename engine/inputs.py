"""Check single values that come from outside; every refusal names the field."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from engine.errors import InvalidInput

DOCUMENT_BYTES_MAX = 16 * 1024
MARGIN_MIN = Decimal("-99.99")
MARGIN_MAX = Decimal("999.9999")


def check_keys(given: object, known: Collection[str], *, field: str) -> dict[str, Any]:
    """Return ``given`` as a dictionary with none but known names, or raise InvalidInput."""
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{field} must be an object", field=field)
    for name in given:
        if name not in known:
            raise InvalidInput(
                f"{field} has no field {name!r}; known are {', '.join(sorted(known))}",
                field=str(name),
            )
    return dict(given)


def check_text(value: object, *, field: str, length_max: int, empty: bool = False) -> str:
    """Return the text without surrounding blanks, or raise InvalidInput."""
    text = value.strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or len(text) > length_max or not (text or empty):
        raise InvalidInput(f"{field} must be text of 1 to {length_max} characters", field=field)
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidInput(f"{field} holds a character that cannot be stored", field=field)
    return text


def check_integer(value: object, *, field: str, minimum: int, maximum: int) -> int:
    """Return a whole number within the bounds, or raise InvalidInput."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not isinstance(value, int) or not minimum <= value <= maximum:
        raise InvalidInput(
            f"{field} must be a whole number from {minimum} to {maximum}", field=field, value=value
        )
    return value


def check_choice(value: object, choices: Collection[str], *, field: str) -> str:
    """Return one of the choices, or raise InvalidInput."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(
            f"{field} must be one of {', '.join(choices)}", field=field, value=str(value)
        )
    return value


def check_flag(value: object, *, field: str) -> bool:
    """Return true or false, or raise InvalidInput for anything else."""
    if not isinstance(value, bool):
        raise InvalidInput(f"{field} must be true or false", field=field, value=str(value))
    return value


def check_document(value: object, kind: type, *, field: str) -> Any:
    """Return a JSON object or list of at most 16 KiB, or raise InvalidInput."""
    if not isinstance(value, kind):
        raise InvalidInput(f"{field} must be a JSON {kind.__name__}", field=field)
    try:
        written = orjson.dumps(value)
    except TypeError as error:
        raise InvalidInput(f"{field} cannot become JSON: {error}", field=field) from None
    if len(written) > DOCUMENT_BYTES_MAX:
        raise InvalidInput(f"{field} is larger than 16 KiB", field=field)
    if b"\\u0000" in written:
        raise InvalidInput(f"{field} holds a character that cannot be stored", field=field)
    return value


def check_percent(
    value: object, *, field: str, minimum: Decimal = MARGIN_MIN, maximum: Decimal = MARGIN_MAX
) -> Decimal:
    """Return a percentage within the bounds, of at most four decimals, or raise InvalidInput.

    Without other bounds it is a markup: -99.99 to 999.9999.
    """
    try:
        percent = Decimal(str(value))
    except InvalidOperation:
        percent = Decimal("NaN")
    if isinstance(value, bool) or not percent.is_finite():
        raise InvalidInput(f"{field} {value!r} is not a percentage", field=field, value=str(value))
    if not minimum <= percent <= maximum or percent != round(percent, 4):
        raise InvalidInput(
            f"{field} must be from {minimum} to {maximum} with at most four decimals",
            field=field,
            value=str(value),
        )
    return round(percent, 4)


def check_share(value: object, *, field: str) -> Decimal:
    """Return a part of a whole, 0 to 100 percent, or raise InvalidInput."""
    return check_percent(value, field=field, minimum=Decimal(0), maximum=Decimal(100))
