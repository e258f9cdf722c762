"""``tillbell drafts`` and ``customers``: from an empty draft to an executed order."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from engine.database import Database
from engine.draft_tables import draft_orders
from engine.drafts import LIFETIME
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain
from tests.command_line import CommandLine

COD = '{"payment": {"method": "cod"}}'


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


def test_a_draft_is_filled_and_checked_out(cli: CommandLine, chain: Chain) -> None:
    """For an end customer: items come, change and go, and the order keeps the draft's id."""
    customer = cli.json(
        *("customers", "create", "--tenant", chain.r, "--name", "Asha Rao"),
        *("--data", '{"shipping_address": {"city": "Pune"}}'),
    )
    draft = cli.json(
        *("drafts", "create", "--tenant", chain.r, "--account", customer["id"]),
        *("--external-id", "PO-1", "--data", COD),
    )
    assert ("Draft", "PO-1", {"city": "Pune"}) == (
        draft["stage"],
        draft["external_order_id"],
        draft["shipping_address"],
    )
    add = ("drafts", "items", "add", draft["id"], "--sku", "PROD-001")
    cli.json(*add, "--quantity", "2", "--price", "150.50")
    [first, second] = cli.json(*add, "--characteristics", '{"colour": "red"}')["items"]
    assert (15050, 13800) == (first["unit_price_minor"], second["unit_price_minor"])
    cli.json("drafts", "items", "set", draft["id"], first["id"], "--quantity", "5")
    cli.json("drafts", "items", "remove", draft["id"], second["id"])
    [listed] = cli.json("drafts", "items", "list", draft["id"])["data"]
    assert (first["id"], 5) == (listed["id"], listed["quantity"])
    assert [draft["id"]] == [row["id"] for row in cli.json("drafts", "list")["data"]]
    placed = cli.json("drafts", "checkout", draft["id"], "--tenant", chain.r)
    assert (draft["id"], "Confirmed") == (placed["id"], placed["stage"])
    assert {"data": [], "total": 0} == cli.json("drafts", "list")
    [row] = cli.json("drafts", "list", "--stage", "Confirmed", "--tenant", chain.r)["data"]
    assert (draft["id"], "pending_forward", 75250) == (row["id"], row["status"], row["total_minor"])
    assert "in_progress" == cli.json("drafts", "status", draft["id"])["status"]
    assert placed["id"] == cli.json("orders", "show", draft["id"])["id"]


def test_fields_are_shown_and_set(cli: CommandLine, chain: Chain) -> None:
    """Of the order, and of an item."""
    data = '{"items": [{"sku": "PROD-001", "quantity": 1}], "custom_fields": {"a": 1}}'
    draft = cli.json("drafts", "create", "--tenant", chain.r, "--data", data)
    [item] = draft["items"]
    fields = ("drafts", "fields", draft["id"])
    assert {"a": 1} == cli.json(*fields)
    assert {"b": "x"} == cli.json(*fields, "--set", '{"a": null, "b": "x"}')
    of_item = (*fields, "--item", item["id"])
    assert {"size": 42} == cli.json(*of_item, "--set", '{"size": 42}') == cli.json(*of_item)
    assert "size" in cli(*of_item).out


def test_people_read_tables(cli: CommandLine, chain: Chain) -> None:
    """Every view names what it shows."""
    customer = cli.json("customers", "create", "--tenant", chain.r, "--name", "Asha Rao")["id"]
    assert "Asha Rao" in cli("customers", "list", "--tenant", chain.r).out
    assert "Asha Rao" in cli("customers", "show", customer).out
    data = '{"items": [{"sku": "PROD-001", "quantity": 1}], "custom_fields": {"cost centre": "A7"}}'
    shown = cli("drafts", "create", "--tenant", chain.r, "--data", data).out
    for word in ("PROD-001", "138.00 INR", "cost centre", "in 6d", "Draft"):
        assert word in shown
    assert "138.00 INR" in cli("drafts", "list").out


def test_refusals_are_one_line(cli: CommandLine, chain: Chain, database: Database) -> None:
    """An empty checkout, a stranger, a bad stage, a draft past its hours."""
    draft = cli.json("drafts", "create", "--tenant", chain.r)["id"]
    cases = [
        (("drafts", "checkout", draft), "DRAFT_EMPTY"),
        (("drafts", "show", draft, "--tenant", chain.d), "NOT_FOUND"),
        (("drafts", "status", draft), "INVALID_STATUS"),
        (("drafts", "list", "--stage", "draft"), "VALIDATION_ERROR"),
        (("drafts", "create", "--tenant", chain.r, "--account", chain.d), "VALIDATION_ERROR"),
        (("drafts", "items", "add", draft, "--sku", "NONE"), "VALIDATION_ERROR"),
    ]
    for arguments, code in cases:
        answer = cli(*arguments, "--json")
        assert (1, code) == (answer.code, answer.refusal["code"]), arguments
    with database.write() as connection:
        connection.execute(
            update(draft_orders).values(
                created_at=draft_orders.c.created_at, expires_at=database.now() - LIFETIME / 1e6
            )
        )
    answer = cli("drafts", "checkout", draft)
    assert 1 == answer.code
    assert 1 == len(answer.err.strip().splitlines())
    assert "DRAFT_EXPIRED" in answer.err
    assert {"data": [], "total": 0} == cli.json("drafts", "list")
    [ran] = cli.json("reconcile", "run", "--check", "K21")["runs"]
    assert (1, 1) == (ran["found"], ran["healed"])
