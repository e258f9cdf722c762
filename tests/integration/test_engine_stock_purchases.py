"""Stock purchases on both databases: paid, allocated exactly once, delivered one by one (002)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from config.clock import FixedClock
from engine import relationships, stock_deliveries, stock_items, stock_purchases, stock_transfers
from engine.database import Database
from engine.errors import Forbidden, InvalidInput, InvalidStatus, NotFound
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, raised, top_up
from tests.reselling import (
    KEYRING,
    add_serials,
    allocated,
    balances,
    bind,
    build_shop,
    purchase,
    sweep,
)

Call = Callable[..., dict[str, Any]]


def statuses(database: Database, tenant_id: str) -> list[str]:
    """Return the stock transfer events a tenant heard, in their order."""
    names = ("requested", "invoiced", "paid", "allocated", "cancelled", "expired")
    with database.read() as connection:
        told = [
            e for name in names for e in raised(connection, tenant_id, f"stock_transfer.{name}")
        ]
    return [each["status"] for each in told]


def test_a_purchase_makes_its_way(units: UnitsOfWork, database: Database) -> None:
    """Requested at 130.00 a piece (200 less 35 %), invoiced, paid from the wallet, allocated."""
    shop = build_shop(units)
    serials = add_serials(units, shop, 3)
    top_up(units, shop.reseller, 30000)
    row = allocated(units, shop, 2)
    assert ("allocated", 13000, 26000, "prepaid", 4) == (
        row["status"],
        row["unit_price_minor"],
        row["total_minor"],
        row["payment_method"],
        row["version"],
    )
    assert (26000, 4000) == balances(database, shop)
    with database.read() as connection:
        relationship = relationships.get(connection, shop.relationship)
        items = stock_items.listing(connection, relationship, transfer_id=row["id"])
        found = stock_items.serials_of(
            connection, KEYRING, relationship, [item["id"] for item in items]
        )
        steps = stock_transfers.timeline(connection, row["id"])
        assert {"available": 1, "allocated": 2, "delivered": 0, "revoked": 0} == (
            stock_items.counts(connection, shop.product_id)
        )
    assert serials[:2] == sorted(found.values())
    assert ["request", "invoice", "pay", "allocate"] == [step["action"] for step in steps]
    told = ["requested", "invoiced", "paid", "allocated"]
    assert told == statuses(database, shop.merchant) == statuses(database, shop.reseller)


def test_serials_stand_nowhere_in_the_clear(units: UnitsOfWork, database: Database) -> None:
    """Bought, delivered and told of, no serial and no customer's e-mail is in any row."""
    shop = build_shop(units)
    serials = add_serials(units, shop, 2)
    top_up(units, shop.reseller, 30000)
    row = allocated(units, shop, 2)
    with units.begin(actor="test") as work:
        relationship = relationships.get(work.connection, shop.relationship)
        for item in stock_items.listing(work.connection, relationship, transfer_id=row["id"]):
            stock_deliveries.deliver(work, shop.relationship, item["id"], "Buyer@Example.com")
    stored = repr(dump(database)).lower()
    assert all(serial.lower() not in stored for serial in serials)
    assert "buyer@" not in stored


def test_items_are_delivered_one_by_one(units: UnitsOfWork, database: Database) -> None:
    """Partially delivered by the first, delivered by the last; to the same customer it stays so."""
    shop = build_shop(units)
    add_serials(units, shop, 2)
    top_up(units, shop.reseller, 30000)
    row = allocated(units, shop, 2)
    found = []
    with units.begin(actor="test") as work:
        other = bind(work, shop.merchant, "B", "b@b.example")["id"]
        relationship = relationships.get(work.connection, shop.relationship)
        first, last = stock_items.listing(work.connection, relationship, transfer_id=row["id"])
    for item in (first, first, last):
        with units.begin(actor="test") as work:
            stock_deliveries.deliver(work, shop.relationship, item["id"], "a@example.com")
            found.append(stock_transfers.get(work.connection, relationship, row["id"])["status"])
    assert ["partially_delivered", "partially_delivered", "delivered"] == found
    before = dump(database)
    for rel, email, refused in (
        (shop.relationship, "b@example.com", InvalidStatus),
        (shop.relationship, "nobody", InvalidInput),
        (other, "a@example.com", NotFound),
    ):
        with pytest.raises(refused), units.begin(actor="test") as work:
            stock_deliveries.deliver(work, rel, first["id"], email)
    assert before == dump(database)
    with database.read() as connection:
        for tenant_id in (shop.merchant, shop.reseller):
            told = raised(connection, tenant_id, "stock_item.delivered")
            assert [1, 2] == [each["delivered_quantity"] for each in told]


def test_allocating_the_unpaid_is_the_merchants_word(
    units: UnitsOfWork, database: Database
) -> None:
    """Paid and allocated in one step, with who said so; no wallet moves; again it is as it was."""
    shop = build_shop(units)
    add_serials(units, shop, 2)
    transfer = purchase(units, shop, 2, tenant_id=shop.reseller)
    for _ in range(2):
        with units.begin(actor="merchant:1") as work:
            row = stock_purchases.allocate(
                work, shop.relationship, transfer["id"], tenant_id=shop.merchant
            )
    assert ("allocated", "direct") == (row["status"], row["payment_method"])
    assert (0, 0) == balances(database, shop)
    with database.read() as connection:
        steps = stock_transfers.timeline(connection, row["id"])
    assert [("mark_paid", "merchant:1"), ("allocate", "merchant:1")] == [
        (step["action"], step["actor"]) for step in steps[1:]
    ]
    assert ["requested", "paid", "allocated"] == statuses(database, shop.reseller)


def test_an_external_payment_is_the_operators_word(units: UnitsOfWork, database: Database) -> None:
    """The bank's money reaches the merchant's wallet once; neither side can say it came."""
    shop = build_shop(units)
    transfer = purchase(units, shop, 1)
    with units.begin(actor="test") as work:
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
    pay: Call = partial(
        stock_purchases.pay,
        relationship_id=shop.relationship,
        transfer_id=transfer["id"],
        method="external",
        reference="bank-7",
    )
    before = dump(database)
    for tenant_id in (shop.merchant, shop.reseller):
        with pytest.raises(Forbidden), units.begin(actor="test") as work:
            pay(work, tenant_id=tenant_id)
    assert before == dump(database)
    with units.begin(actor="provider") as work:
        row = pay(work)
    assert ("paid", "bank-7") == (row["status"], row["payment_reference"])
    with pytest.raises(InvalidStatus), units.begin(actor="provider") as work:
        pay(work)
    assert (13000, 0) == balances(database, shop)


def test_an_unpaid_purchase_ends(units: UnitsOfWork, clock: FixedClock, database: Database) -> None:
    """After seven days it cannot be paid, and the sweep closes it once, telling both."""
    shop = build_shop(units)
    top_up(units, shop.reseller, 50000)
    transfer = purchase(units, shop, 1)
    clock.advance(timedelta(days=6, hours=23))
    with units.begin(actor="test") as work:
        assert [] == sweep(work)
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
    clock.advance(timedelta(days=7))
    with pytest.raises(InvalidStatus) as refusal, units.begin(actor="test") as work:
        stock_purchases.pay(work, shop.relationship, transfer["id"])
    assert "expired" == refusal.value.details["current_status"]
    for expected in ([transfer["id"]], []):
        with units.begin(actor="sweep") as work:
            assert expected == sweep(work)
    assert ["requested", "invoiced", "expired"] == statuses(database, shop.reseller)


def test_a_serial_comes_into_stock_once(units: UnitsOfWork, database: Database) -> None:
    """Given twice, in one file or two, it is one item, and the stock counts it once."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        first = stock_items.add(work, KEYRING, shop.product_id, ["A", " A ", "B"])
        again = stock_items.add(work, KEYRING, shop.product_id, ["B", "C"])
    assert ({"added": 2, "known": 1}, {"added": 1, "known": 1}) == (first, again)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        stock_items.add(work, KEYRING, shop.product_id, ["D"], tenant_id=shop.reseller)
    with database.read() as connection:
        assert 3 == stock_items.counts(connection, shop.product_id)["available"]
