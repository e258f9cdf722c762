"""What cannot be bought on both databases: refused by name, and nothing changes (002)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from engine import programs, relationships, stock_items, stock_purchases, tenants
from engine.database import Database
from engine.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InsufficientBalance,
    InvalidInput,
    NotFound,
    ProgramUnavailable,
    PurchaseLimitExceeded,
    StockUnavailable,
)
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, top_up
from tests.reselling import KEYRING, bind, build_shop, purchase

Call = Callable[..., dict[str, Any]]


def test_without_money_or_stock_nothing_changes(units: UnitsOfWork, database: Database) -> None:
    """A wallet short of 130.00 is refused with its figures, an empty stock by name."""
    shop = build_shop(units)
    top_up(units, shop.reseller, 5000)
    transfer = purchase(units, shop, 1)
    with units.begin(actor="test") as work:
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refusal, units.begin(actor="test") as work:
        stock_purchases.pay(work, shop.relationship, transfer["id"])
    assert (13000, 5000) == (
        refusal.value.details["required_minor"],
        refusal.value.details["available_minor"],
    )
    with pytest.raises(StockUnavailable), units.begin(actor="test") as work:
        stock_purchases.allocate(work, shop.relationship, transfer["id"])
    assert before == dump(database)


def test_limits_hold_by_day_and_in_all(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """Five a day and eight in all; what is cancelled counts no more, the next day begins anew."""
    shop = build_shop(units)
    granted = [{"product_id": shop.product_id, "max_quantity": 8}]
    changes = {"purchase_limit_daily": 5, "product_access": granted}
    with units.begin(actor="test") as work:
        relationships.update(work, shop.relationship, changes)
    first = purchase(units, shop, 3)
    before = dump(database)
    with pytest.raises(PurchaseLimitExceeded) as refusal:
        purchase(units, shop, 3)
    assert {"field": "purchase_limit_daily", "limit": 5, "left": 2} == refusal.value.details
    assert before == dump(database)
    with units.begin(actor="test") as work:
        stock_purchases.cancel(work, shop.relationship, first["id"])
    purchase(units, shop, 5)
    clock.advance(timedelta(days=1))
    with pytest.raises(PurchaseLimitExceeded) as refusal:
        purchase(units, shop, 4)
    assert {"field": "max_quantity", "limit": 8, "left": 3} == refusal.value.details
    purchase(units, shop, 3)


def test_one_key_is_one_purchase(units: UnitsOfWork, database: Database) -> None:
    """The same request under one key is one transfer; another request under it is refused."""
    shop = build_shop(units)
    ids = {purchase(units, shop, 2, idempotency_key="k-1")["id"] for _ in range(2)}
    assert 1 == len(ids)
    before = dump(database)
    with pytest.raises(IdempotencyKeyReused):
        purchase(units, shop, 3, idempotency_key="k-1")
    assert before == dump(database)


def test_who_may_do_what(units: UnitsOfWork, database: Database) -> None:
    """The reseller does not allocate, the merchant does not pay, a stranger finds nothing."""
    shop = build_shop(units)
    transfer = purchase(units, shop, 1)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
        other = bind(work, shop.merchant, "B", "b@b.example")["id"]
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
    before = dump(database)
    mine = shop.relationship
    refusals: list[tuple[Call, str, str | None, type[Exception]]] = [
        (stock_purchases.allocate, mine, shop.reseller, Forbidden),
        (stock_purchases.pay, mine, shop.merchant, Forbidden),
        *((call, mine, stranger, NotFound) for call in CALLS),
        *((call, other, None, NotFound) for call in CALLS),
    ]
    for call, relationship, tenant_id, refused in refusals:
        with pytest.raises(refused), units.begin(actor="test") as work:
            call(work, relationship, transfer["id"], tenant_id=tenant_id)
    assert before == dump(database)


CALLS: tuple[Call, ...] = (
    stock_purchases.invoice,
    stock_purchases.pay,
    stock_purchases.allocate,
    stock_purchases.cancel,
)


@pytest.mark.parametrize(
    "asked",
    [
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1.5},
        {"quantity": True},
        {"quantity": 10**6 + 1},
        {"quantity": None},
        {"product_id": None},
        {"product_id": "KEY-1"},
        {"product_id": "01900000-0000-7000-8000-000000000001"},
        {"price": 1},
    ],
)
def test_a_bad_purchase_changes_nothing(
    units: UnitsOfWork, database: Database, asked: dict[str, Any]
) -> None:
    """No quantity, too many, a product of nobody: refused, and every row stays."""
    shop = build_shop(units)
    before = dump(database)
    given = {"product_id": shop.product_id, "quantity": 1, **asked}
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        stock_purchases.request(work, shop.relationship, given, idempotency_key="k")
    assert before == dump(database)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"status": "suspended"}, "relationship_suspended"),
        ({"mode": "affiliate"}, "mode"),
        (None, "program_disabled"),
    ],
)
def test_only_an_active_stock_reseller_buys(
    units: UnitsOfWork, change: dict[str, Any] | None, reason: str
) -> None:
    """Suspended, an affiliate only, or with the program off: refused with the reason."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        if change is None:
            programs.update(work, shop.merchant, {"is_enabled": False})
        else:
            relationships.update(work, shop.relationship, change)
    with pytest.raises(ProgramUnavailable) as refusal:
        purchase(units, shop, 1)
    assert reason == refusal.value.details["reason"]


@pytest.mark.parametrize("serials", [[], [""], [5], ["x" * 2001], ["ok", "a\x00b"], ["x"] * 10_001])
def test_bad_serials_change_nothing(
    units: UnitsOfWork, database: Database, serials: list[Any]
) -> None:
    """What cannot be a serial is refused by its place, without being repeated."""
    shop = build_shop(units)
    before = dump(database)
    with pytest.raises(InvalidInput) as refusal, units.begin(actor="test") as work:
        stock_items.add(work, KEYRING, shop.product_id, serials)
    assert "serials" in refusal.value.message
    assert before == dump(database)
