"""Many purchases at once on both databases: each serial, payment and piece counts once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from config.clock import FixedClock
from engine import ledger_checks, relationships, stock_items, stock_purchases, stock_transfers
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import top_up
from tests.racing import together
from tests.reselling import Shop, add_serials, balances, bind, build_shop, purchase, sweep

Call = Callable[..., dict[str, Any]]


def test_the_last_serial_is_taken_once(units: UnitsOfWork, database: Database) -> None:
    """Ten allocations wait for the last three serials: three get one each."""
    shop = build_shop(units)
    add_serials(units, shop, 3)
    ids = [purchase(units, shop, 1)["id"] for _ in range(10)]

    def allocating(transfer_id: str) -> Callable[[UnitOfWork], Any]:
        return lambda work: stock_purchases.allocate(work, shop.relationship, transfer_id)

    ended = together(units, [allocating(transfer_id) for transfer_id in ids])
    assert {"done": 3, "STOCK_UNAVAILABLE": 7} == ended
    with database.read() as connection:
        assert 3 == stock_items.counts(connection, shop.product_id)["allocated"]
        assert [] == ledger_checks.verify(connection)


def test_one_purchase_is_paid_and_allocated_once(units: UnitsOfWork, database: Database) -> None:
    """Twenty payments and twenty allocations of one purchase at once: one debit, its serials."""
    shop = build_shop(units)
    add_serials(units, shop, 10)
    top_up(units, shop.reseller, 10**6)
    transfer = purchase(units, shop, 2)
    with units.begin(actor="test") as work:
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
    pay = partial(
        stock_purchases.pay, relationship_id=shop.relationship, transfer_id=transfer["id"]
    )
    assert {"done": 1, "INVALID_STATUS": 19} == together(units, [pay] * 20)
    allocate = partial(
        stock_purchases.allocate, relationship_id=shop.relationship, transfer_id=transfer["id"]
    )
    assert {"done": 20} == together(units, [allocate] * 20)
    assert (26000, 10**6 - 26000) == balances(database, shop)
    with database.read() as connection:
        assert 2 == stock_items.counts(connection, shop.product_id)["allocated"]


def test_cancelling_expiring_and_buying_do_not_lock_each_other_out(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """Sweeps, cancellations and new purchases of two resellers all end, and no limit drifts."""
    shop = build_shop(units, purchase_limit_daily=1000)
    with units.begin(actor="test") as work:
        other = bind(work, shop.merchant, "B", "b@b.example", purchase_limit_daily=1000)["id"]
    pairs = [
        (rel, purchase(units, Shop(shop.merchant, "", rel, shop.product_id), 1)["id"])
        for rel in (shop.relationship, other) * 6
    ]
    clock.advance(timedelta(days=7))
    calls: list[Callable[[UnitOfWork], Any]] = []
    for rel, transfer_id in pairs:
        asked = {"product_id": shop.product_id, "quantity": 1}
        calls += [
            partial(stock_purchases.cancel, relationship_id=rel, transfer_id=transfer_id),
            sweep,
            partial(stock_purchases.request, relationship_id=rel, purchase=asked),
        ]
    ended = together(units, calls)
    assert len(calls) == ended["done"] + ended["INVALID_STATUS"]
    with database.read() as connection:
        for rel in (shop.relationship, other):
            assert 6 == relationships.get(connection, rel)["purchased_quantity"]
        assert 12 == len(stock_transfers.listing(connection, status="expired"))
