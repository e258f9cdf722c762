"""Orders, settlement and remittances on both databases: the worked example of domain.md 2.9."""

from __future__ import annotations

import pytest

from engine import ledger_checks, remittances, wallets
from engine.database import Database
from engine.errors import InvalidStatus
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place, raised, top_up


def owed(database: Database, order_id: str) -> list[tuple[str, str, int]]:
    """Return payer, payee and amount of the order's remittances."""
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    return [(row["payer_id"], row["payee_id"], row["amount_minor"]) for row in rows]


def balances(database: Database, chain: Chain) -> tuple[int, int, int]:
    """Return the wallets of R, D and S."""
    with database.read() as connection:
        found = [
            wallets.show(connection, tenant)["balance_minor"]
            for tenant in (chain.r, chain.d, chain.s)
        ]
    return found[0], found[1], found[2]


def pay_all(units: UnitsOfWork, order_id: str) -> None:
    """Process every remittance of an order."""
    with units.begin(actor="test") as work:
        for row in remittances.listing(work.connection, order_id=order_id, status="pending"):
            remittances.process(work, row["id"])


def test_cash_at_the_retailer_is_paid_up_the_chain(units: UnitsOfWork, database: Database) -> None:
    """R collects 155: it owes D 138, D owes S 120; after both are paid D keeps 18, S has 120."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    assert [(chain.r, chain.d, 13800), (chain.d, chain.s, 12000)] == owed(database, order_id)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        wallet = wallets.show(connection, chain.d)
        assert (12000, 13800) == (wallet["pending_debits_minor"], wallet["pending_credits_minor"])
        assert 2 == len(raised(connection, chain.d, "remittance.created"))
    top_up(units, chain.r, 13800)
    pay_all(units, order_id)
    assert (0, 1800, 12000) == balances(database, chain)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        assert 1 == len(raised(connection, chain.r, "cod_collection.settled"))


def test_a_remittance_is_processed_once(units: UnitsOfWork, database: Database) -> None:
    """The second call is refused with the status the remittance has (document 001)."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    top_up(units, chain.r, 13800)
    with database.read() as connection:
        first = remittances.listing(connection, order_id=order_id)[0]
    with units.begin(actor="test") as work:
        done = remittances.process(work, first["id"], tenant_id=chain.r)
    assert (0, 13800) == (done["wallet"]["new_balance_minor"], done["wallet"]["deducted_minor"])
    with pytest.raises(InvalidStatus) as refused, units.begin(actor="test") as work:
        remittances.process(work, first["id"], tenant_id=chain.r)
    assert "completed" == refused.value.details["current_status"]
