"""Write-offs on both databases: the payee's loss, the payer's relief, and nobody reminded."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from engine import (
    accounts,
    cash_collections,
    ledger_checks,
    orders,
    remittances,
    reversals,
    write_offs,
)
from engine.database import Database
from engine.errors import InvalidInput, InvalidStatus, NotFound
from engine.ids import new_id
from engine.settlement_tables import milestones
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, place, raised, top_up
from tests.racing import at_once


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


@pytest.fixture
def owed(units: UnitsOfWork, database: Database, chain: Chain) -> list[dict[str, Any]]:
    """Return what is owed of a delivered order: R owes D 138.00, D owes S 120.00."""
    deliver(units, place(units, chain))
    with database.read() as connection:
        return remittances.listing(connection)


def write_off(units: UnitsOfWork, remittance_id: str, reason: str = "R is bankrupt") -> Any:
    """Let anna write a remittance off."""
    with units.begin(actor="anna") as work:
        return write_offs.write_off(work, remittance_id, reason=reason)


def balances(database: Database, *names: str) -> list[int]:
    """Return the signed balances of accounts, having verified the books."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        return [accounts.balance(accounts.get(connection, f"{name}/INR")) for name in names]


def test_what_nobody_will_pay_is_the_payees_loss(
    units: UnitsOfWork, database: Database, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """Debt, hold and milestones are gone, both hear of it, and who wrote it off is kept."""
    first = owed[0]
    done = write_off(units, first["id"])
    assert ("cancelled", None) == (done["status"], done["transaction_id"])
    gone = [f"{chain.d}/recv<{chain.r}", f"{chain.r}/pay>{chain.d}"]
    lost = [f"{chain.d}/bad_debt", f"{chain.r}/forgiven"]
    assert [0, 0, 13800, -13800] == balances(database, *gone, *lost)
    with database.read() as connection:
        posted = reversals.find(connection, done["write_off_id"])
        mine = select(milestones.c.outcome).where(milestones.c.subject_id == first["id"])
        assert {"cancelled"} == set(connection.execute(mine).scalars())
        wallet = accounts.get(connection, f"{chain.r}/wallet/INR")
        for tenant_id in (chain.r, chain.d):
            [told] = raised(connection, tenant_id, "remittance.cancelled")
            assert (first["id"], True) == (told["remittance_id"], told["written_off"])
    assert 0 == wallet["pending_credits"]
    assert ("anna", {"reason": "R is bankrupt"}) == (posted["posted_by"], posted["metadata"])


def test_a_collection_is_settled_when_nothing_is_owed_any_more(
    units: UnitsOfWork, database: Database, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """The other remittance is paid: the collection waits for nobody."""
    write_off(units, owed[0]["id"])
    top_up(units, chain.d, 12000)
    with units.begin(actor="test") as work:
        remittances.process(work, owed[1]["id"])
    with database.read() as connection:
        found = cash_collections.of_order(connection, owed[0]["chain_order_id"])
    assert found is not None
    assert "settled" == found["status"]


def test_only_what_is_pending_can_be_written_off(
    units: UnitsOfWork, database: Database, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """Paid, written off before, unknown, or without a reason: refused, and nothing changes."""
    top_up(units, chain.r, 13800)
    with units.begin(actor="test") as work:
        remittances.process(work, owed[0]["id"])
    write_off(units, owed[1]["id"])
    before = dump(database)
    for row in owed:
        with pytest.raises(InvalidStatus):
            write_off(units, row["id"])
        with pytest.raises(InvalidStatus), units.begin(actor="test") as work:
            remittances.process(work, row["id"])
    with pytest.raises(NotFound):
        write_off(units, new_id())
    with pytest.raises(InvalidInput):
        write_off(units, owed[0]["id"], reason="")
    assert before == dump(database)


def test_one_of_payment_and_write_off_wins(
    units: UnitsOfWork, database: Database, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """Racing for one remittance, one does it and the others are told that it is not pending."""
    top_up(units, chain.r, 13800)

    def pay() -> None:
        with units.begin(actor="test") as work:
            remittances.process(work, owed[0]["id"])

    outcomes = at_once([partial(write_off, units, owed[0]["id"]), pay] * 4)
    assert {"done": 1, "INVALID_STATUS": 7} == outcomes
    with database.read() as connection:
        status = remittances.get(connection, owed[0]["id"])["status"]
    left = {"completed": 0, "cancelled": 13800}
    wallet, debt = f"{chain.r}/wallet", f"{chain.r}/pay>{chain.d}"
    assert [left[status], 0] == balances(database, wallet, debt)


@pytest.mark.parametrize("paid", [False, True])
def test_goods_that_come_back_undo_a_write_off(
    units: UnitsOfWork,
    database: Database,
    chain: Chain,
    owed: list[dict[str, Any]],
    *,
    paid: bool,
) -> None:
    """After the return nobody has lost or been forgiven anything, and no debt is left over."""
    write_off(units, owed[0]["id"])
    if paid:
        top_up(units, chain.d, 12000)
        with units.begin(actor="test") as work:
            remittances.process(work, owed[1]["id"])
    with units.begin(actor="test") as work:
        orders.return_(work, owed[0]["chain_order_id"], reason="broken")
    names = [f"{chain.d}/bad_debt", f"{chain.r}/forgiven", f"{chain.d}/recv<{chain.r}"]
    assert [0, 0, 0] == balances(database, *names)
