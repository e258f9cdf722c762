"""Wallets on both databases: top-ups, limits, thresholds and their episodes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from engine import wallets
from engine.database import Database
from engine.errors import IdempotencyKeyReused, InvalidAmount, NotFound
from engine.ledger_tables import wallets as wallet_rows
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, dump, place, raised, top_up
from tests.conftest import START


def threshold(units: UnitsOfWork, tenant_id: str, minor: int | None) -> dict[str, Any]:
    """Set a threshold and return the wallet."""
    with units.begin(actor="test") as work:
        return wallets.set_threshold(work, tenant_id, minor)


def test_an_empty_wallet_has_all_fields(units: UnitsOfWork, database: Database) -> None:
    """Before anything moved, document 001's fields are there, as numbers of two decimals."""
    chain = build_chain(units)
    with database.read() as connection:
        wallet = wallets.show(connection, chain.r)
    shown = orjson.dumps({"balance": wallet["balance"], "spendable": wallet["spendable"]})
    assert b'{"balance":0.00,"spendable":0.00}' == shown
    assert ("ok", 0, None) == (
        wallet["low_state"],
        wallet["low_episode"],
        wallet["last_settlement_at"],
    )


def test_a_top_up_counts_once_per_reference(units: UnitsOfWork, database: Database) -> None:
    """The same reference again adds nothing; with another amount it is refused."""
    chain = build_chain(units)
    for _ in range(2):
        with units.begin(actor="test") as work:
            wallet = wallets.top_up(work, chain.r, 5000, reference="bank-1")
    assert (5000, 5000, 0) == tuple(
        wallet[f"{name}_minor"] for name in ("balance", "total_earned", "total_paid_out")
    )
    before = dump(database)
    with pytest.raises(IdempotencyKeyReused), units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 5001, reference="bank-1")
    assert before == dump(database)


@pytest.mark.parametrize("amount", [0, -1, 2**53])
def test_a_bad_top_up_changes_nothing(units: UnitsOfWork, database: Database, amount: int) -> None:
    """Nothing, less than nothing and more than exact numbers hold are refused."""
    chain = build_chain(units)
    before = dump(database)
    with pytest.raises(InvalidAmount), units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, amount)
    assert before == dump(database)


def test_a_balance_cannot_leave_exact_numbers(units: UnitsOfWork, database: Database) -> None:
    """Two top-ups that are exact by themselves are refused when their sum is not."""
    chain = build_chain(units)
    top_up(units, chain.r, 2**53 - 1)
    before = dump(database)
    with pytest.raises(InvalidAmount):
        top_up(units, chain.r, 1)
    assert before == dump(database)


def test_an_unknown_tenant_has_no_wallet(units: UnitsOfWork, database: Database) -> None:
    """A wallet of nobody is not found, to read or to fill."""
    chain = build_chain(units)
    nobody = chain.r[:-4] + "ffff"
    with pytest.raises(NotFound), database.read() as connection:
        wallets.show(connection, nobody)
    with pytest.raises(NotFound):
        top_up(units, nobody, 1)


def test_one_event_per_episode(units: UnitsOfWork, database: Database) -> None:
    """Low at 62 of 90, still low at 95, recovered at 99; below another threshold a new one."""
    chain = build_chain(units)
    top_up(units, chain.r, 20000)
    threshold(units, chain.r, 9000)
    place(units, chain, payment={"method": "prepaid"})  # available 62.00
    top_up(units, chain.r, 3300)  # 95.00
    top_up(units, chain.r, 400)  # 99.00
    place(units, chain, number="2", payment={"method": "cod"})
    threshold(units, chain.r, 10000)
    with database.read() as connection:
        low = raised(connection, chain.r, "wallet.low_balance")
        recovered = raised(connection, chain.r, "wallet.balance_recovered")
    assert [(1, 6200), (2, 9900)] == sorted(
        (each["episode"], each["available_balance_minor"]) for each in low
    )
    assert [(1, 9900)] == [(each["episode"], each["available_balance_minor"]) for each in recovered]
    assert {1: 9900, 2: 11000} == {each["episode"]: each["rearm_level_minor"] for each in low}


def test_a_threshold_speaks_at_once_and_its_removal_is_silent(
    units: UnitsOfWork, database: Database
) -> None:
    """Set above the balance it is low now; without one the wallet is ok and nothing is said."""
    chain = build_chain(units)
    assert "low" == threshold(units, chain.r, 100)["low_state"]
    assert "ok" == threshold(units, chain.r, None)["low_state"]
    with database.read() as connection:
        assert 1 == len(raised(connection, chain.r, "wallet.low_balance"))
        assert [] == raised(connection, chain.r, "wallet.balance_recovered")


def test_reevaluating_heals_a_missed_crossing_once(units: UnitsOfWork, database: Database) -> None:
    """A level that does not fit its balance is corrected with its event, once."""
    chain = build_chain(units)
    top_up(units, chain.r, 50)
    with database.write() as connection:
        connection.execute(
            wallet_rows.insert().values(
                tenant_id=chain.r,
                currency="INR",
                credit_limit_minor=0,
                low_threshold_minor=100,
                low_state="ok",
                low_episode=4,
                created_at=START,
                updated_at=START,
            )
        )
    results = []
    for _ in range(2):
        with units.begin(actor="reconciler") as work:
            results.append(wallets.reevaluate(work, chain.r))
    assert [True, False] == results
    with database.read() as connection:
        assert [5] == [e["episode"] for e in raised(connection, chain.r, "wallet.low_balance")]


def test_amounts_are_written_exactly(units: UnitsOfWork, database: Database) -> None:
    """The largest amount survives JSON: every digit of the decimal, and its integer twin."""
    chain = build_chain(units)
    wallet = top_up(units, chain.r, 2**53 - 1)
    shown = orjson.dumps({"balance": wallet["balance"], "minor": wallet["balance_minor"]})
    assert b'{"balance":90071992547409.91,"minor":9007199254740991}' == shown
    assert Decimal("90071992547409.91") == Decimal(wallet["balance_minor"]).scaleb(-2)
    with database.read() as connection:
        assert 2**53 - 1 == wallets.show(connection, chain.r)["total_earned_minor"]
