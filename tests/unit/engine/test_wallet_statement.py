"""What a posting does to a wallet's statement, before a database is asked."""

from __future__ import annotations

from typing import Any

from engine.postings import WALLET, Close, Hold, Posting
from engine.wallet_statement import lines

BEFORE = {
    ("r", WALLET): {"posted_debits": 1000, "posted_credits": 200, "pending_credits": 300},
    ("d", WALLET): {"posted_debits": 0, "posted_credits": 0, "pending_credits": 0},
}


def posting(**given: Any) -> Posting:
    """Return a posting about an order."""
    named = {
        "kind": "settlement",
        "reference_type": "chain_order",
        "reference_id": "o",
        "idempotency_key": "k",
        "currency": "INR",
    }
    return Posting(**{**named, **given})


def held(amount_minor: int) -> dict[str, Any]:
    """Return the row of a hold for a payout."""
    return {
        "payer_id": "r",
        "amount_minor": amount_minor,
        "reason": "payout",
        "reference_id": "p",
        "note": None,
    }


def test_what_is_freed_comes_first_and_what_is_held_last() -> None:
    """A capture with a new hold: each line shows the wallet after it, in an order that adds up."""
    hold = Hold(
        payer_id="r", amount_minor=50, kind="discretionary", reason="order", reference_id="o2"
    )
    closes = (Close(reason="payout", reference_id="p", status="captured", note="paid"),)
    found = list(
        lines(
            posting(opens=(hold,), closes=closes),
            before=BEFORE,
            entries={("r", WALLET): -300, ("d", WALLET): 300, ("platform", "bank"): 0},
            closing=[held(300)],
        )
    )
    assert [
        ("r", "release", 300, 800, 800, "payout", "paid"),
        ("d", "credit", 300, 300, 300, "chain_order", None),
        ("r", "debit", 300, 500, 500, "chain_order", None),
        ("r", "hold", 50, 500, 450, "chain_order", None),
    ] == [
        (
            line["tenant_id"],
            line["type"],
            line["amount_minor"],
            line["balance_minor"],
            line["available_minor"],
            line["reference_type"],
            line["description"],
        )
        for line in found
    ]


def test_other_accounts_leave_no_line() -> None:
    """What moves between the platform's accounts is not in anyone's statement."""
    entries = {("platform", "bank"): 5, ("platform", "fees"): -5}
    assert [] == list(lines(posting(), before={}, entries=entries, closing=[]))


def test_a_long_reason_is_shortened() -> None:
    """A reason longer than a description can be is cut, not refused."""
    made = posting(metadata={"reason": "x" * 900})
    [line] = lines(made, before=BEFORE, entries={("r", WALLET): 5}, closing=[])
    assert "x" * 500 == line["description"]
