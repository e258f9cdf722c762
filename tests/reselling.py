"""A shop of document 002: a merchant with a program, one reseller, one product at 200.00."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine import (
    fulfillments,
    invitations,
    ledger_checks,
    products,
    programs,
    stock_items,
    stock_purchases,
    tenants,
    wallets,
)
from engine.database import Database
from engine.sealing import KeyRing
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import top_up

KEYRING = KeyRing([b"k" * 32])
EMAIL = "partner@example.com"


@dataclass(frozen=True, slots=True)
class Shop:
    """A merchant, its reseller, what binds them and what is sold."""

    merchant: str
    reseller: str
    relationship: str
    product_id: str


def build_shop(units: UnitsOfWork, **terms: Any) -> Shop:
    """Create the tenants, the program (commission 25 %, discount 35 %) and the relationship."""
    with units.begin(actor="test") as work:
        merchant = tenants.create(work, name="Shop")["id"]
        programs.update(
            work,
            merchant,
            {
                "is_enabled": True,
                "default_mode": "BOTH",
                "default_commission_percent": 25,
                "default_wholesale_discount_percent": 35,
                "min_payout_threshold": 50,
            },
        )
        product = products.create(
            work,
            merchant,
            {
                "sku": "KEY-1",
                "name": "Key",
                "base_cost": 100,
                "recommended_retail_price": 200,
                "track_inventory": True,
            },
        )
        bound = bind(work, merchant, "Partner", EMAIL, **terms)
    return Shop(merchant, bound["child_id"], bound["id"], product["id"])


def bind(work: UnitOfWork, merchant: str, name: str, email: str, **terms: Any) -> dict[str, Any]:
    """Invite a reseller and let a new tenant accept; return the relationship."""
    invited = invitations.invite(work, KEYRING, merchant, {"email": email, **terms})
    return invitations.accept(work, invited["token"], name=name)


def add_serials(units: UnitsOfWork, shop: Shop, count: int, *, start: int = 0) -> list[str]:
    """Put serials into the shop's stock and return them."""
    serials = [f"SERIAL-{number:05}" for number in range(start, start + count)]
    with units.begin(actor="test") as work:
        stock_items.add(work, KEYRING, shop.product_id, serials)
    return serials


def purchase(units: UnitsOfWork, shop: Shop, quantity: int, **options: Any) -> dict[str, Any]:
    """Request stock and return the transfer."""
    asked = {"product_id": shop.product_id, "quantity": quantity}
    with units.begin(actor="test") as work:
        return stock_purchases.request(work, shop.relationship, asked, **options)


def allocated(units: UnitsOfWork, shop: Shop, quantity: int) -> dict[str, Any]:
    """Request stock, invoice it, pay it from the wallet and allocate it; return the transfer."""
    transfer = purchase(units, shop, quantity)
    with units.begin(actor="test") as work:
        stock_purchases.invoice(work, shop.relationship, transfer["id"])
        stock_purchases.pay(work, shop.relationship, transfer["id"], tenant_id=shop.reseller)
        return stock_purchases.allocate(work, shop.relationship, transfer["id"])


def order_of(shop: Shop, number: str | None = "order-1001", **changes: Any) -> dict[str, Any]:
    """Return what a reseller's shop sends for one piece, as document 002 shows it."""
    return {
        "external_order_id": number,
        "customer_email": "buyer@example.com",
        "product_id": shop.product_id,
        "quantity": 1,
        **changes,
    }


def stocked(units: UnitsOfWork, *, serials: int = 3, money: int = 100_000, **terms: Any) -> Shop:
    """Return a shop with serials in stock and money in the reseller's wallet."""
    shop = build_shop(units, **terms)
    add_serials(units, shop, serials)
    if money:
        top_up(units, shop.reseller, money)
    return shop


def fulfil(
    units: UnitsOfWork, shop: Shop, *, key: str | None = None, **changes: Any
) -> dict[str, Any]:
    """Create a fulfilment as the reseller's shop would."""
    with units.begin(actor="test") as work:
        return fulfillments.create(
            work,
            shop.relationship,
            order_of(shop, **changes),
            tenant_id=shop.reseller,
            idempotency_key=key,
        )


def wallet_of(database: Database, tenant_id: str) -> int:
    """Return a wallet's balance; the books must agree."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        return int(wallets.show(connection, tenant_id)["balance_minor"])


def balances(database: Database, shop: Shop) -> tuple[int, int]:
    """Return the wallets of merchant and reseller; the books must agree."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        both = (shop.merchant, shop.reseller)
        merchant, reseller = (wallets.show(connection, each)["balance_minor"] for each in both)
    return merchant, reseller


def sweep(work: UnitOfWork) -> list[str]:
    """Close what was not paid in time and return the ids, as the reconciler does."""
    return stock_purchases.expire(work, stock_purchases.due(work.connection, work.now, 1000))
