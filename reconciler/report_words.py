"""What a check expected and found, as people say it: no braces, no minor units. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from engine.money import format_amount

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
EN_DASH = "\N{EN DASH}"
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
#: A key that says its value is money: collected_minor, minor_by_days_past_due.
_MINOR = re.compile(r"(^|_)minor(_|$)")
_DIGEST = re.compile(r"[0-9a-f]{40,}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
DIGEST_SHOWN = 12


def in_words(value: Any, currency: str | None = None) -> str:
    """Return a document of a discrepancy as text; amounts are of ``currency``, if it has one."""
    return _said(value, currency, is_money=False)


def money_of(amount_minor: int, currency: str) -> str:
    """Return an amount with thousands separators and its currency, on one line."""
    amount = f"{Decimal(format_amount(amount_minor, currency)):,}"
    return f"{amount.replace('-', MINUS)}{NO_BREAK}{currency}"


def _said(value: Any, currency: str | None, *, is_money: bool) -> str:
    if isinstance(value, dict):
        return ", ".join(_pair(name, each, currency, is_money) for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_said(each, currency, is_money=is_money) for each in value)
    if value is None:
        return "none"
    if is_money and currency is not None and type(value) is int:
        return money_of(value, currency)
    return _plain(str(value))


def _pair(name: str, value: Any, currency: str | None, is_money: bool) -> str:  # noqa: FBT001  # one of two words
    is_money = is_money or _MINOR.search(name) is not None
    if currency is not None:
        name = _MINOR.sub(" ", name)
    label = re.sub(r"(\d)_(\d)", rf"\1{EN_DASH}\2", name.strip()).replace("_", " ").strip()
    return f"{label}: {_said(value, currency, is_money=is_money)}"


def _plain(text: str) -> str:
    text = _DIGEST.sub(lambda found: found[0][:DIGEST_SHOWN] + ELLIPSIS, text)
    return _INSTANT.sub(_moment, text)


def _moment(found: re.Match[str]) -> str:
    return f"{datetime.fromisoformat(found[0]):%-d %b %Y %H:%M}"
