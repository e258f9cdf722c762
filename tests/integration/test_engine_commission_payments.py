"""Commissions paid on both databases: once, and what was refunded later is kept back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine import (
    commission_payments,
    commissions,
    ledger_checks,
    products,
    programs,
    relationships,
    tenants,
    wallets,
)
from engine.accounts import balance, find
from engine.database import Database
from engine.errors import (
    Forbidden,
    InsufficientBalance,
    InvalidStatus,
    NotFound,
    PayoutTooSmall,
)
from engine.postings import payable, receivable
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, raised, top_up
from tests.racing import together
from tests.reselling import Shop, build_shop


def sold(units: UnitsOfWork, shop: Shop, reference: str, amount: float = 400) -> None:
    """Record a sale; of 400.00 the reseller earns 100.00."""
    sale = {"sale_reference": reference, "product_id": shop.product_id, "amount": amount}
    with units.begin(actor="test") as work:
        commissions.record_sale(work, shop.relationship, sale)


def refunded(units: UnitsOfWork, shop: Shop, reference: str) -> None:
    """Refund a sale."""
    with units.begin(actor="test") as work:
        commissions.refund_sale(work, shop.relationship, reference, reason="r")


def paid(units: UnitsOfWork, shop: Shop) -> tuple[int, int, int]:
    """Pay what is due and return the amount, the sales paid and those kept back."""
    with units.begin(actor="test") as work:
        found = commission_payments.pay(work, shop.relationship, tenant_id=shop.merchant)
    return found["amount_minor"], found["sales"], found["sales_refunded"]


def held(database: Database, shop: Shop) -> tuple[int, int]:
    """Return the wallets of merchant and reseller; the books must agree."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        both = (shop.merchant, shop.reseller)
        merchant, reseller = (wallets.show(connection, each)["balance_minor"] for each in both)
    return merchant, reseller


def test_what_was_earned_is_paid_once(units: UnitsOfWork, database: Database) -> None:
    """Two sales of 100.00 reach the wallet together; then nothing is due; both are told."""
    shop = build_shop(units)
    top_up(units, shop.merchant, 50_000)
    for reference in ("s-1", "s-2"):
        sold(units, shop, reference)
    assert (20_000, 2, 0) == paid(units, shop)
    assert (30_000, 20_000) == held(database, shop)
    before = dump(database)
    with pytest.raises(InvalidStatus):
        paid(units, shop)
    assert before == dump(database)
    with database.read() as connection:
        for tenant_id in (shop.merchant, shop.reseller):
            told = raised(connection, tenant_id, "reseller.commission_paid")
            assert [(20_000, 2)] == [(each["amount_minor"], each["sales"]) for each in told]
        bound = relationships.get(connection, shop.relationship)
        rows = commissions.listing(connection, bound)
    assert ["paid", "paid"] == [row["status"] for row in rows]


def test_a_refund_after_the_payment_is_kept_back(units: UnitsOfWork, database: Database) -> None:
    """The reseller owes it until its next payment takes it; refunded twice it is owed once."""
    shop = build_shop(units)
    top_up(units, shop.merchant, 50_000)
    sold(units, shop, "s-1")
    paid(units, shop)
    for _ in range(2):
        refunded(units, shop, "s-1")
    owes, owed = (shop.reseller, payable(shop.merchant)), (shop.merchant, receivable(shop.reseller))
    with database.read() as connection:
        found = find(connection, [owes, owed], "INR")
        shown = commission_payments.owed(connection, shop.relationship, tenant_id=shop.reseller)
    assert (-10_000, 10_000) == (balance(found[owes]), balance(found[owed]))
    assert (0, 10_000) == (shown["due_minor"], shown["back_minor"])
    with pytest.raises(InvalidStatus):
        paid(units, shop)
    sold(units, shop, "s-2", 600)
    assert (5000, 1, 1) == paid(units, shop)
    assert (35_000, 15_000) == held(database, shop)
    with database.read() as connection:
        found = find(connection, [owes, owed], "INR")
    assert [0, 0] == [balance(row) for row in found.values()]


def test_the_merchant_pays_from_what_it_has(units: UnitsOfWork, database: Database) -> None:
    """Without money it is refused with the figures; the reseller and strangers cannot ask."""
    shop = build_shop(units)
    sold(units, shop, "s-1")
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    before = dump(database)
    for tenant_id, refused in (
        (shop.merchant, InsufficientBalance),
        (shop.reseller, Forbidden),
        (stranger, NotFound),
    ):
        with pytest.raises(refused), units.begin(actor="test") as work:
            commission_payments.pay(work, shop.relationship, tenant_id=tenant_id)
    assert before == dump(database)


def test_payments_refunds_and_sales_at_once_agree(units: UnitsOfWork, database: Database) -> None:
    """Forty calls at once: each commission is paid once or taken back once, never both."""
    shop = build_shop(units)
    top_up(units, shop.merchant, 10**6)
    for number in range(10):
        sold(units, shop, f"s-{number}")
    calls = [
        call
        for number in range(10)
        for call in (
            lambda work: commission_payments.pay(work, shop.relationship),
            lambda work, number=number: commissions.refund_sale(
                work, shop.relationship, f"s-{number}", reason="r"
            ),
            lambda work: commission_payments.pay(work, shop.relationship),
            lambda work, number=number: commissions.record_sale(
                work,
                shop.relationship,
                {
                    "sale_reference": f"n-{number}",
                    "product_id": shop.product_id,
                    "amount": 400,
                },
            ),
        )
    ]
    ended = together(units, calls)
    assert 40 == ended["done"] + ended["INVALID_STATUS"]
    merchant, reseller = held(database, shop)
    assert 10**6 == merchant + reseller
    with database.read() as connection:
        owed = commission_payments.owed(connection, shop.relationship)
    # Ten sales stand; what is not in the wallet yet is due, less what was paid and is owed back.
    assert 100_000 == reseller + owed["due_minor"] - owed["back_minor"]


def test_a_merchant_pays_from_its_threshold_on(units: UnitsOfWork, database: Database) -> None:
    """Below the program's 50.00, or the two's own 70.00, it waits; another merchant pays its own.

    Suspended, whatever is left is paid.
    """
    shop = build_shop(units)
    top_up(units, shop.merchant, 50_000)
    with units.begin(actor="test") as work:
        other = tenants.create(work, name="Other")["id"]
        programs.update(work, other, {"is_enabled": True, "default_commission_percent": 25})
        beside = relationships.create(work, other, shop.reseller, {"mode": "both"})["id"]
        wallets.top_up(work, other, 50_000)
        product = {"sku": "O", "name": "O", "base_cost": 1}
        product_id = products.create(work, other, product)["id"]
    second = replace(shop, merchant=other, relationship=beside, product_id=product_id)
    sold(units, shop, "s-1", 196)
    sold(units, second, "o-1", 4)
    before = dump(database)
    with pytest.raises(PayoutTooSmall) as refused:
        paid(units, shop)
    assert (5000, 4900) == (
        refused.value.details["minimum_minor"],
        refused.value.details["due_minor"],
    )
    assert before == dump(database)
    assert (100, 1, 0) == paid(units, second)
    with units.begin(actor="test") as work:
        relationships.update(work, shop.relationship, {"min_payout_threshold": 70})
    sold(units, shop, "s-2", 83.96)
    with pytest.raises(PayoutTooSmall) as refused:
        paid(units, shop)
    assert (7000, 6999) == (
        refused.value.details["minimum_minor"],
        refused.value.details["due_minor"],
    )
    with units.begin(actor="test") as work:
        relationships.update(work, shop.relationship, {"status": "suspended"})
    assert (6999, 2, 0) == paid(units, shop)
