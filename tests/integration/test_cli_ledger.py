"""``tillbell ledger``: accounts as Ts, transactions, verification, freezing and corrections."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place
from tests.command_line import CommandLine
from tests.ledgers import changed_amount, dice
from tests.tampering import tampering


@pytest.fixture
def chain(database: Database, cli: CommandLine) -> Chain:
    """Return the chain of document 001: R has 500.00 and owes 138.00 of a delivered order."""
    units = UnitsOfWork(database)
    chain = build_chain(units)
    deliver(units, place(units, chain))
    cli.json("wallets", "top-up", chain.r, "500")
    return chain


def pages(cli: CommandLine, *arguments: str) -> list[Any]:
    """Return all rows of a list, read two at a time."""
    rows: list[Any] = []
    after: list[str] = []
    while True:
        found = cli.json("ledger", *arguments, "--limit", "2", *after)
        rows += found["data"]
        if found["next_cursor"] is None:
            return rows
        after = ["--after", str(found["next_cursor"])]


def test_accounts_are_listed_page_by_page(cli: CommandLine, chain: Chain) -> None:
    """Pages of two hold what one page holds; book and code narrow the list."""
    everything = cli.json("ledger", "accounts", "list")["data"]
    assert everything == pages(cli, "accounts", "list")
    mine = cli.json("ledger", "accounts", "list", "--book", chain.r)["data"]
    assert {"cod_cash", "earnings", f"pay>{chain.d}", "wallet", "external_cash"} == {
        each["code"] for each in mine
    }
    owed = cli.json("ledger", "accounts", "list", "--code", "recv<")["data"]
    assert {(chain.s, 12000), (chain.d, 13800)} == {
        (each["book"], each["balance_minor"]) for each in owed
    }
    # A debt is shown as what is owed, on the side where it naturally stands.
    [debt] = cli.json("ledger", "accounts", "list", "--book", chain.r, "--code", "pay>")["data"]
    assert ("credit", 13800, 138.0) == (debt["normal"], debt["balance_minor"], debt["balance"])
    assert "138.00 INR" in cli("ledger", "accounts", "list").out


def test_an_account_is_shown_with_its_chain(cli: CommandLine, chain: Chain) -> None:
    """Newest first, each entry's balance is the one below it and its own amount."""
    for amount in ("1", "2.50", "10"):
        cli.json("wallets", "top-up", chain.r, amount)
    cli.json("ledger", "fee", chain.r, "3", "--reason", "listing")
    name = f"{chain.r}/wallet/INR"
    found = cli.json("ledger", "accounts", "show", name)
    assert [5, 4, 3, 2, 1] == [each["account_version"] for each in found["data"]]
    amounts = [(row["debit_minor"] or 0) - (row["credit_minor"] or 0) for row in found["data"]]
    balances = [row["balance_minor"] for row in found["data"]]
    assert amounts[:-1] == [newer - older for newer, older in pairwise(balances)]
    assert found["data"] == pages(cli, "accounts", "show", found["account"]["id"])
    shown = cli("ledger", "accounts", "show", name).out
    assert "DEBIT" in shown
    assert "510.50 INR" in shown


def test_transactions_are_shown_with_both_sides(cli: CommandLine, chain: Chain) -> None:
    """A delivery has three books, each adding up; kind and reference narrow the list."""
    everything = cli.json("ledger", "transactions", "list")["data"]
    assert everything == pages(cli, "transactions", "list")
    [settled] = cli.json("ledger", "transactions", "list", "--kind", "cod_settlement")["data"]
    reference = f"chain_order/{settled['reference_id']}"
    found = cli.json("ledger", "transactions", "list", "--reference", reference)["data"]
    assert settled in found
    detail = cli.json("ledger", "transactions", "show", settled["id"])
    assert {chain.s, chain.d, chain.r} == {each["book"] for each in detail["entries"]}
    debits = sum(each["debit_minor"] or 0 for each in detail["entries"])
    credits_ = sum(each["credit_minor"] or 0 for each in detail["entries"])
    assert 41300 == debits == credits_
    assert ["opened", "opened"] == [each["did"] for each in detail["holds"]]
    assert f"Book {chain.d}" in cli("ledger", "transactions", "show", settled["id"]).out
    later = cli.json("ledger", "transactions", "list", "--since", "2100-01-01T00:00:00Z")
    assert [] == later["data"]


def test_a_bounced_payment_is_reversed_by_hand(cli: CommandLine, chain: Chain) -> None:
    """A top-up is undone once; a settlement is refused with the order and the verb that ends it."""
    listed = cli.json("ledger", "transactions", "list")["data"]
    ids = {row["kind"]: row["id"] for row in listed}
    reverse = ("ledger", "transactions", "reverse")
    undone = cli.json(*reverse, ids["top_up"], "--reason", "bounced", "--actor", "anna")
    assert ("reversal", ids["top_up"], "anna") == (
        undone["kind"],
        undone["reverses_id"],
        undone["posted_by"],
    )
    assert 0 == cli.json("wallets", "show", chain.r)["balance_minor"]
    again = cli(*reverse, ids["top_up"], "--reason", "bounced", "--json")
    assert (1, "ALREADY_REVERSED") == (again.code, again.refusal["code"])
    refused = cli(*reverse, ids["cod_settlement"], "--reason", "r")
    assert (1, 1) == (refused.code, refused.err.count("\n"))
    assert "use 'tillbell orders return " in refused.err
    assert "[OWNED_BY_DOCUMENT]" in refused.err


def test_verify_names_the_tampered_row(cli: CommandLine, chain: Chain, database: Database) -> None:
    """Sound books are exit code 0; a changed amount is 1, with entry, expected and found."""
    first = cli.json("ledger", "verify")
    assert (True, "full", []) == (first["ok"], first["mode"], first["findings"])
    assert ("new", 0) == (
        cli.json("ledger", "verify")["mode"],
        cli.json("ledger", "verify")["entries"],
    )
    assert "The books agree." in cli("ledger", "verify", "--full").out
    with tampering(database) as connection:
        [expected, _] = changed_amount(connection, dice(5))
    answer = cli("ledger", "verify", "--full", "--json")
    assert (1, False) == (answer.code, answer.document["ok"])
    assert any(expected.items() <= each.items() for each in answer.document["findings"])
    shown = cli("ledger", "verify", "--full")
    assert 1 == shown.code
    assert expected["entry_id"] in "".join(shown.out.split())
    assert 1 == cli("ledger", "verify", "--since", "1d").code
    assert 2 == cli("ledger", "verify", "--since", "1d", "--full").code
    assert chain.r


def test_a_frozen_account_says_why(cli: CommandLine, chain: Chain) -> None:
    """Frozen by one, refused with its code, listed, unfrozen by another; both are shown."""
    name = f"{chain.r}/wallet/INR"
    cli.json("ledger", "freeze", name, "--reason", "drift found", "--actor", "anna")
    answer = cli("wallets", "top-up", chain.r, "1", "--json")
    assert (1, "ACCOUNT_FROZEN") == (answer.code, answer.refusal["code"])
    [frozen] = cli.json("ledger", "accounts", "list", "--frozen")["data"]
    assert name == frozen["name"]
    cli.json("ledger", "unfreeze", frozen["id"], "--reason", "all right", "--actor", "ben")
    cli.json("wallets", "top-up", chain.r, "1")
    shown = cli("ledger", "accounts", "show", name).out
    for words in ("anna", "drift found", "ben", "all right"):
        assert words in shown


def test_two_persons_adjust_a_wallet(cli: CommandLine, chain: Chain) -> None:
    """Asked for by one, refused to the same, posted by another; rejected ones move nothing."""
    ask = ("ledger", "adjustments", "request", "--tenant", chain.r, "--reason", "paid twice")
    asked = cli.json(*ask, "--take", "20.50", "--actor", "anna")
    assert ("requested", -2050, -20.5) == (asked["status"], asked["amount_minor"], asked["amount"])
    refused = cli("ledger", "adjustments", "approve", asked["id"], "--actor", "anna", "--json")
    assert "SECOND_PERSON_REQUIRED" == refused.refusal["code"]
    done = cli.json("ledger", "adjustments", "approve", asked["id"], "--actor", "ben")
    assert ("anna", "ben") == (done["requested_by"], done["decided_by"])
    assert 47950 == cli.json("wallets", "show", chain.r)["balance_minor"]
    other = cli.json(*ask, "--add", "5", "--actor", "anna")
    cli.json("ledger", "adjustments", "reject", other["id"], "--reason", "no", "--actor", "ben")
    listed = cli.json("ledger", "adjustments", "list", "--tenant", chain.r)["data"]
    assert ["rejected", "approved"] == [each["status"] for each in listed]
    assert listed == pages(cli, "adjustments", "list")
    assert done == cli.json("ledger", "adjustments", "show", asked["id"])
    shown = cli("ledger", "adjustments", "show", asked["id"]).out
    for words in ("anna", "ben", "paid twice", "20.50 INR", "Book platform"):
        assert words in shown


def test_entries_are_adjusted_as_they_are_spelled(cli: CommandLine, chain: Chain) -> None:
    """Two entries of one book, once approved, are posted; a wrong spelling is named."""
    ask = ("ledger", "adjustments", "request", "--reason", "shortage", "--actor", "anna")
    asked = cli.json(
        *ask,
        *("--entry", f"{chain.r}/bad_debt/INR=5"),
        *("--entry", f"{chain.r}/shortage/INR=-5"),
    )
    cli.json("ledger", "adjustments", "approve", asked["id"], "--actor", "ben")
    [lost] = cli.json("ledger", "accounts", "list", "--code", "bad_debt")["data"]
    assert 500 == lost["balance_minor"]
    for wrong in ("shortage=5", f"{chain.r}/shortage/INR", f"{chain.r}/shortage/INR=x"):
        assert 1 == cli(*ask, "--entry", wrong, "--json").code
    for usage in ((), ("--tenant", chain.r), ("--tenant", chain.r, "--add", "1", "--take", "1")):
        assert 2 == cli(*ask, *usage, "--json").code


def test_a_remittance_is_written_off(cli: CommandLine, chain: Chain) -> None:
    """It is cancelled with its transaction; a second time is refused with its status."""
    rows = cli.json("remittances", "list", "--tenant", chain.r)["data"]
    write_off = ("ledger", "write-off", rows[0]["id"], "--reason", "bankrupt", "--actor", "anna")
    done = cli.json(*write_off)
    assert ("cancelled", rows[0]["id"]) == (done["status"], done["id"])
    posted = cli.json("ledger", "transactions", "show", done["write_off_id"])
    assert ("write_off", "anna") == (posted["kind"], posted["posted_by"])
    again = cli(*write_off, "--json")
    assert (1, "INVALID_STATUS") == (again.code, again.refusal["code"])


@pytest.mark.parametrize(
    "arguments",
    [
        ("accounts", "show", "nobody/wallet/INR"),
        ("accounts", "list", "--after", "x"),
        ("accounts", "list", "--limit", "0"),
        ("transactions", "show", "x"),
        ("transactions", "list", "--after", "x"),
        ("adjustments", "list", "--status", "done"),
        ("adjustments", "list", "--after", "x"),
        ("freeze", "x", "--reason", "y"),
    ],
)
def test_what_does_not_exist_is_one_line(cli: CommandLine, arguments: tuple[str, ...]) -> None:
    """Names, cursors, limits and states that cannot be are refused in a sentence."""
    answer = cli("ledger", *arguments)
    assert (1, "", 1) == (answer.code, answer.out, len(answer.err.splitlines()))
