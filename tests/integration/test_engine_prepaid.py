"""Prepaid orders on both databases: set aside, captured, freed and refunded (domain.md A4, A5)."""

from __future__ import annotations

import pytest

from engine import ledger_checks, orders, payouts, products, wallets
from engine.database import Database
from engine.errors import InsufficientBalance
from engine.unit_of_work import UnitsOfWork
from tests.chains import accept_at_top, build_chain, dump, place, top_up

PREPAID = {"method": "prepaid"}


def test_prepaid_sets_aside_what_the_origin_pays(units: UnitsOfWork, database: Database) -> None:
    """138 are held at placing, captured at shipping, and every margin arrives (A4, A5)."""
    chain = build_chain(units)
    top_up(units, chain.r, 20000)
    order_id = place(units, chain, payment=PREPAID)
    with database.read() as connection:
        wallet = wallets.show(connection, chain.r)
    assert (20000, 6200, 13800) == tuple(
        wallet[f"{name}_minor"] for name in ("balance", "available_balance", "pending_debits")
    )
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
    with database.read() as connection:
        found = [wallets.show(connection, t)["balance_minor"] for t in (chain.r, chain.d, chain.s)]
        assert [6200, 1800, 12000] == found
        assert [] == ledger_checks.verify(connection)


def test_prepaid_beyond_the_wallet_is_refused(units: UnitsOfWork, database: Database) -> None:
    """137.99 is not enough for 138; a credit limit of one paisa makes it enough."""
    chain = build_chain(units)
    top_up(units, chain.r, 13799)
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refused:
        place(units, chain, payment=PREPAID)
    details = refused.value.details
    assert (13800, 13799) == (details["required_minor"], details["available_minor"])
    assert before == dump(database)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 1)
    place(units, chain, payment=PREPAID)


def test_cancelling_frees_the_money(units: UnitsOfWork, database: Database) -> None:
    """A cancelled prepaid order gives its hold back and is void."""
    chain = build_chain(units)
    top_up(units, chain.r, 13800)
    order_id = place(units, chain, payment=PREPAID)
    with units.begin(actor="test") as work:
        row = orders.cancel(work, order_id, reason="changed", tenant_id=chain.r)
    assert ("cancelled", "void") == (row["chain_status"], row["payment_status"])
    with database.read() as connection:
        assert 13800 == wallets.show(connection, chain.r)["spendable_minor"]
        assert [] == ledger_checks.verify(connection)


def test_returned_prepaid_goods_are_refunded(units: UnitsOfWork, database: Database) -> None:
    """A refused parcel that was paid is paid back through every level."""
    chain = build_chain(units)
    top_up(units, chain.r, 13800)
    order_id = place(units, chain, payment=PREPAID)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
        row = orders.return_(work, order_id, reason="refused")
    assert "refunded" == row["payment_status"]
    with database.read() as connection:
        found = [wallets.show(connection, t)["balance_minor"] for t in (chain.r, chain.d, chain.s)]
        assert [13800, 0, 0] == found
        assert [] == ledger_checks.verify(connection)


def test_a_refund_is_never_refused(units: UnitsOfWork, database: Database) -> None:
    """What the suppliers earned and took out is owed back: their wallets go below zero."""
    chain = build_chain(units)
    top_up(units, chain.r, 13800)
    order_id = place(units, chain, payment=PREPAID)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
    with units.begin(actor="test") as work:
        taken = payouts.request(work, chain.s, 12000)["id"]
        payouts.approve(work, taken)
        payouts.complete(work, taken, reference="UTR")
        orders.return_(work, order_id, reason="refused")
    with database.read() as connection:
        found = [wallets.show(connection, t)["balance_minor"] for t in (chain.r, chain.d, chain.s)]
        assert [13800, 0, -12000] == found
        assert [] == ledger_checks.verify(connection)


def test_digital_orders_skip_the_parcel(units: UnitsOfWork, database: Database) -> None:
    """Nothing to ship: delivered from accepted, paid and taken from the stock then."""
    chain = build_chain(units)
    top_up(units, chain.r, 13800)
    order_id = place(units, chain, payment=PREPAID, shipping_address={})
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        row = orders.deliver(work, order_id)
    assert ("delivered", "settled") == (row["chain_status"], row["payment_status"])
    with database.read() as connection:
        product = products.get(connection, chain.product_id)
        assert (499, 0) == (product["stock_quantity"], product["stock_allocated"])
        assert 12000 == wallets.show(connection, chain.s)["balance_minor"]
