"""Many at once on both databases: one wins, the others are refused, and the books agree."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from engine import ledger_checks, orders, remittances, wallets
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, deliver, order_of, place, raised, top_up
from tests.faults.plugin import Reached
from tests.racing import alone, at_once, together


@pytest.mark.fault("F25")
def test_one_remittance_is_paid_once(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """Fifty payers of each remittance, all at once: one debit each, 49 refusals (F25)."""
    count = reached.times(4, 50)
    chain = build_chain(units)
    for number in range(count // 2):
        deliver(units, place(units, chain, number=str(number)))
    for tenant_id in (chain.r, chain.d):
        top_up(units, tenant_id, 10**6)
    with database.read() as connection:
        owed = [row["id"] for row in remittances.listing(connection, limit=count)]
    calls = [partial(remittances.process, remittance_id=each) for each in owed * 50]
    assert {"done": count, "INVALID_STATUS": 49 * count} == together(units, calls)
    with database.read() as connection:
        left = [wallets.show(connection, each)["balance_minor"] for each in (chain.r, chain.d)]
        assert [10**6 - count // 2 * 13800, 10**6 + count // 2 * 1800] == left
        assert count // 2 == len(raised(connection, chain.r, "remittance.completed"))
        assert [] == ledger_checks.verify(connection)
    kind = database.engine.dialect.name
    reached.says("F25", f"{count} remittances x 50 payers: one debit each ({kind})")


@pytest.mark.fault("F26", "F29")
def test_a_wallet_is_never_overdrawn(units: UnitsOfWork, database: Database) -> None:
    """Forty prepaid orders against money for ten: ten are placed, one warning (F26, F29)."""
    chain = build_chain(units)
    top_up(units, chain.r, 138000)
    with units.begin(actor="test") as work:
        wallets.set_threshold(work, chain.r, 50000)

    def placing(number: int) -> Callable[[UnitOfWork], Any]:
        asked = order_of(f"N{number}", payment={"method": "prepaid"})
        return lambda work: orders.place(work, chain.r, asked)

    ended = together(units, [placing(number) for number in range(40)])
    assert {"done": 10, "INSUFFICIENT_BALANCE": 30} == ended
    with database.read() as connection:
        assert 0 == wallets.show(connection, chain.r)["spendable_minor"]
        assert 1 == len(raised(connection, chain.r, "wallet.low_balance"))
        assert [] == ledger_checks.verify(connection)


@pytest.mark.fault("F27")
def test_one_order_number_is_one_order(units: UnitsOfWork, database: Database) -> None:
    """The same order sent twenty times at once is placed once, held once and told once (F27)."""
    chain = build_chain(units)
    top_up(units, chain.r, 138000)
    asked = order_of(payment={"method": "prepaid"})
    ended = together(units, [lambda work: orders.place(work, chain.r, asked)] * 20)
    assert {"done": 20} == ended
    with database.read() as connection:
        assert 13800 == wallets.show(connection, chain.r)["pending_debits_minor"]
        assert 1 == len(raised(connection, chain.r, "chain_order.created"))


def test_the_last_pieces_are_reserved_once(units: UnitsOfWork) -> None:
    """Ten orders wait for three pieces: three are accepted."""
    chain = build_chain(units, stock=3)
    ids = [place(units, chain, number=str(number)) for number in range(10)]
    with units.begin(actor="test") as work:
        for order_id in ids * 2:
            orders.forward(work, order_id)
    ended = together(units, [partial(orders.accept, order_id=order_id) for order_id in ids])
    assert {"done": 3, "STOCK_UNAVAILABLE": 7} == ended


def test_payments_and_returns_do_not_lock_each_other_out(
    units: UnitsOfWork, database: Database
) -> None:
    """Bulk payments, payments and returns of the same orders all end, and the books agree."""
    chain = build_chain(units)
    ids = [place(units, chain, number=str(number)) for number in range(6)]
    for order_id in ids:
        deliver(units, order_id)
    with units.begin(actor="test") as work:
        for tenant in (chain.r, chain.d):
            wallets.set_credit_limit(work, tenant, 10**9)
        owed = [row["id"] for row in remittances.listing(work.connection)]
    calls: list[Callable[[], Any]] = []
    for index, order_id in enumerate(ids):
        calls += [
            partial(remittances.bulk_process, units, owed[::-1], actor="race"),
            alone(units, partial(remittances.process, remittance_id=owed[index])),
            alone(units, partial(orders.return_, order_id=order_id)),
            partial(remittances.bulk_process, units, owed, actor="race"),
        ]
    ended = at_once(calls)
    assert len(calls) == ended["done"] + ended["INVALID_STATUS"]
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
