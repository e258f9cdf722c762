"""API fulfilment on both databases: one debit, one serial, under either name (document 002)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from engine import fulfillments, relationships, stock_deliveries, stock_items, tenants, wallets
from engine.database import Database
from engine.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InsufficientBalance,
    InvalidInput,
    InvalidStatus,
    NotFound,
    StockUnavailable,
)
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, raised, top_up
from tests.reselling import KEYRING, Shop, bind, fulfil, order_of, stocked, wallet_of


def test_a_sale_of_a_resellers_shop_is_paid_and_delivered(
    units: UnitsOfWork, database: Database
) -> None:
    """130.00 a piece leave the wallet, the oldest serials are the reseller's, both are told."""
    shop = stocked(units)
    row = fulfil(units, shop, quantity=2)
    assert ("delivered", 26000) == (row["status"], row["cost_minor"])
    assert (26000, 74000) == (
        wallet_of(database, shop.merchant),
        wallet_of(database, shop.reseller),
    )
    with database.read() as connection:
        relationship = relationships.get(connection, shop.relationship)
        items = stock_items.listing(connection, relationship, fulfillment_id=row["id"])
        ids = [item["id"] for item in items]
        found = stock_items.serials_of(connection, KEYRING, relationship, ids)
        held = fulfillments.balance(connection, shop.relationship, tenant_id=shop.reseller)
        for tenant_id, role in ((shop.merchant, "merchant"), (shop.reseller, "reseller")):
            told = raised(connection, tenant_id, "fulfillment.delivered")
            assert [(role, "order-1001", 26000)] == [
                (each["role"], each["external_order_id"], each["cost_minor"]) for each in told
            ]
        assert 2 == relationships.get(connection, shop.relationship)["purchased_quantity"]
    assert ["SERIAL-00000", "SERIAL-00001"] == [found[item_id] for item_id in ids]
    assert (74000, 74000) == (held["balance_minor"], held["spendable_minor"])
    assert "buyer@" not in repr(dump(database))


def test_either_name_is_the_same_fulfilment(units: UnitsOfWork, database: Database) -> None:
    """By order id, by key, by both or by an order id with a new key: one debit."""
    shop = stocked(units)
    first = fulfil(units, shop, key="k-1")
    for key in (None, "k-1", "k-2", "k-2"):
        assert first == fulfil(units, shop, key=key)
    only_key = fulfil(units, shop, key="k-3", number=None)
    assert only_key == fulfil(units, shop, key="k-3", number=None)
    assert 100_000 - 2 * 13000 == wallet_of(database, shop.reseller)
    with database.read() as connection:
        assert 2 == len(raised(connection, shop.reseller, "fulfillment.delivered"))


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        (None, {"quantity": 2}),
        (None, {"customer_email": "other@example.com"}),
        ("k-1", {"number": "order-1002"}),
        ("k-1", {"number": None}),
        ("k-2", {}),
    ],
)
def test_names_that_disagree_are_refused(
    units: UnitsOfWork, database: Database, key: str | None, changes: dict[str, Any]
) -> None:
    """Another body under a name, or two names of two fulfilments: refused, nothing moves."""
    shop = stocked(units)
    fulfil(units, shop, key="k-1")
    fulfil(units, shop, key="k-2", number="order-1002")
    before = dump(database)
    with pytest.raises(IdempotencyKeyReused):
        fulfil(units, shop, key=key, **changes)
    assert before == dump(database)


def test_names_are_each_relationships_own(units: UnitsOfWork) -> None:
    """Another reseller's shop may use the same order id and key."""
    shop = stocked(units)
    with units.begin(actor="test") as work:
        other = bind(work, shop.merchant, "B", "b@b.example")
    other_shop = Shop(shop.merchant, other["child_id"], other["id"], shop.product_id)
    top_up(units, other_shop.reseller, 13000)
    ids = {fulfil(units, each, key="k-1")["id"] for each in (shop, other_shop)}
    assert 2 == len(ids)


def test_short_of_money_or_stock_nothing_happens(units: UnitsOfWork, database: Database) -> None:
    """Refused by name, with the figures, and the same request works once it can."""
    shop = stocked(units, serials=1, money=12999)
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refusal:
        fulfil(units, shop)
    assert (13000, 12999) == (
        refusal.value.details["required_minor"],
        refusal.value.details["available_minor"],
    )
    assert before == dump(database)
    top_up(units, shop.reseller, 20000)
    before = dump(database)
    with pytest.raises(StockUnavailable):
        fulfil(units, shop, quantity=2)
    assert before == dump(database)
    assert "delivered" == fulfil(units, shop)["status"]


def test_what_is_owed_to_others_is_not_spent(units: UnitsOfWork, database: Database) -> None:
    """Money set aside stays: a purchase by choice must fit what may be spent, credit included."""
    shop = stocked(units, money=0)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, shop.reseller, 13000)
    fulfil(units, shop)
    before = dump(database)
    with pytest.raises(InsufficientBalance):
        fulfil(units, shop, number="order-2")
    assert before == dump(database)
    assert -13000 == wallet_of(database, shop.reseller)


def test_a_refund_gives_back_once_and_revokes(units: UnitsOfWork, database: Database) -> None:
    """The money returns, the serials are nobody's, the limit is freed, one event each side."""
    granted = {"purchase_limit_daily": 2}
    shop = stocked(units, **granted)
    row = fulfil(units, shop, quantity=2)
    for _ in range(2):
        with units.begin(actor="test") as work:
            found = fulfillments.refund(
                work, shop.relationship, "order-1001", reason="broken", tenant_id=shop.merchant
            )
    assert ("refunded", row["id"]) == (found["status"], found["id"])
    assert (0, 100_000) == (wallet_of(database, shop.merchant), wallet_of(database, shop.reseller))
    with database.read() as connection:
        counts = stock_items.counts(connection, shop.product_id)
        assert {"available": 1, "allocated": 0, "delivered": 0, "revoked": 2} == counts
        assert 1 == len(raised(connection, shop.merchant, "fulfillment.refunded"))
        relationship = relationships.get(connection, shop.relationship)
        item = stock_items.listing(connection, relationship, fulfillment_id=row["id"])[0]["id"]
    with pytest.raises(InvalidStatus), units.begin(actor="test") as work:
        stock_deliveries.deliver(work, shop.relationship, item, "buyer@example.com")
    assert row["id"] == fulfil(units, shop, quantity=2)["id"]
    assert "delivered" == fulfil(units, shop, number="order-2")["status"]


def test_a_fulfilment_is_its_relationships(units: UnitsOfWork, database: Database) -> None:
    """The merchant does not order, the reseller does not refund, others find nothing."""
    shop = stocked(units)
    row = fulfil(units, shop)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
        other = bind(work, shop.merchant, "B", "b@b.example")["id"]
    before = dump(database)
    create = partial(fulfillments.create, fulfillment=order_of(shop, "order-2"))
    refund = partial(fulfillments.refund, fulfillment_id=row["id"], reason="r")
    calls: list[tuple[Callable[..., Any], str, str | None, type[Exception]]] = [
        (create, shop.relationship, shop.merchant, Forbidden),
        (create, shop.relationship, stranger, NotFound),
        (refund, shop.relationship, shop.reseller, Forbidden),
        (refund, shop.relationship, stranger, NotFound),
        (refund, other, None, NotFound),
    ]
    for call, relationship, tenant_id, refused in calls:
        with pytest.raises(refused), units.begin(actor="test") as work:
            call(work, relationship_id=relationship, tenant_id=tenant_id)
    with database.read() as connection:
        with pytest.raises(Forbidden):
            fulfillments.balance(connection, shop.relationship, tenant_id=shop.merchant)
        bound = relationships.get(connection, other)
        assert {} == stock_items.serials_of(
            connection,
            KEYRING,
            bound,
            [
                item["id"]
                for item in stock_items.listing(
                    connection, relationships.get(connection, shop.relationship)
                )
            ],
        )
    assert before == dump(database)


@pytest.mark.parametrize(
    "changes",
    [
        {"number": None},
        {"number": ""},
        {"number": "x" * 101},
        {"number": 5},
        {"customer_email": "nobody"},
        {"customer_email": None},
        {"quantity": 0},
        {"quantity": "1"},
        {"quantity": 10**6 + 1},
        {"product_id": "x"},
        {"product_id": "01900000-0000-7000-8000-000000000001"},
        {"amount": 1},
    ],
)
def test_a_bad_fulfilment_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, Any]
) -> None:
    """Nameless, to nobody, of nothing: refused, and every row stays."""
    shop = stocked(units)
    before = dump(database)
    with pytest.raises(InvalidInput):
        fulfil(units, shop, **changes)
    with pytest.raises(InvalidInput):
        fulfil(units, shop, key="x" * 141)
    assert before == dump(database)
