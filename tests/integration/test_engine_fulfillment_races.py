"""Many fulfilments at once on both databases: one debit, one serial each, no limit overdrawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from engine import fulfillments, relationships, stock_items
from engine.database import Database
from engine.errors import PurchaseLimitExceeded
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import raised, top_up
from tests.racing import together
from tests.reselling import bind, fulfil, order_of, stocked, wallet_of


def test_fifty_identical_orders_are_one_debit(units: UnitsOfWork, database: Database) -> None:
    """The same order fifty times at once, under order id and key: one debit, one serial."""
    shop = stocked(units, serials=60, money=10**7)
    create = partial(
        fulfillments.create,
        relationship_id=shop.relationship,
        fulfillment=order_of(shop),
        idempotency_key="k-1",
    )
    assert {"done": 50} == together(units, [create] * 50)
    assert 10**7 - 13000 == wallet_of(database, shop.reseller)
    with database.read() as connection:
        assert 1 == stock_items.counts(connection, shop.product_id)["delivered"]
        assert 1 == len(raised(connection, shop.reseller, "fulfillment.delivered"))


def test_the_last_serial_goes_to_one_order(units: UnitsOfWork, database: Database) -> None:
    """Twenty orders of two resellers want the last three serials: three get one each."""
    shop = stocked(units, money=10**7)
    with units.begin(actor="test") as work:
        other = bind(work, shop.merchant, "B", "b@b.example")
    top_up(units, other["child_id"], 10**7)

    def ordering(number: int) -> Callable[[UnitOfWork], Any]:
        relationship = (shop.relationship, other["id"])[number % 2]
        asked = order_of(shop, f"order-{number}")
        return lambda work: fulfillments.create(work, relationship, asked)

    ended = together(units, [ordering(number) for number in range(20)])
    assert {"done": 3, "STOCK_UNAVAILABLE": 17} == ended
    assert 3 * 13000 == wallet_of(database, shop.merchant)
    with database.read() as connection:
        assert 3 == stock_items.counts(connection, shop.product_id)["delivered"]


def test_a_balance_and_a_limit_are_never_overdrawn(units: UnitsOfWork, database: Database) -> None:
    """Thirty orders against money for ten, then a limit of five: ten, and then five more."""
    shop = stocked(units, serials=60, money=130_000)

    def ordering(number: int) -> Callable[[UnitOfWork], Any]:
        asked = order_of(shop, f"order-{number}")
        return lambda work: fulfillments.create(work, shop.relationship, asked)

    ended = together(units, [ordering(number) for number in range(30)])
    assert {"done": 10, "INSUFFICIENT_BALANCE": 20} == ended
    assert 0 == wallet_of(database, shop.reseller)
    top_up(units, shop.reseller, 10**6)
    with units.begin(actor="test") as work:
        relationships.update(work, shop.relationship, {"purchase_limit_daily": 15})
    ended = together(units, [ordering(number) for number in range(30, 50)])
    assert {"done": 5, "PURCHASE_LIMIT_EXCEEDED": 15} == ended
    with pytest.raises(PurchaseLimitExceeded):
        fulfil(units, shop, number="one-more")


def test_refunds_and_orders_at_once_agree(units: UnitsOfWork, database: Database) -> None:
    """Each of ten orders is refunded three times at once beside new orders: once each."""
    shop = stocked(units, serials=40, money=10**7)
    ids = [fulfil(units, shop, number=f"order-{number}")["id"] for number in range(10)]
    calls: list[Callable[[UnitOfWork], Any]] = []
    for number, fulfillment_id in enumerate(ids):
        refund = partial(
            fulfillments.refund,
            relationship_id=shop.relationship,
            fulfillment_id=fulfillment_id,
            reason="r",
        )
        asked = order_of(shop, f"new-{number}")
        create = partial(fulfillments.create, relationship_id=shop.relationship, fulfillment=asked)
        calls += [refund, create, refund, refund]
    assert {"done": 40} == together(units, calls)
    assert 10**7 - 130_000 == wallet_of(database, shop.reseller)
    with database.read() as connection:
        counts = stock_items.counts(connection, shop.product_id)
        assert {"available": 20, "allocated": 0, "delivered": 10, "revoked": 10} == counts
        relationship = relationships.get(connection, shop.relationship)
        assert 10 == relationship["purchased_quantity"]
