"""What a posting must satisfy before a row is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.errors import BooksDoNotBalance, InvalidAmount, InvalidInput
from engine.posting_rules import check, check_captures, merged
from engine.postings import Close, Entry, Hold, Posting, top_up

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOLD = Hold(payer_id="R", amount_minor=5, kind="obligation", reason="x", reference_id="1")
POSTING = Posting(
    kind="top_up",
    reference_type="test",
    reference_id="1",
    idempotency_key="key",
    currency="INR",
    entries=top_up("R", 100),
    opens=(HOLD,),
)


def test_a_posting_comes_to_one_amount_per_account() -> None:
    """Lines on one account are one amount; what cancels out is left out."""
    twice = replace(POSTING, entries=top_up("R", 100) * 2 + (Entry("R", "sales", 0),))
    expected = {
        ("R", "wallet"): 200,
        ("R", "external_cash"): -200,
        ("platform", "bank"): 200,
        ("platform", "wallet_liab:R"): -200,
    }
    assert expected == check(twice, NOW)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"opens": (replace(HOLD, amount_minor=-1),)}, InvalidAmount),
        ({"opens": (replace(HOLD, amount_minor=2**53),)}, InvalidAmount),
        ({"opens": (replace(HOLD, kind="wish"),)}, InvalidInput),
        ({"closes": (Close(reason="x", reference_id="1", status="lost"),)}, InvalidInput),
        ({"entries": top_up("R", 2**53)}, InvalidAmount),
        ({"currency": "rupees"}, InvalidInput),
        ({"event_at": NOW + timedelta(seconds=1)}, InvalidInput),
        ({"entries": (Entry("R", "sales", 1),)}, BooksDoNotBalance),
    ],
)
def test_what_cannot_be_posted_is_refused(changes: dict[str, Any], refusal: type) -> None:
    """Amounts that are not exact, kinds that do not exist, and books that are off."""
    with pytest.raises(refusal):
        check(replace(POSTING, **changes), NOW)


@pytest.mark.parametrize(
    "entries",
    [
        (Entry("R", "wallet", 1), Entry("R", "sales", -1)),
        (Entry("R", "pay>D", -1), Entry("R", "goods", 1)),
        (Entry("platform", "bank", 1), Entry("platform", "wallet_liab:R", -1)),
    ],
)
def test_a_wallet_or_debt_changes_with_its_mirror(entries: tuple[Entry, ...]) -> None:
    """Books that balance each by itself are refused when one side of a debt is missing."""
    with pytest.raises(BooksDoNotBalance, match="off its mirror by"):
        merged(entries)


def test_a_capture_takes_at_most_what_was_held() -> None:
    """Less is allowed, the rest is free again; more is refused."""
    close = Close(reason="order", reference_id="1", status="captured")
    posting = replace(POSTING, opens=(), closes=(close,))
    held = [{"payer_id": "R", "amount_minor": 100}]
    for paid in (0, 60, 100):
        check_captures(posting, {("R", "wallet"): -paid}, held)
    with pytest.raises(InvalidAmount, match="101 minor units are more than the 100"):
        check_captures(posting, {("R", "wallet"): -101}, held)
