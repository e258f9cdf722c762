"""``tillbell programs``, ``resellers``, ``sales``, ``stock-purchases`` and the like (002)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import top_up
from tests.command_line import CommandLine
from tests.reselling import Shop, add_serials, build_shop


@pytest.fixture
def shop(database: Database) -> Shop:
    """Return a shop with three serials in stock, on the database's own clock."""
    units = UnitsOfWork(database)
    shop = build_shop(units)
    add_serials(units, shop, 3)
    top_up(units, shop.reseller, 100_000)
    return shop


def bought(cli: CommandLine, shop: Shop, quantity: int = 2) -> dict[str, Any]:
    """Request stock and allocate it; return the purchase as ``show`` has it."""
    asked = ("--product", shop.product_id, "--quantity", str(quantity))
    made = cli.json("stock-purchases", "create", shop.relationship, *asked)
    cli.json("stock-purchases", "allocate", shop.relationship, made["id"])
    found: dict[str, Any] = cli.json("stock-purchases", "show", shop.relationship, made["id"])
    return found


def fulfilled(cli: CommandLine, shop: Shop, *options: str) -> Any:
    """Create a fulfilment of one piece and return the answer."""
    command = ("fulfillments", "create", shop.relationship, "--product", shop.product_id)
    return cli(*command, "--email", "buyer@example.com", *options, "--json")


def test_a_program_is_shown_and_changed(cli: CommandLine, shop: Shop) -> None:
    """What is given changes, the rest stays; a percentage of more than all is refused."""
    changed = cli.json("programs", "update", shop.merchant, "--commission", "12.5", "--disabled")
    assert (12.5, 35, False, 50.0, 5000) == (
        changed["default_commission_percent"],
        changed["default_wholesale_discount_percent"],
        changed["is_enabled"],
        changed["min_payout_threshold"],
        changed["min_payout_threshold_minor"],
    )
    assert changed == cli.json("programs", "show", shop.merchant)
    answer = cli("programs", "update", shop.merchant, "--commission", "101", "--json")
    assert (1, "VALIDATION_ERROR") == (answer.code, answer.refusal["code"])


def test_a_reseller_is_invited_accepts_and_is_changed(cli: CommandLine, shop: Shop) -> None:
    """The token is shown once; accepted, both sides are listed; a suspension is told."""
    invite = ("resellers", "invite", "--tenant", shop.merchant, "--email", "b@b.example")
    access = f'{{"product_access": [{{"product_id": "{shop.product_id}", "max_quantity": 5}}]}}'
    made = cli.json(*invite, "--mode", "STOCK", "--expires", "3d", "--data", access)
    assert 1 == cli(*invite, "--json").code
    bound = cli.json("resellers", "accept", made["token"], "--name", "B")
    listed = cli.json("resellers", "invitations", "--tenant", shop.merchant)["data"]
    assert ["accepted", "accepted"] == [each["status"] for each in listed]
    assert "token" not in listed[0]
    assert "b@b.example" not in str(listed)
    shown = cli.json("resellers", "show", bound["id"])
    assert ("stock", [5]) == (
        shown["mode"],
        [each["max_quantity"] for each in shown["product_access"]],
    )
    terms = ("--status", "suspended", "--credit-limit", "500", "--terms-days", "14")
    changed = cli.json("resellers", "update", bound["id"], *terms)
    assert ("suspended", 50000, 14) == (
        changed["status"],
        changed["credit_limit_minor"],
        changed["terms_days"],
    )
    found = cli.json("resellers", "list", "--tenant", bound["child_id"])["data"]
    assert [bound["id"]] == [each["id"] for each in found]
    again = cli("resellers", "accept", made["token"], "--name", "C", "--json").refusal
    assert "INVALID_STATUS" == again["code"]
    assert 1 == cli("resellers", "accept", "inv_nothing", "--name", "C", "--json").code
    other = cli.json(*invite[:-1], "c@c.example")
    assert "revoked" == cli.json("resellers", "revoke", other["id"])["status"]


def test_serials_come_from_a_file_and_are_only_counted(
    cli: CommandLine, shop: Shop, tmp_path: Path
) -> None:
    """One a line, blank lines passed over, known ones too; none is ever printed."""
    file = tmp_path / "codes.txt"
    file.write_text("NEW-1\n\nNEW-2\nSERIAL-00000\n")
    done = cli.json("serials", "add", shop.product_id, f"@{file}")
    assert (2, 1) == (done["added"], done["known"])
    assert 5 == cli.json("serials", "show", shop.product_id)["available"]
    missing = cli("serials", "add", shop.product_id, "@none", "--json")
    assert (1, "VALIDATION_ERROR") == (missing.code, missing.refusal["code"])


def test_stock_is_bought_and_delivered(cli: CommandLine, shop: Shop) -> None:
    """Paid from the wallet, allocated, one item delivered; its serial shows only when asked."""
    asked = ("--product", shop.product_id, "--quantity", "2", "--key", "k-1")
    create = ("stock-purchases", "create", shop.relationship, *asked)
    made = cli.json(*create)
    assert made == cli.json(*create)
    assert (260.0, 26000) == (made["total"], made["total_minor"])
    for verb in ("invoice", "pay", "allocate"):
        row = cli.json("stock-purchases", verb, shop.relationship, made["id"])
    assert "allocated" == row["status"]
    show = ("stock-purchases", "show", shop.relationship, made["id"])
    found = cli.json(*show)
    assert ["request", "invoice", "pay", "allocate"] == [e["action"] for e in found["timeline"]]
    assert "serial" not in found["items"][0]
    revealed = cli.json(*show, "--reveal")["items"]
    assert ["SERIAL-00000", "SERIAL-00001"] == [each["serial"] for each in revealed]
    item = found["items"][0]["id"]
    deliver = ("stock-purchases", "deliver", shop.relationship, item, "--email", "a@b.example")
    delivered = cli.json(*deliver, "--reveal")
    assert ("delivered", "SERIAL-00000") == (delivered["status"], delivered["serial"])
    assert "serial" not in cli.json(*deliver)
    listed = cli.json("stock-purchases", "list", "--relationship", shop.relationship)["data"]
    assert ["partially_delivered"] == [each["status"] for each in listed]


def test_an_unpaid_purchase_is_cancelled(cli: CommandLine, shop: Shop) -> None:
    """Called off it cannot be paid; the refusal says what it is and what is allowed."""
    asked = ("--product", shop.product_id, "--quantity", "1")
    made = cli.json("stock-purchases", "create", shop.relationship, *asked)
    cancel = ("stock-purchases", "cancel", shop.relationship, made["id"])
    assert "cancelled" == cli.json(*cancel)["status"]
    refusal = cli(*cancel, "--json").refusal
    assert ("INVALID_STATUS", "cancelled", []) == (
        refusal["code"],
        refusal["details"]["current_status"],
        refusal["details"]["allowed"],
    )
    assert [] == cli.json("stock-purchases", "list", "--status", "requested")["data"]


def test_a_shops_order_is_fulfilled_once(cli: CommandLine, shop: Shop) -> None:
    """Asked again it is the same; another under its id is refused; refunded, the money is back."""
    row = fulfilled(cli, shop, "--order", "order-1").document
    assert row == fulfilled(cli, shop, "--order", "order-1").document
    reused = fulfilled(cli, shop, "--order", "order-1", "--quantity", "2")
    assert (1, "IDEMPOTENCY_KEY_REUSED") == (reused.code, reused.refusal["code"])
    assert "order-1" in reused.refusal["error"]
    assert "VALIDATION_ERROR" == fulfilled(cli, shop).refusal["code"]
    short = fulfilled(cli, shop, "--order", "order-2", "--quantity", "3").refusal
    assert "STOCK_UNAVAILABLE" == short["code"]
    assert 87000 == cli.json("fulfillments", "balance", shop.relationship)["balance_minor"]
    shown = cli.json("fulfillments", "show", shop.relationship, "order-1", "--reveal")
    assert ["SERIAL-00000"] == [each["serial"] for each in shown["items"]]
    refund = ("fulfillments", "refund", shop.relationship, "order-1", "--reason", "broken")
    assert "refunded" == cli.json(*refund)["status"]
    assert 100_000 == cli.json("fulfillments", "balance", shop.relationship)["balance_minor"]
    listed = cli.json("fulfillments", "list", "--status", "refunded")["data"]
    assert [row["id"]] == [each["id"] for each in listed]


def test_campaigns_and_sales_make_the_analytics(cli: CommandLine, shop: Shop) -> None:
    """Sales by a campaign earn, a refund takes back, and the figures add up for the merchant."""
    create = ("campaigns", "create", shop.relationship, "--name", "Launch")
    campaign = cli.json(*create, "--product", shop.product_id)["id"]
    for reference in ("s-1", "s-2"):
        record = ("sales", "record", shop.relationship, reference, "--product", shop.product_id)
        sale = cli.json(*record, "--amount", "199.98", "--campaign", campaign)
    assert (50.0, 25) == (sale["commission"], sale["commission_percent"])
    cli.json("sales", "refund", shop.relationship, "s-1", "--reason", "returned")
    pause = ("campaigns", "update", shop.relationship, campaign, "--status", "PAUSED")
    assert "paused" == cli.json(*pause)["status"]
    assert [campaign] == [
        each["id"] for each in cli.json("campaigns", "list", shop.relationship)["data"]
    ]
    bought(cli, shop)
    fulfilled(cli, shop, "--order", "order-1")
    expected = {
        "sales": 1,
        "sales_refunded": 1,
        "active_campaigns": 0,
        "stock_purchases_paid": 1,
        "stock_quantity": 2,
        "fulfillments": 1,
        "sales_amount_minor": 19998,
        "commission_minor": 5000,
        "commission_refunded_minor": 5000,
        "stock_cost_minor": 26000,
        "fulfillment_cost_minor": 13000,
    }
    one = cli.json("resellers", "analytics", shop.relationship)
    every = cli.json("resellers", "analytics", "--tenant", shop.merchant)
    assert expected.items() <= one.items()
    assert expected.items() <= every.items()
    assert (1, 1, one["commission"]) == (
        every["resellers"],
        every["active_resellers"],
        every["data"][0]["commission"],
    )
    listed = cli.json("sales", "list", shop.relationship)["data"]
    assert ["refunded", "accrued"] == [each["status"] for each in listed]
    assert 2 == cli("resellers", "analytics").code


def test_another_relationship_finds_nothing(cli: CommandLine, shop: Shop) -> None:
    """A purchase, an item, a fulfilment and a campaign are named with their own relationship."""
    invite = ("resellers", "invite", "--tenant", shop.merchant, "--email", "b@b.example")
    token = cli.json(*invite)["token"]
    other = cli.json("resellers", "accept", token, "--name", "B")["id"]
    purchase = bought(cli, shop)
    fulfilled(cli, shop, "--order", "order-1")
    for command in (
        ("stock-purchases", "show", other, purchase["id"]),
        ("stock-purchases", "deliver", other, purchase["items"][0]["id"], "--email", "a@b.example"),
        ("fulfillments", "show", other, "order-1"),
        ("fulfillments", "balance", purchase["id"]),
        ("sales", "refund", other, "s-1", "--reason", "r"),
        ("campaigns", "update", other, purchase["id"], "--status", "paused"),
    ):
        answer = cli(*command, "--json")
        assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"]), command


def test_every_view_is_readable_at_a_hundred_columns(cli: CommandLine, shop: Shop) -> None:
    """No line is wider than the terminal, and no serial or e-mail is shown unasked."""
    purchase = bought(cli, shop)
    fulfilled(cli, shop, "--order", "order-1")
    record = ("sales", "record", shop.relationship, "s-1", "--product", shop.product_id)
    cli.json(*record, "--amount", "100")
    for command in (
        ("programs", "show", shop.merchant),
        ("resellers", "list"),
        ("resellers", "invitations"),
        ("resellers", "show", shop.relationship),
        ("resellers", "analytics", shop.relationship),
        ("resellers", "analytics", "--tenant", shop.merchant),
        ("stock-purchases", "list"),
        ("stock-purchases", "show", shop.relationship, purchase["id"]),
        ("fulfillments", "list"),
        ("fulfillments", "show", shop.relationship, "order-1"),
        ("fulfillments", "balance", shop.relationship),
        ("sales", "list", shop.relationship),
        ("campaigns", "list", shop.relationship),
        ("serials", "show", shop.product_id),
    ):
        answer = cli(*command)
        assert 0 == answer.code, answer.err
        assert max(map(len, answer.out.splitlines())) <= 100, command
        assert "SERIAL-" not in answer.out
        assert "@" not in answer.out


def test_a_resellers_key_is_made_and_listed(cli: CommandLine, shop: Shop) -> None:
    """It begins with ``shr_`` and is for one relationship; the merchant is not given one."""
    create = ("tokens", "create", "--relationship", shop.relationship)
    made = cli.json(*create, "--tenant", shop.reseller)
    assert made["token"].startswith("shr_")
    [listed] = cli.json("tokens", "list", "--tenant", shop.reseller)["data"]
    assert (shop.relationship, []) == (listed["relationship_id"], listed["scopes"])
    refusal = cli(*create, "--tenant", shop.merchant, "--json").refusal
    assert "FORBIDDEN" == refusal["code"]


def test_commissions_are_paid_from_the_command_line(cli: CommandLine, shop: Shop) -> None:
    """What is owed is shown, paid from the merchant's wallet, and then no more."""
    record = ("sales", "record", shop.relationship, "s-1", "--product", shop.product_id)
    cli.json(*record, "--amount", "400")
    assert 10_000 == cli.json("sales", "owed", shop.relationship)["due_minor"]
    poor = cli("sales", "pay", shop.relationship, "--json").refusal
    assert "INSUFFICIENT_BALANCE" == poor["code"]
    cli.json("wallets", "top-up", shop.merchant, "500")
    paid = cli.json("sales", "pay", shop.relationship)
    assert (10_000, 1) == (paid["amount_minor"], paid["sales"])
    again = cli("sales", "pay", shop.relationship, "--json").refusal
    assert "INVALID_STATUS" == again["code"]
    assert "0.00 INR" in cli("sales", "owed", shop.relationship).out
