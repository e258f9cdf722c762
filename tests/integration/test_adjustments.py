"""Fees and adjustments on both databases: who asked is not who approves; decided once."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from engine import account_freezes, adjustments, fees, ledger_checks, reversals, wallets
from engine.database import Database
from engine.errors import (
    AccountFrozen,
    BooksDoNotBalance,
    IdempotencyKeyReused,
    InsufficientBalance,
    InvalidAmount,
    InvalidInput,
    InvalidStatus,
    NotFound,
    SecondPersonRequired,
    UnknownAccount,
)
from engine.ids import new_id
from engine.ledger_tables import ledger_transactions
from engine.postings import Entry
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, dump, top_up
from tests.racing import at_once

RACERS = 8


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001; R has 100.00."""
    chain = build_chain(units)
    top_up(units, chain.r, 10000)
    return chain


def ask(units: UnitsOfWork, tenant_id: str, amount_minor: int, **more: Any) -> dict[str, Any]:
    """Let anna ask for an adjustment of a wallet."""
    with units.begin(actor="anna") as work:
        return adjustments.request(work, tenant_id, amount_minor, reason="paid twice", **more)


def approve(units: UnitsOfWork, adjustment_id: str, actor: str) -> dict[str, Any]:
    """Let somebody approve it."""
    with units.begin(actor=actor) as work:
        return adjustments.approve(work, adjustment_id)


def balance(database: Database, tenant_id: str) -> int:
    """Return a wallet's balance, having verified the books."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        return int(wallets.show(connection, tenant_id)["balance_minor"])


@pytest.mark.parametrize("amount", [2500, -2500, -99999])
def test_two_persons_correct_a_wallet(
    units: UnitsOfWork, database: Database, chain: Chain, amount: int
) -> None:
    """Nothing moves until the second approves; then both are on the transaction, below zero too."""
    asked = ask(units, chain.r, amount)
    assert ("requested", 10000) == (asked["status"], balance(database, chain.r))
    done = approve(units, asked["id"], "ben")
    assert ("approved", "anna", "ben") == (done["status"], done["requested_by"], done["decided_by"])
    assert 10000 + amount == balance(database, chain.r)
    with database.read() as connection:
        posted = reversals.find(connection, done["transaction_id"])
        assert done == adjustments.get(connection, asked["id"])
    said = {"reason": "paid twice", "requested_by": "anna", "approved_by": "ben"}
    assert ("adjustment", said) == (posted["kind"], posted["metadata"])


def test_nobody_approves_what_he_asked_for(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The refusal has its own code and leaves every row as it was; to reject is allowed."""
    asked = ask(units, chain.r, 2500)
    before = dump(database)
    with pytest.raises(SecondPersonRequired):
        approve(units, asked["id"], "anna")
    assert before == dump(database)
    with units.begin(actor="anna") as work:
        adjustments.reject(work, asked["id"], reason="my mistake")
    assert 10000 == balance(database, chain.r)


def test_an_adjustment_is_decided_once(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Of many that race to approve or reject, one does, and money moves at most once."""
    asked = ask(units, chain.r, 2500)

    def decide(number: int) -> None:
        with units.begin(actor=f"racer {number}") as work:
            if number % 2:
                adjustments.reject(work, asked["id"], reason="no")
            else:
                adjustments.approve(work, asked["id"])

    outcomes = at_once([partial(decide, number) for number in range(RACERS)])
    assert {"done": 1, "INVALID_STATUS": RACERS - 1} == outcomes
    with database.read() as connection:
        status = adjustments.get(connection, asked["id"])["status"]
    expected = {"approved": 12500, "rejected": 10000}
    assert expected[status] == balance(database, chain.r)
    for actor in ("ben", "cara"):
        with pytest.raises(InvalidStatus):
            approve(units, asked["id"], actor)


def test_what_the_ledger_refuses_waits_on(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A frozen account takes no adjustment either; afterwards it can be approved."""
    asked = ask(units, chain.r, 2500)
    account = f"{chain.r}/wallet/INR"
    with units.begin(actor="test") as work:
        account_freezes.freeze(work, account, reason="drift")
    before = dump(database)
    with pytest.raises(AccountFrozen):
        approve(units, asked["id"], "ben")
    assert before == dump(database)
    with units.begin(actor="test") as work:
        account_freezes.unfreeze(work, account, reason="looked at")
    assert "approved" == approve(units, asked["id"], "ben")["status"]


def test_any_accounts_can_be_corrected(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Finance takes a shortage on the platform: two entries of one book, once approved."""
    entries = (Entry(chain.r, "bad_debt", 500), Entry(chain.r, "shortage", -500))
    with units.begin(actor="anna") as work:
        asked = adjustments.request_entries(work, entries, currency="INR", reason="lost")
    approve(units, asked["id"], "ben")
    assert 10000 == balance(database, chain.r)


@pytest.mark.parametrize(
    ("entries", "currency", "refusal"),
    [
        ((), "INR", InvalidInput),
        ((("R", "sales", 1),), "INR", BooksDoNotBalance),
        ((("R", "wallet", 1), ("R", "sales", -1)), "INR", BooksDoNotBalance),
        ((("R", "walet", 1), ("R", "sales", -1)), "INR", UnknownAccount),
        ((("R", "goods", 2**53), ("R", "sales", -(2**53))), "INR", InvalidAmount),
        ((("R", "goods", 1), ("R", "sales", -1)), "Rupee", InvalidInput),
    ],
)
def test_entries_that_cannot_be_posted_cannot_be_asked_for(
    units: UnitsOfWork,
    database: Database,
    chain: Chain,
    *,
    entries: tuple[tuple[str, str, int], ...],
    currency: str,
    refusal: type[Exception],
) -> None:
    """What the ledger would refuse is refused before another person is asked."""
    before = dump(database)
    asked = [Entry(chain.r, code, amount) for _, code, amount in entries]
    with pytest.raises(refusal), units.begin(actor="anna") as work:
        adjustments.request_entries(work, asked, currency=currency, reason="x")
    assert before == dump(database)


@pytest.mark.parametrize(
    ("amount", "reason", "refusal"),
    [
        (0, "x", InvalidAmount),
        (2**53, "x", InvalidAmount),
        (-(2**53), "x", InvalidAmount),
        (1, " ", InvalidInput),
        (1, "x" * 501, InvalidInput),
    ],
)
def test_an_adjustment_needs_an_amount_and_a_reason(
    units: UnitsOfWork,
    database: Database,
    chain: Chain,
    *,
    amount: int,
    reason: str,
    refusal: type[Exception],
) -> None:
    """Nothing, too much, no words or too many are refused and change nothing."""
    before = dump(database)
    with pytest.raises(refusal), units.begin(actor="anna") as work:
        adjustments.request(work, chain.r, amount, reason=reason)
    with pytest.raises(NotFound), units.begin(actor="anna") as work:
        adjustments.request(work, new_id(), 1, reason="x")
    assert before == dump(database)


def test_a_request_under_a_key_is_one(units: UnitsOfWork, database: Database, chain: Chain) -> None:
    """Asked again under the same key it is the first; another amount under it is refused."""
    first = ask(units, chain.r, 2500, idempotency_key="k")
    assert first == ask(units, chain.r, 2500, idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        ask(units, chain.r, 2501, idempotency_key="k")
    with database.read() as connection:
        found = adjustments.listing(connection, status="requested", tenant_id=chain.r)
    assert [first] == found["data"]


def test_a_fee_is_charged_once_and_only_what_may_be_spent(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Under one reference it is one fee; beyond the balance it is refused and changes nothing."""
    for _ in range(2):
        with units.begin(actor="test") as work:
            wallet = fees.charge(work, chain.r, 950, reason="listing", reference="2026-03")
    assert 9050 == wallet["balance_minor"] == balance(database, chain.r)
    before = dump(database)
    for amount, reference, refusal in (
        (9051, "big", InsufficientBalance),
        (951, "2026-03", IdempotencyKeyReused),
        (0, "none", InvalidAmount),
        (-1, "less", InvalidAmount),
    ):
        with pytest.raises(refusal), units.begin(actor="test") as work:
            fees.charge(work, chain.r, amount, reason="listing", reference=reference)
    assert before == dump(database)
    with database.read() as connection:
        kinds = connection.execute(select(ledger_transactions.c.kind)).scalars().all()
    assert ["fee", "top_up"] == sorted(kinds)
