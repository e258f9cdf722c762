"""Discrepancies as people read them: money with its currency, no braces, no minor units."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.report_words import in_words, money_of

NBSP = "\N{NO-BREAK SPACE}"
DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


@pytest.mark.parametrize(
    ("value", "currency", "words"),
    [
        ({"collected_minor": 29800}, "INR", f"collected: 298.00{NBSP}INR"),
        ({"collected_minor": 29800}, None, "collected minor: 29800"),
        (
            {"minor_by_days_past_due": {"91_120": 2551, "120": 100000}},
            "KWD",
            f"by days past due: 91{DASH}120: 2.551{NBSP}KWD, 120: 100.000{NBSP}KWD",
        ),
        ({"paid_minor": None, "line": 3, "courier": "Delhivery"}, "INR", None),
        ({"since": "2026-03-02T09:35:00Z"}, None, "since: 2 Mar 2026 09:35"),
        ("a" * 64, None, "aaaaaaaaaaaa\N{HORIZONTAL ELLIPSIS}"),
        ([0, 1], None, "0, 1"),
    ],
    ids=["money", "no currency", "nested", "nothing", "instant", "digest", "list"],
)
def test_a_document_is_said_in_words(value: Any, currency: str | None, words: str | None) -> None:
    """Amounts in units, instants as days, digests cut, nothing as none."""
    assert (words or "paid: none, line: 3, courier: Delhivery") == in_words(value, currency)


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [
        (123456789, "INR", f"1,234,567.89{NBSP}INR"),
        (-5, "INR", f"{MINUS}0.05{NBSP}INR"),
        (1500, "JPY", f"1,500{NBSP}JPY"),
    ],
)
def test_money_is_read_at_a_glance(minor: int, currency: str, shown: str) -> None:
    """Thousands separated, a true minus, never broken from its currency."""
    assert shown == money_of(minor, currency)
