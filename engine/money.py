"""Money is an integer of minor units and a currency; decimals exist only at the edges."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

import orjson

from engine.errors import InvalidAmount, InvalidInput

#: Digits after the point (ISO 4217); every currency not named here has two.
EXPONENTS = {
    "BHD": 3,
    "BIF": 0,
    "CLP": 0,
    "IQD": 3,
    "ISK": 0,
    "JOD": 3,
    "JPY": 0,
    "KRW": 0,
    "KWD": 3,
    "LYD": 3,
    "OMR": 3,
    "TND": 3,
    "UGX": 0,
    "VND": 0,
    "XAF": 0,
    "XOF": 0,
}
#: The largest amount a JSON number carries exactly (domain.md 4.2).
AMOUNT_MINOR_MAX = 2**53 - 1
#: As many digits as decimal arithmetic keeps exactly.
DIGITS_MAX = 28


def exponent(currency: str) -> int:
    """Return how many digits ``currency`` has after the point."""
    return EXPONENTS.get(currency, 2)


def check_currency(currency: str) -> str:
    """Return the currency code, or raise InvalidInput when it is not three capital letters."""
    if (
        len(currency) != 3
        or not currency.isascii()
        or not currency.isalpha()
        or not currency.isupper()
    ):
        raise InvalidInput(
            f"currency {currency!r} is not a code of three capital letters",
            field="currency",
            value=currency,
        )
    return currency


def parse_amount(value: object, currency: str, *, field: str = "amount") -> int:
    """Return minor units of a decimal amount given as text, integer or float.

    Raises InvalidAmount when it is not a number, negative, above 2**53 - 1 minor units, or has more
    digits than the currency (a fraction of a paisa is refused, not rounded).
    """
    written = str(value)
    try:
        # Longer than any amount: arithmetic would round it before it could be refused.
        number = Decimal(written if len(written) <= DIGITS_MAX else "NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite():
        raise InvalidAmount(
            f"{field} {value!r} is not an amount of money", field=field, value=str(value)
        )
    if number < 0:
        raise InvalidAmount(f"{field} {value} is negative", field=field, value=str(value))
    if number.adjusted() > 20:
        raise InvalidAmount(f"{field} {value} is too large", field=field, value=str(value))
    minor = number.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise InvalidAmount(
            f"{field} {value} has a fraction of the smallest unit of {currency}",
            field=field,
            value=str(value),
        )
    return check_amount(int(minor), field=field)


def check_amount(amount_minor: int, *, field: str = "amount") -> int:
    """Return whole minor units that are within 0 and 2**53 - 1, or raise InvalidAmount."""
    whole = isinstance(amount_minor, int) and not isinstance(amount_minor, bool)
    if not whole or not 0 <= amount_minor <= AMOUNT_MINOR_MAX:
        raise InvalidAmount(
            f"{field} of {amount_minor!r} minor units is no whole number from 0 to 2**53 - 1",
            field=field,
            value=amount_minor,
        )
    return amount_minor


def format_amount(amount_minor: int, currency: str) -> str:
    """Return the decimal text with exactly the currency's digits: 13800 INR is ``138.00``."""
    digits = exponent(currency)
    return f"{Decimal(amount_minor).scaleb(-digits):.{digits}f}"


def json_amount(amount_minor: int, currency: str) -> orjson.Fragment:
    """Return a JSON number with exactly the currency's digits, for orjson."""
    return orjson.Fragment(format_amount(amount_minor, currency))


def add_percent(amount_minor: int, percent: Decimal) -> int:
    """Return ``amount`` marked up by ``percent`` (document 001), rounded half up to the unit."""
    raised = Decimal(amount_minor) * (100 + percent) / 100
    return int(raised.to_integral_value(rounding=ROUND_HALF_UP))


def percent_of(amount_minor: int, percent: Decimal) -> int:
    """Return ``percent`` of an amount, rounded half up to the unit, once."""
    part = Decimal(amount_minor) * percent / 100
    return int(part.to_integral_value(rounding=ROUND_HALF_UP))


def marked_up(amount_minor: int, percent: str) -> int:
    """Return ``add_percent`` for SQLite, which knows no decimals; one above the range says so."""
    return min(add_percent(amount_minor, Decimal(percent)), AMOUNT_MINOR_MAX + 1)


def money_fields(currency: str, **amounts_minor: int | None) -> dict[str, Any]:
    """Return each amount twice: ``price`` as a JSON number and its exact twin ``price_minor``."""
    fields: dict[str, Any] = {}
    for name, amount_minor in amounts_minor.items():
        fields[name] = None if amount_minor is None else json_amount(amount_minor, currency)
        fields[f"{name}_minor"] = amount_minor
    return fields
