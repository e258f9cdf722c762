"""What cannot be posted is refused by its code, and every balance stays byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from engine import (
    account_freezes,
    adjustments,
    fees,
    ledger,
    ledger_checks,
    ledger_verification,
    remittances,
    reversals,
    tenants,
    wallets,
    write_offs,
)
from engine.database import Database
from engine.ids import new_id
from engine.postings import Close, Entry, Hold, Posting, fee, top_up
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place
from tests.chains import top_up as put_in
from tests.refusing import refused

LARGEST = 2**53 - 1
NOBODY = "0195f3a0-0000-7000-8000-000000000001"
Call = Callable[[UnitOfWork, Chain], Any]


def posting(chain: Chain, **changes: Any) -> Posting:
    """Return a top-up of R of 1.00, changed."""
    made = Posting(
        kind="test",
        reference_type="test",
        reference_id="1",
        idempotency_key="test",
        currency="INR",
        entries=top_up(chain.r, 100),
    )
    return replace(made, **changes)


def hold(chain: Chain, amount_minor: int, **changes: Any) -> tuple[Hold, ...]:
    """Return a hold on R's wallet."""
    made = Hold(
        payer_id=chain.r,
        amount_minor=amount_minor,
        kind="discretionary",
        reason="manual",
        reference_id=NOBODY,
    )
    return (replace(made, **changes),)


def owing(chain: Chain, amount_minor: int, reference_id: str) -> tuple[Hold, ...]:
    """Return an obligation of R."""
    return hold(chain, amount_minor, kind="obligation", reference_id=reference_id)


def entries(chain: Chain, code: str, *, book: str | None = None) -> tuple[Entry, ...]:
    """Return one rupee on an account of R's book, or another."""
    return (Entry(book or chain.r, code, 100), Entry(book or chain.r, "sales", -100))


CLOSE = Close(reason="manual", reference_id=NOBODY, status="captured")
CALLS: list[tuple[str, Call]] = [
    # Negative, nothing, and more than a JSON number carries exactly.
    *(
        ("INVALID_AMOUNT", call)
        for amount in (-1, 0, LARGEST + 1, 2**63)
        for call in (
            lambda work, chain, a=amount: wallets.top_up(work, chain.r, a),
            lambda work, chain, a=amount: fees.charge(work, chain.r, a, reason="x"),
        )
    ),
    ("INVALID_AMOUNT", lambda work, c: adjustments.request(work, c.r, 0, reason="x")),
    ("INVALID_AMOUNT", lambda work, c: adjustments.request(work, c.r, -LARGEST - 1, reason="x")),
    ("INVALID_AMOUNT", lambda work, c: ledger.post(work, posting(c, opens=hold(c, -1)))),
    ("INVALID_AMOUNT", lambda work, c: ledger.post(work, posting(c, opens=hold(c, 2**53)))),
    ("INVALID_AMOUNT", lambda work, c: ledger.post(work, posting(c, entries=top_up(c.r, 2**53)))),
    # Each amount can be said, their sum cannot.
    ("INVALID_AMOUNT", lambda work, c: wallets.top_up(work, c.r, LARGEST)),
    (
        "INVALID_AMOUNT",
        lambda work, c: ledger.post(
            work, posting(c, opens=owing(c, LARGEST, c.s) + owing(c, 1, c.d))
        ),
    ),
    # Another currency, another tenant, no such account.
    ("VALIDATION_ERROR", lambda work, c: ledger.post(work, posting(c, currency="USD"))),
    ("VALIDATION_ERROR", lambda work, c: ledger.post(work, posting(c, currency="inr"))),
    ("UNKNOWN_ACCOUNT", lambda work, c: ledger.post(work, posting(c, entries=top_up(NOBODY, 1)))),
    (
        "UNKNOWN_ACCOUNT",
        lambda work, c: ledger.post(work, posting(c, entries=entries(c, "gods"))),
    ),
    (
        "UNKNOWN_ACCOUNT",
        lambda work, c: ledger.post(work, posting(c, entries=entries(c, "goods", book="me"))),
    ),
    (
        "UNKNOWN_ACCOUNT",
        lambda work, c: ledger.post(work, posting(c, opens=hold(c, 1, payee_id=NOBODY))),
    ),
    ("NOT_FOUND", lambda work, _: wallets.top_up(work, NOBODY, 1)),
    ("NOT_FOUND", lambda work, _: fees.charge(work, "r", 1, reason="x")),
    ("NOT_FOUND", lambda work, _: write_offs.write_off(work, NOBODY, reason="x")),
    ("NOT_FOUND", lambda work, _: reversals.reverse(work, NOBODY, reason="x")),
    ("NOT_FOUND", lambda work, _: account_freezes.freeze(work, "R/wallet/INR", reason="x")),
    ("NOT_FOUND", lambda work, _: account_freezes.freeze(work, "wallet", reason="x")),
    ("NOT_FOUND", lambda work, c: ledger.post(work, posting(c, closes=(CLOSE,)))),
    # Money that is not there, or is not all of it.
    (
        "INSUFFICIENT_BALANCE",
        lambda work, c: ledger.post(work, posting(c, opens=hold(c, 10_101))),
    ),
    ("INSUFFICIENT_BALANCE", lambda work, c: fees.charge(work, c.r, 10_001, reason="x")),
    (
        "INSUFFICIENT_BALANCE",
        lambda work, c: ledger.post(work, posting(c, entries=fee(c.r, 10_001), paid_by=c.r)),
    ),
    (
        "BOOKS_DO_NOT_BALANCE",
        lambda work, c: ledger.post(work, posting(c, entries=top_up(c.r, 1)[:3])),
    ),
    (
        "BOOKS_DO_NOT_BALANCE",
        lambda work, c: ledger.post(work, posting(c, entries=entries(c, "wallet"))),
    ),
]


@pytest.mark.parametrize(("code", "call"), CALLS)
def test_what_cannot_be_posted_changes_nothing(
    units: UnitsOfWork, database: Database, code: str, call: Call
) -> None:
    """R has 100.00: amounts, currencies, books and accounts that cannot be are refused."""
    chain = build_chain(units)
    put_in(units, chain.r, 10_000)
    with refused(database, code), units.begin(actor="test") as work:
        call(work, chain)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


def test_only_the_parties_of_a_debt_can_touch_it(units: UnitsOfWork, database: Database) -> None:
    """Another tree's tenant does not see it, and the payee cannot pay it for the payer."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    with database.read() as connection:
        first = remittances.listing(connection)[0]["id"]
    for tenant_id, code in (
        (stranger, "NOT_FOUND"),
        (chain.s, "NOT_FOUND"),
        (chain.d, "FORBIDDEN"),
    ):
        with refused(database, code), units.begin(actor="test") as work:
            remittances.process(work, first, tenant_id=tenant_id)


def test_a_frozen_account_takes_nothing(units: UnitsOfWork, database: Database) -> None:
    """No posting, hold, reversal or capture touches it; the others go on; both ways are kept."""
    chain = build_chain(units)
    put_in(units, chain.r, 10_000)
    with units.begin(actor="test") as work:
        first = ledger.post(work, posting(chain, opens=hold(chain, 50)))
    with units.begin(actor="anna") as work:
        record = account_freezes.freeze(work, f"{chain.r}/wallet/INR", reason="drift")
    calls: list[Call] = [
        lambda work, c: wallets.top_up(work, c.r, 1),
        lambda work, c: ledger.post(work, posting(c, idempotency_key="2", entries=fee(c.r, 1))),
        lambda work, c: ledger.post(
            work,
            posting(c, idempotency_key="3", entries=(), opens=hold(c, 1, reference_id=c.s)),
        ),
        lambda work, c: ledger.post(
            work, posting(c, idempotency_key="4", entries=(), closes=(CLOSE,))
        ),
        lambda work, _: reversals.reverse(work, first["id"], reason="x"),
    ]
    for call in calls:
        with refused(database, "ACCOUNT_FROZEN"), units.begin(actor="test") as work:
            call(work, chain)
    with refused(database, "INVALID_STATUS"), units.begin(actor="test") as work:
        account_freezes.freeze(work, record["account_id"], reason="again")
    put_in(units, chain.d, 500)
    with units.begin(actor="ben") as work:
        closed = account_freezes.unfreeze(work, record["account_id"], reason="agreed")
    with refused(database, "INVALID_STATUS"), units.begin(actor="test") as work:
        account_freezes.unfreeze(work, record["account_id"], reason="again")
    put_in(units, chain.r, 1)
    with database.read() as connection:
        assert [closed] == account_freezes.history(connection, record["account_id"])
    told = ("drift", "anna", "agreed", "ben")
    names = ("reason", "frozen_by", "unfreeze_reason", "unfrozen_by")
    assert told == tuple(closed[name] for name in names)
    assert [] == ledger_verification.verify(database, closed["unfrozen_at"]).findings


def test_thresholds_of_a_frozen_wallet_can_be_set(units: UnitsOfWork) -> None:
    """Freezing stops money, not the warnings about it."""
    chain = build_chain(units)
    put_in(units, chain.r, 10_000)
    with units.begin(actor="test") as work:
        account_freezes.freeze(work, f"{chain.r}/wallet/INR", reason="drift")
        assert "low" == wallets.set_threshold(work, chain.r, 20_000)["low_state"]


def test_names_that_are_no_ids_are_not_found(units: UnitsOfWork, database: Database) -> None:
    """A reversal or an approval of nonsense is refused before the database is asked."""
    chain = build_chain(units)
    calls: list[Call] = [
        lambda work, _: reversals.reverse(work, "x", reason="x"),
        lambda work, _: adjustments.approve(work, "x"),
        lambda work, _: adjustments.approve(work, new_id()),
    ]
    for call in calls:
        with refused(database, "NOT_FOUND"), units.begin(actor="test") as work:
            call(work, chain)
