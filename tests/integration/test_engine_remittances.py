"""Remittances on both databases: flows, bulk, returns, refusals (domain.md A6 to A10)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from sqlalchemy import Connection

from engine import cash_collections, ledger_checks, orders, remittances, wallets
from engine.database import Database
from engine.errors import (
    Forbidden,
    InsufficientBalance,
    InvalidAmount,
    InvalidInput,
    InvalidStatus,
    NotFound,
)
from engine.money import AMOUNT_MINOR_MAX
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, deliver, dump, place, raised, top_up


def rows_of(database: Database, order_id: str) -> list[tuple[str, str, int, str]]:
    """Return payer, payee, amount and status of the order's remittances."""
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    return sorted((r["payer_id"], r["payee_id"], r["amount_minor"], r["status"]) for r in rows)


def collection_of(connection: Connection, order_id: str) -> dict[str, Any]:
    """Return the collection of an order, which there must be."""
    found = cash_collections.of_order(connection, order_id)
    assert found is not None
    return found


def balances(database: Database, chain: Chain) -> list[int]:
    """Return the wallets of R, D and S, and check the books on the way."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        return [
            wallets.show(connection, tenant)["balance_minor"]
            for tenant in (chain.r, chain.d, chain.s)
        ]


def pay_all(units: UnitsOfWork, chain: Chain, order_id: str) -> None:
    """Give everyone money and process every pending remittance of an order."""
    with units.begin(actor="test") as work:
        for tenant in (chain.r, chain.d, chain.s):
            wallets.set_credit_limit(work, tenant, 10**9)
        for row in remittances.listing(work.connection, order_id=order_id, status="pending"):
            remittances.process(work, row["id"])


def test_cash_at_the_supplier_flows_down(units: UnitsOfWork, database: Database) -> None:
    """S collects: S pays D 35, D pays R 17; wallets end at -35, +18, +17."""
    chain = build_chain(units)
    order_id = place(units, chain, payment={"method": "cod", "collector": "fulfiller"})
    deliver(units, order_id)
    expected = [(chain.s, chain.d, 3500, "pending"), (chain.d, chain.r, 1700, "pending")]
    assert sorted(expected) == rows_of(database, order_id)
    pay_all(units, chain, order_id)
    assert [1700, 1800, -3500] == balances(database, chain)


def test_cash_in_the_middle_flows_both_ways(units: UnitsOfWork, database: Database) -> None:
    """D collects what S supplies: D pays S 120 and R 17."""
    chain = build_chain(units)
    order_id = place(units, chain, payment={"method": "cod", "collector": chain.d})
    deliver(units, order_id)
    expected = [(chain.d, chain.s, 12000, "pending"), (chain.d, chain.r, 1700, "pending")]
    assert sorted(expected) == rows_of(database, order_id)
    balances(database, chain)


def test_own_stock_leaves_the_top_out(units: UnitsOfWork, database: Database) -> None:
    """D accepts and collects: only D pays R 17, and S hears nothing."""
    chain = build_chain(units)
    order_id = place(units, chain, payment={"method": "cod", "collector": "fulfiller"})
    deliver(units, order_id, hops=1)
    assert [(chain.d, chain.r, 1700, "pending")] == rows_of(database, order_id)
    with database.read() as connection:
        assert [] == raised(connection, chain.s, "chain_order.created")


def test_alone_nobody_owes_anybody(units: UnitsOfWork, database: Database) -> None:
    """R sells its own stock for cash: collected and settled at once."""
    chain = build_chain(units)
    order_id = place(units, chain)
    assert "settled" == deliver(units, order_id, hops=0)["payment_status"]
    assert [] == rows_of(database, order_id)
    with database.read() as connection:
        assert "settled" == collection_of(connection, order_id)["status"]


def test_the_collector_must_meet_the_parcel(units: UnitsOfWork, database: Database) -> None:
    """Cash named for S cannot be collected when D supplies: D may not accept, S may."""
    chain = build_chain(units)
    order_id = place(units, chain, payment={"method": "cod", "collector": chain.s})
    with units.begin(actor="test") as work:
        orders.forward(work, order_id)
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        orders.accept(work, order_id)
    assert before == dump(database)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id, hops=1)


def test_due_dates_follow_the_cash(units: UnitsOfWork, database: Database) -> None:
    """The first hop is due 7 days after delivery, the next a day later, in the payer's zone."""
    chain = build_chain(units, timezone="Asia/Kolkata")
    order_id = place(units, chain)
    deliver(units, order_id)
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    assert [date(2026, 3, 9), date(2026, 3, 10)] == [row["due_date"] for row in rows]
    assert "2026-03-09T18:30:00+00:00" == rows[0]["due_at"].isoformat()
    assert ["Asia/Kolkata"] * 2 == [row["due_tz"] for row in rows]


def test_short_cash_is_the_collectors_loss(units: UnitsOfWork, database: Database) -> None:
    """150 of 155: the collection is short, what R owes is the same."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
    before = dump(database)
    with pytest.raises(InvalidAmount), units.begin(actor="test") as work:
        orders.deliver(work, order_id, collected_minor=-1)
    assert before == dump(database)
    with units.begin(actor="test") as work:
        orders.deliver(work, order_id, collected_minor=15000)
    assert (chain.r, chain.d, 13800, "pending") in rows_of(database, order_id)
    with database.read() as connection:
        assert "short" == collection_of(connection, order_id)["status"]
        assert 15000 == raised(connection, chain.r, "cod_collection.recorded")[0]["collected_minor"]
    balances(database, chain)


def first_of(database: Database, order_id: str) -> str:
    """Return the remittance next to the cash."""
    with database.read() as connection:
        return str(remittances.listing(connection, order_id=order_id)[0]["id"])


def test_a_debt_needs_money(units: UnitsOfWork, database: Database) -> None:
    """Without it, INSUFFICIENT_BALANCE with what is needed and what there is; nothing changes."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    top_up(units, chain.r, 13799)
    first = first_of(database, order_id)
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refused, units.begin(actor="test") as work:
        remittances.process(work, first, tenant_id=chain.r)
    details = refused.value.details
    assert (13800, 13799) == (details["required_minor"], details["available_minor"])
    assert before == dump(database)


def test_only_the_payer_pays(units: UnitsOfWork, database: Database) -> None:
    """The payee is forbidden; a tenant outside finds nothing."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    first = first_of(database, order_id)
    before = dump(database)
    with pytest.raises(Forbidden), units.begin(actor="test") as work:
        remittances.process(work, first, tenant_id=chain.d)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        remittances.process(work, first, tenant_id=chain.s)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        remittances.process(work, "7")
    assert before == dump(database)


def test_bulk_pays_what_it_can(units: UnitsOfWork, database: Database) -> None:
    """Money for one of two debts pays one; the other is named with its reason (document 001)."""
    chain = build_chain(units)
    ids = []
    for number in ("1", "2"):
        order_id = place(units, chain, number=number)
        deliver(units, order_id)
        ids.append(first_of(database, order_id))
    top_up(units, chain.r, 13800)
    done = remittances.bulk_process(units, [*ids, "nonsense"], actor="test", tenant_id=chain.r)
    assert [ids[0]] == done["processed"]
    assert {ids[1]: "INSUFFICIENT_BALANCE", "nonsense": "NOT_FOUND"} == done["codes"]
    assert "Insufficient balance" == done["errors"][ids[1]]
    assert "Processed 1 remittances, 2 failed" == done["message"]
    assert [0, 13800, 0] == balances(database, chain)
    with database.read() as connection:
        assert 1 == len(raised(connection, chain.r, "remittance.completed"))


def test_a_return_undoes_what_is_not_paid(units: UnitsOfWork, database: Database) -> None:
    """Returned before anyone paid: remittances cancelled, holds gone, books clear."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    with units.begin(actor="test") as work:
        row = orders.return_(work, order_id, reason="broken")
    assert ("returned", "refunded") == (row["chain_status"], row["payment_status"])
    assert ["cancelled", "cancelled"] == [each[3] for each in rows_of(database, order_id)]
    assert [0, 0, 0] == balances(database, chain)
    with database.read() as connection:
        assert 2 == len(raised(connection, chain.d, "remittance.cancelled"))
        assert 0 == wallets.show(connection, chain.d)["pending_debits_minor"]
    with pytest.raises(InvalidStatus), units.begin(actor="test") as work:
        remittances.process(work, first_of(database, order_id))


def test_a_return_owes_back_what_was_paid(units: UnitsOfWork, database: Database) -> None:
    """R paid D already: after the return D owes R the same, due today, and paying it clears all."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    top_up(units, chain.r, 13800)
    with units.begin(actor="test") as work:
        remittances.process(work, first_of(database, order_id))
    with units.begin(actor="test") as work:
        orders.return_(work, order_id)
    assert (chain.d, chain.r, 13800, "pending") in rows_of(database, order_id)
    assert [0, 13800, 0] == balances(database, chain)
    pay_all(units, chain, order_id)
    assert [13800, 0, 0] == balances(database, chain)


def test_the_last_payment_settles_the_collection(units: UnitsOfWork, database: Database) -> None:
    """Collector and origin hear that a collection is settled once nothing is owed."""
    chain = build_chain(units)
    order_id = place(units, chain, payment={"method": "cod", "collector": chain.d})
    deliver(units, order_id)
    pay_all(units, chain, order_id)
    with database.read() as connection:
        settled = cash_collections.history(connection, tenant_id=chain.d, status="settled")
        collection = settled["data"][0]
        assert collection["settled_at"] is not None
        for tenant in (chain.d, chain.r):
            assert 1 == len(raised(connection, tenant, "cod_collection.settled"))
        assert [] == raised(connection, chain.s, "cod_collection.settled")


@pytest.mark.parametrize("count", [0, remittances.BULK_MAX + 1])
def test_a_bulk_has_its_bounds(units: UnitsOfWork, database: Database, count: int) -> None:
    """None at all, or more than 500 at a time, and nothing is paid."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    before = dump(database)
    with pytest.raises(InvalidInput):
        remittances.bulk_process(units, [first_of(database, order_id)] * count, actor="test")
    assert before == dump(database)


def test_no_wallet_passes_the_largest_amount(units: UnitsOfWork, database: Database) -> None:
    """A payment that would overflow the payee's wallet is refused, alone and in a bulk."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    top_up(units, chain.d, AMOUNT_MINOR_MAX - 13799)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 13800)
    first = first_of(database, order_id)
    before = dump(database)
    with pytest.raises(InvalidAmount), units.begin(actor="test") as work:
        remittances.process(work, first)
    done = remittances.bulk_process(units, [first], actor="test")
    assert {first: "INVALID_AMOUNT"} == done["codes"]
    assert before == dump(database)


def test_cash_is_for_cash_on_delivery(units: UnitsOfWork, database: Database) -> None:
    """A prepaid order collects nothing, and no order collects more than an exact number."""
    chain = build_chain(units)
    top_up(units, chain.r, 13800)
    prepaid = place(units, chain, number="P", payment={"method": "prepaid"})
    cod = place(units, chain, number="C")
    with units.begin(actor="test") as work:
        for order_id in (prepaid, cod):
            accept_at_top(work, order_id)
            orders.ship(work, order_id, tracking_number="T", carrier="c")
    before = dump(database)
    for order_id, collected_minor in ((prepaid, 15500), (prepaid, 0), (cod, AMOUNT_MINOR_MAX + 1)):
        with pytest.raises(InvalidInput), units.begin(actor="test") as work:
            orders.deliver(work, order_id, collected_minor=collected_minor)
        assert before == dump(database)
