"""Reversing by hand on both databases: free postings only; a document's own say what ends them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from engine import (
    commission_payments,
    commissions,
    fees,
    hand_reversals,
    ledger_checks,
    orders,
    payouts,
    wallet_holds,
    wallets,
    write_offs,
)
from engine import remittances as remittance_rows
from engine.database import Database
from engine.errors import InvalidInput, NotFound, OwnedByDocument
from engine.ledger_tables import ledger_transactions
from engine.settlement_tables import remittances
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, order_of, place, top_up
from tests.reselling import allocated, fulfil, stocked


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001; R has 1,000.00."""
    made = build_chain(units)
    top_up(units, made.r, 100_000)
    return made


def newest(database: Database, kind: str) -> str:
    """Return the transaction of a kind that was posted last."""
    table = ledger_transactions.c
    query = select(table.id).where(table.kind == kind).order_by(table.id.desc()).limit(1)
    with database.read() as connection:
        return str(connection.execute(query).scalar_one())


def refused(units: UnitsOfWork, database: Database, kind: str) -> OwnedByDocument:
    """Return the refusal of reversing what was posted last of a kind; nothing changed."""
    before = dump(database)
    with pytest.raises(OwnedByDocument) as found, units.begin(actor="anna") as work:
        hand_reversals.reverse(work, newest(database, kind), reason="r")
    assert before == dump(database)
    assert "OWNED_BY_DOCUMENT" == found.value.code
    return found.value


FREE: dict[str, Callable[[UnitOfWork, Chain], object]] = {
    "top_up": lambda work, chain: wallets.top_up(work, chain.r, 700),
    "fee": lambda work, chain: fees.charge(work, chain.r, 700, reason="f"),
    "hold": lambda work, chain: wallet_holds.hold(work, chain.r, 700, reason="h"),
}


@pytest.mark.parametrize("kind", FREE)
def test_what_nobody_owns_is_reversed(
    units: UnitsOfWork, database: Database, chain: Chain, kind: str
) -> None:
    """The wallet is as it was; the reversal can itself be reversed, and needs a reason."""
    with database.read() as connection:
        before = wallets.show(connection, chain.r)
    with units.begin(actor="test") as work:
        FREE[kind](work, chain)
    with units.begin(actor="anna") as work:
        undone = hand_reversals.reverse(work, newest(database, kind), reason="in error")
    assert ("anna", {"reason": "in error"}) == (undone["posted_by"], undone["metadata"])
    with database.read() as connection:
        after = wallets.show(connection, chain.r)
        assert [] == ledger_checks.verify(connection)
    figures = ("balance_minor", "pending_debits_minor", "spendable_minor")
    assert [before[name] for name in figures] == [after[name] for name in figures]
    with pytest.raises(InvalidInput), units.begin(actor="anna") as work:
        hand_reversals.reverse(work, undone["id"], reason=" ")
    with units.begin(actor="anna") as work:
        hand_reversals.reverse(work, undone["id"], reason="it was right")
    with pytest.raises(NotFound), units.begin(actor="anna") as work:
        hand_reversals.reverse(work, chain.r, reason="r")


def test_an_orders_postings_end_with_the_order(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Its hold, its settlement, what was paid or written off of it; and then its return works."""
    with units.begin(actor="test") as work:
        prepaid = orders.place(work, chain.r, order_of("P", payment={"method": "prepaid"}))["id"]
    assert f"orders cancel {prepaid}" in refused(units, database, "order_hold").message
    order_id = place(units, chain)
    deliver(units, order_id)
    assert f"orders return {order_id}" in refused(units, database, "cod_settlement").message
    with database.read() as connection:
        query = select(remittances.c.id).order_by(remittances.c.hop)
        first, second = connection.execute(query).scalars()
    with units.begin(actor="test") as work:
        remittance_rows.process(work, first)
        write_offs.write_off(work, second, reason="gone")
    assert first == refused(units, database, "remittance").details["document_id"]
    refusal = refused(units, database, "write_off")
    assert ("remittance", second, f"'tillbell orders return {order_id}'") == (
        refusal.details["document"],
        refusal.details["document_id"],
        refusal.details["ending"],
    )
    with units.begin(actor="test") as work:
        orders.return_(work, order_id)
    assert order_id == refused(units, database, "reversal").details["document_id"]
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


def test_a_payout_ends_itself(units: UnitsOfWork, database: Database, chain: Chain) -> None:
    """Neither what it set aside nor what it paid is reversed behind it; then it still completes."""
    with units.begin(actor="test") as work:
        payout_id = payouts.request(work, chain.r, 1000)["id"]
    assert f"payouts cancel {payout_id}" in refused(units, database, "payout_hold").message
    with units.begin(actor="test") as work:
        payouts.approve(work, payout_id)
        payouts.complete(work, payout_id, reference="UTR")
    assert "top-up" in refused(units, database, "payout").message


def test_what_resellers_bought_and_earned_ends_with_it(
    units: UnitsOfWork, database: Database
) -> None:
    """A fulfilment, a stock purchase, a sale and its commission name themselves."""
    shop = stocked(units, serials=3)
    top_up(units, shop.merchant, 100_000)
    row = fulfil(units, shop)
    ending = f"'tillbell fulfillments refund {shop.relationship} {row['id']}'"
    assert ending == refused(units, database, "fulfillment").details["ending"]
    bought = allocated(units, shop, 1)
    assert bought["id"] == refused(units, database, "stock_purchase").details["document_id"]
    sale = {"sale_reference": "s-1", "product_id": shop.product_id, "amount": 400}
    with units.begin(actor="test") as work:
        sold = commissions.record_sale(work, shop.relationship, sale)
        commission_payments.pay(work, shop.relationship)
    ending = f"'tillbell sales refund {shop.relationship} {sold['id']}'"
    assert ending == refused(units, database, "commission").details["ending"]
    assert shop.relationship in refused(units, database, "commission_payment").message
