"""What two neighbours agreed on counts for what one owes the other: days, and credit."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from engine import ledger_checks, relationships, remittances, wallets
from engine.database import Database
from engine.errors import InsufficientBalance
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, place


def agree(units: UnitsOfWork, parent_id: str, child_id: str, **terms: Any) -> None:
    """Bind a reseller to its merchant by some terms."""
    with units.begin(actor="test") as work:
        relationships.create(work, parent_id, child_id, {"mode": "both", **terms})


def due_dates(units: UnitsOfWork, database: Database, chain: Chain) -> list[date]:
    """Deliver an order on 2 March and return when R and D must pay."""
    order_id = place(units, chain)
    deliver(units, order_id)
    with database.read() as connection:
        return [row["due_date"] for row in remittances.listing(connection, order_id=order_id)]


@pytest.mark.parametrize(
    ("upper_days", "lower_days", "expected"),
    [
        (None, None, [9, 10]),
        (None, 2, [4, 10]),
        (3, 14, [16, 17]),
        (20, 5, [7, 23]),
        (0, 0, [2, 3]),
    ],
)
def test_terms_are_those_of_the_two(
    units: UnitsOfWork,
    database: Database,
    upper_days: int | None,
    lower_days: int | None,
    expected: list[int],
) -> None:
    """Agreed days instead of seven; a day more per hop, and never before the debtor's own date."""
    chain = build_chain(units)
    if lower_days is not None:
        agree(units, chain.d, chain.r, terms_days=lower_days)
    if upper_days is not None:
        agree(units, chain.s, chain.d, terms_days=upper_days)
    found = due_dates(units, database, chain)
    assert [date(2026, 3, day) for day in expected] == found


def owe(units: UnitsOfWork, limit_minor: int, agreed_minor: int | None) -> str:
    """Let R owe D 138.00, with a limit of its own and one the two agreed on; return the debt."""
    chain = build_chain(units)
    if agreed_minor is not None:
        agree(units, chain.d, chain.r, credit_limit_minor=agreed_minor)
    order_id = place(units, chain)
    deliver(units, order_id)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, limit_minor)
        return str(remittances.listing(work.connection, order_id=order_id)[0]["id"])


@pytest.mark.parametrize(
    ("limit_minor", "agreed_minor"), [(13800, None), (20000, 13800), (13800, 99999)]
)
def test_credit_pays_a_remittance(
    units: UnitsOfWork, database: Database, limit_minor: int, agreed_minor: int | None
) -> None:
    """The payer's own limit counts, as far as the relationship allows it."""
    debt = owe(units, limit_minor, agreed_minor)
    with units.begin(actor="test") as work:
        assert -13800 == remittances.process(work, debt)["wallet"]["new_balance_minor"]
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


@pytest.mark.parametrize(
    ("limit_minor", "agreed_minor", "available_minor"),
    [(13799, None, 13799), (13800, 0, 0), (20000, 13799, 13799), (13799, 20000, 13799)],
)
def test_credit_beyond_what_was_agreed_does_not_count(
    units: UnitsOfWork,
    database: Database,
    limit_minor: int,
    agreed_minor: int | None,
    available_minor: int,
) -> None:
    """A relationship may allow less than the wallet, or none; more than the wallet it cannot."""
    debt = owe(units, limit_minor, agreed_minor)
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refused, units.begin(actor="test") as work:
        remittances.process(work, debt)
    assert before == dump(database)
    details = refused.value.details
    assert (13800, available_minor) == (details["required_minor"], details["available_minor"])
