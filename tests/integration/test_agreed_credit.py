"""A relationship's credit limit on both databases: what a reseller buys of that merchant."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from engine import fulfillments, ledger_checks, orders, relationships, stock_purchases, wallets
from engine.database import Database
from engine.errors import InsufficientBalance
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, dump, order_of, top_up
from tests.racing import Call, together
from tests.reselling import Shop, add_serials, build_shop, purchase
from tests.reselling import order_of as fulfillment_of

PREPAID = {"method": "prepaid"}


def agreed(units: UnitsOfWork, limit: int | None) -> Chain:
    """Return a chain whose R has 100.00 and credit for anything, and agreed on a limit with D."""
    chain = build_chain(units)
    top_up(units, chain.r, 10_000)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 10**9)
        bound = relationships.create(work, chain.d, chain.r, {"mode": "both"})
        relationships.update(work, bound["id"], {"credit_limit": limit})
    return chain


def figures(database: Database, tenant_id: str) -> tuple[int, int]:
    """Return a wallet's balance and what it has set aside; the books must agree."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        wallet = wallets.show(connection, tenant_id)
    return wallet["balance_minor"], wallet["pending_debits_minor"]


@pytest.mark.parametrize(
    ("limit", "accepted"), [(None, 20), (500, 4), (38, 1), (37, 0), (0, 0)], ids=str
)
def test_orders_at_once_stay_within_what_was_agreed(
    units: UnitsOfWork, database: Database, limit: int | None, accepted: int
) -> None:
    """Twenty orders at 138.00 against 100.00 and the agreed credit: as many as fit, no more."""
    chain = agreed(units, limit)
    calls: list[Call] = [
        partial(orders.place, tenant_id=chain.r, order=order_of(f"N{number}", payment=PREPAID))
        for number in range(20)
    ]
    expected = Counter({"done": accepted, "INSUFFICIENT_BALANCE": 20 - accepted})
    assert +expected == together(units, calls)
    assert (10_000, accepted * 13_800) == figures(database, chain.r)


def test_an_order_beyond_it_changes_nothing_and_says_what_is_left(
    units: UnitsOfWork, database: Database
) -> None:
    """The refusal counts the agreed credit only; other purchases may use the wallet's own."""
    chain = agreed(units, 37)
    before = dump(database)
    with pytest.raises(InsufficientBalance) as refused, units.begin(actor="test") as work:
        orders.place(work, chain.r, order_of(payment=PREPAID))
    assert (13_800, 13_700) == (
        refused.value.details["required_minor"],
        refused.value.details["available_minor"],
    )
    assert before == dump(database)
    # D buys of S, with whom it agreed on nothing.
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.d, 12_000)
        orders.place(work, chain.d, order_of("D-1", payment=PREPAID))
    assert (0, 12_000) == figures(database, chain.d)


def test_a_lower_limit_takes_nothing_back(units: UnitsOfWork, database: Database) -> None:
    """What was ordered on credit ships and is paid; the next order counts the new limit."""
    chain = agreed(units, 38)
    with units.begin(actor="test") as work:
        order_id = orders.place(work, chain.r, order_of(payment=PREPAID))["id"]
        [bound] = relationships.listing(work.connection, tenant_id=chain.r)
        relationships.update(work, bound["id"], {"credit_limit": 0})
        orders.forward(work, order_id)
        orders.accept(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
    assert (-3800, 0) == figures(database, chain.r)
    with pytest.raises(InsufficientBalance), units.begin(actor="test") as work:
        orders.place(work, chain.r, order_of("N2", payment=PREPAID))


def shop_with(units: UnitsOfWork, limit: int) -> Shop:
    """Return a shop whose reseller has nothing but credit, and agreed on a limit of it."""
    shop = build_shop(units)
    add_serials(units, shop, 20)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, shop.reseller, 10**9)
        relationships.update(work, shop.relationship, {"credit_limit": limit})
    return shop


@pytest.mark.parametrize("kind", ["fulfillment", "stock purchase"])
def test_stock_bought_at_once_stays_within_it(
    units: UnitsOfWork, database: Database, kind: str
) -> None:
    """Twelve pieces at 130.00 on a credit of 400.00: three are sold, nine refused."""
    shop = shop_with(units, 400)
    calls: list[Any] = []
    for number in range(12):
        if kind == "fulfillment":
            asked = fulfillment_of(shop, f"order-{number}")
            calls.append(
                partial(fulfillments.create, relationship_id=shop.relationship, fulfillment=asked)
            )
            continue
        transfer_id = purchase(units, shop, 1)["id"]
        with units.begin(actor="test") as work:
            stock_purchases.invoice(work, shop.relationship, transfer_id)
        calls.append(
            partial(stock_purchases.pay, relationship_id=shop.relationship, transfer_id=transfer_id)
        )
    assert Counter({"done": 3, "INSUFFICIENT_BALANCE": 9}) == together(units, calls)
    assert (-39_000, 0) == figures(database, shop.reseller)
