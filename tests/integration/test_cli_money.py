"""``tillbell products``, ``wallets`` and ``remittances``: prices, balances and what is owed."""

from __future__ import annotations

from typing import Any

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place, tell_products
from tests.command_line import CommandLine


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


@pytest.fixture
def owed(cli: CommandLine, chain: Chain, database: Database) -> list[dict[str, Any]]:
    """Return the two remittances of a delivered order: R owes D 138.00, D owes S 120.00."""
    units = UnitsOfWork(database)
    order_id = place(units, chain)
    deliver(units, order_id)
    found: list[dict[str, Any]] = cli.json("remittances", "list", "--order", order_id)["data"]
    return found


def test_a_product_is_created_changed_and_listed(cli: CommandLine, chain: Chain) -> None:
    """Document 001's names come back, amounts with their exact twins."""
    made = cli.json(
        *("products", "create", "--tenant", chain.s, "--sku", "MUG", "--name", "Mug"),
        *("--base-cost", "60.50", "--rrp", "108", "--stock", "7"),
        *("--data", '{"minimum_margin_percent": 12.5, "attributes": {"color": "blue"}}'),
    )
    assert {
        "base_cost": 60.5,
        "base_cost_minor": 6050,
        "recommended_retail_price_minor": 10800,
        "minimum_margin_percent": 12.5,
        "stock_quantity": 7,
        "attributes": {"color": "blue"},
    }.items() <= made.items()
    changed = cli.json("products", "update", made["id"], "--stock", "8", "--status", "inactive")
    assert (8, "inactive", "Mug") == (
        changed["stock_quantity"],
        changed["status"],
        changed["name"],
    )
    listed = cli.json("products", "list", "--search", "mug", "--status", "inactive")["data"]
    assert [made["id"]] == [each["id"] for each in listed]
    assert changed == cli.json("products", "show", made["id"])


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--base-cost", "1.005"), "INVALID_AMOUNT"),
        (("--base-cost", "-1"), "INVALID_AMOUNT"),
        (("--sku", "PROD-001"), "ALREADY_EXISTS"),
        (("--data", '{"colour": "blue"}'), "VALIDATION_ERROR"),
    ],
)
def test_a_wrong_product_is_refused(
    cli: CommandLine, chain: Chain, options: tuple[str, ...], code: str
) -> None:
    """Fractions of a paisa, negative prices, used numbers and unknown fields have their codes."""
    given = {"--tenant": chain.s, "--sku": "MUG", "--name": "Mug", "--base-cost": "60"}
    given |= {options[0]: options[1]}
    answer = cli("products", "create", "--json", *(part for pair in given.items() for part in pair))
    assert (1, code) == (answer.code, answer.refusal["code"])


def test_a_new_price_runs_down_the_chain(
    cli: CommandLine, chain: Chain, database: Database
) -> None:
    """The breakdown of the retailer follows a markup set above it, and the event is raised."""
    before = cli.json("products", "breakdown", chain.product_id, "--tenant", chain.r)
    assert (13800, [2000, 1800]) == (
        before["your_cost_minor"],
        [level["margin_amount_minor"] for level in before["breakdown"]],
    )
    priced = cli.json("products", "price", chain.product_id, "--tenant", chain.d, "--margin", "30")
    assert (13000, 30) == (priced["cost_minor"], priced["margin_percent"])
    after = cli.json("products", "breakdown", chain.product_id, "--tenant", chain.r)
    assert 14950 == after["your_cost_minor"]
    tell_products(UnitsOfWork(database))
    told = cli.json("events", "list", "--type", "product.updated")["data"]
    assert {chain.d, chain.r} <= {each["tenant_id"] for each in told}


def test_what_is_not_for_sale_is_not_available(cli: CommandLine, chain: Chain) -> None:
    """``--no-available`` takes a product from a tenant."""
    command = ("products", "price", chain.product_id, "--tenant", chain.d, "--margin", "20")
    assert cli.json(*command)["is_available"]
    assert not cli.json(*command, "--no-available")["is_available"]


def test_the_moves_of_a_stock_are_listed(cli: CommandLine, chain: Chain) -> None:
    """Newest first, as far as asked; a product that is not there has none."""
    cli.json("products", "update", chain.product_id, "--stock", "480")
    listed = cli.json("products", "moves", chain.product_id)["data"]
    assert [("correction", -20, 480), ("opening", 500, 500)] == [
        (each["reason"], each["on_hand_delta"], each["on_hand"]) for each in listed
    ]
    assert listed[:1] == cli.json("products", "moves", chain.product_id, "--limit", "1")["data"]
    assert "-20  480" in cli("products", "moves", chain.product_id).out
    assert "NOT_FOUND" == cli("products", "moves", "nothing", "--json").refusal["code"]


def test_a_tenant_hides_what_its_customers_pay(cli: CommandLine, chain: Chain) -> None:
    """Chosen when it is made or later, and shown; a choice must be made."""
    made = cli.json("tenants", "create", "--name", "New", "--hide-origin-total")
    assert made["hide_origin_total"]
    assert not cli.json("tenants", "show", chain.r)["hide_origin_total"]
    assert cli.json("tenants", "update", chain.r, "--hide-origin-total")["hide_origin_total"]
    assert not cli.json("tenants", "update", chain.r, "--show-origin-total")["hide_origin_total"]
    assert 2 == cli("tenants", "update", chain.r).code


def test_a_wallet_is_topped_up_once_per_reference(cli: CommandLine, chain: Chain) -> None:
    """The same payment named twice adds money once; another amount under it is refused."""
    command = ("wallets", "top-up", chain.r)
    for _ in range(2):
        wallet = cli.json(*command, "500.50", "--reference", "pay-1")
    assert (50050, 500.5) == (wallet["balance_minor"], wallet["balance"])
    assert wallet == cli.json("wallets", "show", chain.r)
    answer = cli(*command, "1", "--reference", "pay-1", "--json")
    assert (1, "IDEMPOTENCY_KEY_REUSED") == (answer.code, answer.refusal["code"])


def test_a_threshold_warns_and_is_taken_away(cli: CommandLine, chain: Chain) -> None:
    """Below the threshold the level is low and the tenant is told; off, nothing is."""
    cli.json("wallets", "top-up", chain.r, "100")
    low = cli.json("wallets", "threshold", chain.r, "500")
    assert ("low", 50000) == (low["low_state"], low["low_threshold_minor"])
    assert 1 == len(cli.json("events", "list", "--type", "wallet.low_balance")["data"])
    off = cli.json("wallets", "threshold", chain.r, "--off")
    assert ("ok", None) == (off["low_state"], off["low_threshold"])
    assert 2 == cli("wallets", "threshold", chain.r).code
    assert 2 == cli("wallets", "threshold", chain.r, "5", "--off").code


def test_remittances_are_listed_from_each_side(
    cli: CommandLine, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """The distributor owes one and is owed the other."""
    assert [(13800, 138.0), (12000, 120.0)] == [
        (each["amount_minor"], each["amount"]) for each in owed
    ]
    for direction, wanted in (("incoming", owed[0]), ("outgoing", owed[1])):
        command = ("remittances", "list", "--tenant", chain.d, "--direction", direction)
        assert [wanted["id"]] == [each["id"] for each in cli.json(*command)["data"]]
    assert [] == cli.json("remittances", "list", "--overdue")["data"]
    assert 2 == cli("remittances", "list", "--direction", "incoming").code


def test_a_remittance_is_paid_once_and_only_with_money(
    cli: CommandLine, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """Without money it is refused with the figures; paid, the payer's balance is answered."""
    remittance_id = owed[0]["id"]
    poor = cli("remittances", "process", remittance_id, "--json")
    assert (1, "INSUFFICIENT_BALANCE") == (poor.code, poor.refusal["code"])
    sentence = "error: Insufficient balance (required 138.00, available 0.00)"
    assert cli("remittances", "process", remittance_id).err.startswith(sentence)
    cli.json("wallets", "top-up", chain.r, "200")
    paid = cli.json("remittances", "process", remittance_id)
    assert ("completed", 6200) == (
        paid["remittance"]["status"],
        paid["wallet"]["new_balance_minor"],
    )
    again = cli("remittances", "process", remittance_id, "--json").refusal
    assert ("INVALID_STATUS", "completed") == (again["code"], again["details"]["current_status"])
    assert "completed" == cli.json("remittances", "show", remittance_id)["status"]


def test_money_is_readable_at_a_hundred_columns(
    cli: CommandLine, chain: Chain, owed: list[dict[str, Any]]
) -> None:
    """Amounts stand with their currency, and no line is wider than the terminal."""
    cli.json("wallets", "top-up", chain.r, "25000")
    for command in (
        ("products", "list"),
        ("products", "show", chain.product_id),
        ("products", "breakdown", chain.product_id, "--tenant", chain.r),
        ("wallets", "show", chain.r),
        ("remittances", "list"),
        ("remittances", "show", owed[0]["id"]),
    ):
        out = cli(*command).out
        assert " INR" in out, command
        assert max(map(len, out.splitlines())) <= 100, command
    assert "25,000.00 INR" in cli("wallets", "show", chain.r).out
