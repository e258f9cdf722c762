"""Many at once on both databases: one wins, the others are refused, and the books agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from config.errors import TillbellError
from engine import ledger_checks, orders, remittances, wallets
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, deliver, order_of, place, raised, top_up

THREADS = 8


def together(units: UnitsOfWork, calls: list[Callable[[UnitOfWork], Any]]) -> Counter[str]:
    """Run every call in its own transaction, several at a time, and count how they ended."""

    def run(call: Callable[[UnitOfWork], Any]) -> str:
        try:
            with units.begin(actor="race") as work:
                call(work)
        except TillbellError as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(run, calls))


def test_one_remittance_is_paid_once(units: UnitsOfWork, database: Database) -> None:
    """Fifty payers of one remittance: one debit, 49 refusals (F25)."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    top_up(units, chain.r, 10**6)
    with database.read() as connection:
        first = remittances.listing(connection, order_id=order_id)[0]["id"]
    ended = together(units, [lambda work: remittances.process(work, first)] * 50)
    assert {"done": 1, "INVALID_STATUS": 49} == ended
    with database.read() as connection:
        assert 10**6 - 13800 == wallets.show(connection, chain.r)["balance_minor"]
        assert [] == ledger_checks.verify(connection)


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
    calls: list[Callable[[UnitOfWork], Any]] = []
    for index, order_id in enumerate(ids):
        calls += [
            lambda work: remittances.bulk_process(work, owed[::-1]),
            partial(remittances.process, remittance_id=owed[index]),
            partial(orders.return_, order_id=order_id),
            lambda work: remittances.bulk_process(work, owed),
        ]
    ended = together(units, calls)
    assert len(calls) == ended["done"] + ended["INVALID_STATUS"]
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
