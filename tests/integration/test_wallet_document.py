"""The wallet of document 001, number for number, by calls anyone can repeat.

A distributor D buys from S and sells to R. Two cash orders of R are delivered: for one R pays D
92,000 and D pays S 80,000; for the other D has paid its 5,000 already and R has not. D put 58,000
in and took 40,000 out, wants 3,000 more, and may spend 10,000 on credit.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from config.clock import FixedClock
from engine import (
    ledger_checks,
    orders,
    payouts,
    pricing,
    products,
    remittances,
    tenants,
    wallet_summary,
    wallets,
)
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import accept_at_top, order_of
from tests.command_line import CommandLine

#: The sample answer of ``GET /finance/wallet``, as it stands in document 001.
WALLET = {
    "balance": 25000.00,
    "available_balance": 22000.00,
    "effective_balance": 35000.00,
    "pending_credits": 5000.00,
    "pending_debits": 3000.00,
    "total_earned": 150000.00,
    "total_paid_out": 125000.00,
    "credit_limit": 10000.00,
    "currency": "INR",
}
#: What the document's 35,000 leaves out: what is set aside cannot be spent a second time.
SPENDABLE = 32000.00
SETTLED_AT = datetime(2024, 1, 15, tzinfo=UTC)
#: sku, base cost, S's and D's markup: D buys at 80,000 and 5,000, and sells at 92,000 and 5,000.
PRODUCTS = (("PROD-001", 64000, 25, 15), ("PROD-002", 4000, 25, 0))


def live(units: UnitsOfWork) -> str:
    """Drive the wallet of D to the document's numbers, and return its id."""
    with units.begin(actor="test") as work:
        s = tenants.create(work, name="Super Admin")["id"]
        d = tenants.create(work, name="Distributor ABC", parent_id=s)["id"]
        r = tenants.create(work, name="Retailer XYZ", parent_id=d)["id"]
        for sku, cost, first, second in PRODUCTS:
            made = products.create(
                work, s, {"sku": sku, "name": sku, "base_cost": cost, "stock_quantity": 5}
            )
            pricing.set_margin(work, made["id"], d, first)
            pricing.set_margin(work, made["id"], r, second)
    with units.begin(actor="test") as work:
        wallets.top_up(work, d, 5_800_000, reference="opening")
        wallets.top_up(work, r, 9_200_000, reference="takings")
        wallets.set_credit_limit(work, d, 1_000_000, by=s)
        for sku, *_ in PRODUCTS:
            sell(work, r, sku)
    with units.begin(actor="test") as work:
        for row in remittances.listing(work.connection):
            if (row["payer_id"], row["amount_minor"]) != (r, 500_000):
                remittances.process(work, row["id"])
        paid = payouts.request(work, d, 4_000_000)["id"]
        payouts.approve(work, paid, by=s)
        payouts.complete(work, paid, by=s, reference="UTR-2024-0001")
        payouts.request(work, d, 300_000)
    return str(d)


def sell(work: UnitOfWork, origin_id: str, sku: str) -> None:
    """Deliver one piece against cash that the retailer collects."""
    items = [{"sku": sku, "quantity": 1, "unit_price": 99000}]
    payment = {"method": "cod", "collector": "origin"}
    placed = orders.place(work, origin_id, order_of(sku, items=items, payment=payment))
    accept_at_top(work, placed["id"])
    orders.ship(work, placed["id"], tracking_number="DEL123456789", carrier="delhivery")
    orders.deliver(work, placed["id"])


def test_the_wallet_of_the_document(database: Database) -> None:
    """Every field of the sample, and what it means may be spent: 22,000 and 10,000 on credit."""
    tenant_id = live(UnitsOfWork(database, FixedClock(SETTLED_AT)))
    with database.read() as connection:
        wallet = wallets.show(connection, tenant_id)
        assert [] == ledger_checks.verify(connection)
    shown = orjson.loads(orjson.dumps(wallet, option=orjson.OPT_UTC_Z))
    assert WALLET.items() <= shown.items()
    assert (tenant_id, "2024-01-15T00:00:00Z") == (shown["id"], shown["last_settlement_at"])
    assert SPENDABLE == shown["spendable"]
    assert b'"balance":25000.00,' in orjson.dumps(wallet)


@pytest.mark.parametrize("period", ["week", "month", "quarter", "year"])
def test_the_summary_of_the_document(database: Database, period: str) -> None:
    """92,000 received less 85,000 paid is 7,000; what came less what left is the balance."""
    clock = FixedClock(SETTLED_AT)
    tenant_id = live(UnitsOfWork(database, clock))
    with database.read() as connection:
        found = wallet_summary.summary(connection, tenant_id, period, now=clock.now())
    shown = orjson.loads(orjson.dumps(found))["summary"]
    assert {
        "period": period,
        "remittances_received": 92000.00,
        "remittances_paid": 85000.00,
        "net_earnings": 7000.00,
        "pending_credits": 5000.00,
        "pending_debits": 3000.00,
        "opening_balance": 0.00,
        "total_credits": 150000.00,
        "total_debits": 125000.00,
        "closing_balance": 25000.00,
    }.items() <= shown.items()


def test_the_commands_that_lead_there(cli: CommandLine) -> None:
    """The same wallet by the command line alone."""
    s = cli.json("tenants", "create", "--name", "Super Admin")["id"]
    d = cli.json("tenants", "create", "--name", "Distributor ABC", "--parent", s)["id"]
    r = cli.json("tenants", "create", "--name", "Retailer XYZ", "--parent", d)["id"]
    for sku, cost, first, second in PRODUCTS:
        product = cli.json(
            *("products", "create", "--tenant", s, "--sku", sku, "--name", sku),
            *("--base-cost", str(cost), "--stock", "5"),
        )["id"]
        for tenant_id, margin in ((d, first), (r, second)):
            cli.json("products", "price", product, "--tenant", tenant_id, "--margin", str(margin))
    cli.json("wallets", "top-up", d, "58000", "--reference", "opening")
    cli.json("wallets", "top-up", r, "92000", "--reference", "takings")
    cli.json("wallets", "credit-limit", d, "10000", "--by", s)
    for sku, *_ in PRODUCTS:
        order_id = _sell_by_commands(cli, r, sku)
        for each in cli.json("remittances", "list", "--order", order_id)["data"]:
            if (each["payer_id"], each["amount"]) != (r, 5000.00):
                cli.json("remittances", "process", each["id"])
    paid = cli.json("payouts", "request", d, "40000")["id"]
    cli.json("payouts", "approve", paid, "--by", s)
    cli.json("payouts", "complete", paid, "--by", s, "--reference", "UTR-2024-0001")
    cli.json("payouts", "request", d, "3000")
    shown = cli.json("wallets", "show", d)
    assert WALLET.items() <= shown.items()
    assert SPENDABLE == shown["spendable"]
    summary = cli.json("wallets", "summary", d, "--period", "year")["summary"]
    assert (92000.00, 85000.00, 7000.00) == tuple(
        summary[name] for name in ("remittances_received", "remittances_paid", "net_earnings")
    )


def _sell_by_commands(cli: CommandLine, origin_id: str, sku: str) -> str:
    asked: dict[str, Any] = order_of(
        sku,
        items=[{"sku": sku, "quantity": 1, "unit_price": 99000}],
        payment={"method": "cod", "collector": "origin"},
    )
    data = orjson.dumps(asked).decode()
    order_id = str(cli.json("orders", "create", "--tenant", origin_id, "--data", data)["id"])
    for action in ("forward", "forward", "accept"):
        cli.json("orders", action, order_id)
    cli.json("orders", "ship", order_id, "--tracking-number", "DEL1", "--carrier", "delhivery")
    cli.json("orders", "deliver", order_id)
    return order_id
