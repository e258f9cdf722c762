"""Cash on delivery through the database: every chain of 1 to 8 levels, whoever collects (F57)."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection

from engine import (
    accounts,
    ledger_checks,
    order_rows,
    orders,
    postings,
    remittances,
    settlement,
    settlement_books,
    wallets,
)
from engine.database import Database
from engine.postings import WALLET
from engine.unit_of_work import UnitsOfWork
from tests.deep_chains import DeepChain, Route, all_routes, build_deep_chain
from tests.faults.plugin import Reached


def balances(connection: Connection, chain: DeepChain) -> list[int]:
    """Return what the wallets of all levels hold, from the top down."""
    keys = [(tenant_id, WALLET) for tenant_id in chain.tenants]
    found = accounts.find(connection, keys, "INR")
    return [accounts.balance(found[key]) if key in found else 0 for key in keys]


def expected_debts(connection: Connection, order_id: str) -> list[tuple[str, str, int]]:
    """Return what the rule per edge says about an order, from the prices fixed in its hops."""
    order = order_rows.get(connection, order_id)
    levels = settlement.supply_levels(order, order_rows.hops_of(connection, order_id))
    collector = [level.tenant_id for level in levels].index(order["collector_tenant_id"])
    owed = postings.cod_obligations(levels, order["cod_amount_minor"], collector)
    return sorted((each.payer_id, each.payee_id, each.amount_minor) for each in owed)


def check_books(found: dict[str, Any]) -> None:
    """Check that every book of every transaction balances and the margins make the retail."""
    assert found["retail_minor"] == found["base_cost_minor"] + found["margins_minor"]
    for transaction in found["transactions"]:
        books: dict[str, int] = {}
        for line in transaction["entries"]:
            signed = line["amount_minor"] * (1 if line["side"] == "debit" else -1)
            books[line["book"]] = books.get(line["book"], 0) + signed
        assert {0} == set(books.values())


@pytest.mark.fault("F57")
def test_every_route_settles_and_clears(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """All 120 routes: debts as the rule says, books balance, paid up nothing is left."""
    rounds = reached.times(1, 5)
    for seed in range(1, rounds + 1):
        settle_every_route(units, database, seed)
    kind = database.engine.dialect.name
    reached.says("F57", f"{rounds * 120} settlements of 1 to 8 levels, every collector ({kind})")


def settle_every_route(units: UnitsOfWork, database: Database, seed: int) -> None:
    """Settle each route of one chain and compare what is owed and what is left."""
    chain = build_deep_chain(units, seed)
    chance = random.Random(seed)  # noqa: S311  # prices, not secrets
    for route in all_routes():
        with units.begin(actor="test") as work:
            quantity, price = chance.randint(1, 3), chance.randint(0, 90_000)
            order_id = chain.place(work, route, quantity=quantity, price_minor=price)
        chain.deliver(order_id, route)
        with database.read() as connection:
            rows = remittances.listing(connection, order_id=order_id)
            debts = sorted((r["payer_id"], r["payee_id"], r["amount_minor"]) for r in rows)
            assert expected_debts(connection, order_id) == debts
            check_books(settlement_books.show(connection, order_id))
            before = balances(connection, chain)
        chain.pay(order_id)
        with database.read() as connection:
            found = settlement_books.show(connection, order_id)
            assert ([], "settled") == (found["owed"], found["collection"]["status"])
            check_books(found)
            assert sum(before) == sum(balances(connection, chain))
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


@pytest.mark.fault("F58")
def test_returns_after_any_payments_give_everything_back(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """F58: paid in part, returned, the rest given back: every wallet is where it was."""
    rounds = reached.times(1, 6)
    for seed in range(3, rounds + 3):
        return_after_part(units, database, seed)
    count, kind = rounds * len(list(all_routes())[::3]), database.engine.dialect.name
    reached.says("F58", f"{count} returns after a part was paid: nothing owed is left ({kind})")


def return_after_part(units: UnitsOfWork, database: Database, seed: int) -> None:
    """Pay some debts of each route of one chain, return the goods, clear the rest."""
    chain = build_deep_chain(units, seed)
    chance = random.Random(seed)  # noqa: S311  # which are paid, no secret
    with database.read() as connection:
        before = balances(connection, chain)
    for route in list(all_routes())[::3]:
        with units.begin(actor="test") as work:
            order_id = chain.place(work, route, quantity=1, price_minor=chance.randint(0, 90_000))
        short = chance.choice([None, 0, 10**6])
        chain.deliver(order_id, route, collected_minor=short)
        with units.begin(actor="test") as work:
            for row in remittances.listing(work.connection, order_id=order_id):
                if chance.random() < 0.5:
                    remittances.process(work, row["id"])
        with units.begin(actor="test") as work:
            orders.return_(work, order_id)
        chain.pay(order_id)
        with database.read() as connection:
            found = settlement_books.show(connection, order_id)
            assert ([], "reversed") == (found["owed"], found["collection"]["status"])
            assert before == balances(connection, chain)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        for tenant_id in chain.tenants:
            wallet = wallets.show(connection, tenant_id)
            assert (0, 0) == (wallet["pending_debits_minor"], wallet["pending_credits_minor"])


def test_nobody_is_late_while_his_debtor_is_in_time(units: UnitsOfWork, database: Database) -> None:
    """Each hop from the cash is due after the one before it, in whatever zones they live."""
    for seed in range(4):
        chain = build_deep_chain(units, seed)
        for collector in (0, 3, 7):
            route = Route(origin=7, supplier=0, collector=collector)
            with units.begin(actor="test") as work:
                order_id = chain.place(work, route, quantity=1, price_minor=50_000)
            chain.deliver(order_id, route)
            check_due_dates(database, order_id, chain.tenants[collector])


def check_due_dates(database: Database, order_id: str, collector_id: str) -> None:
    """Check each side of the cash on its own: a day and an instant later, hop by hop."""
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    reached: dict[str, dict[str, Any] | None] = {collector_id: None}
    for row in sorted(rows, key=lambda each: int(each["hop"])):
        near, far = row["payer_id"], row["payee_id"]
        if near not in reached:
            near, far = far, near
        nearer = reached.get(near)
        if nearer is not None:
            assert row["due_at"] > nearer["due_at"]
            assert row["due_date"] - nearer["due_date"] >= timedelta(days=1)
        reached[far] = row
