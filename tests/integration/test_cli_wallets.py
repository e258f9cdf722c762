"""``tillbell wallets`` and ``payouts``: limits, holds, statements, exports and decisions."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain
from tests.command_line import CommandLine


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


@pytest.fixture
def funded(cli: CommandLine, chain: Chain) -> Chain:
    """Return the chain with 1,000.00 in R's wallet."""
    cli.json("wallets", "top-up", chain.r, "1000", "--reference", "UTR-1")
    return chain


def test_limits_are_set_by_who_may(cli: CommandLine, funded: Chain) -> None:
    """The platform widens what may be spent, a minimum bounds payouts; one's own are refused."""
    wallet = cli.json("wallets", "credit-limit", funded.r, "250.50", "--by", funded.s)
    assert (25050, 125050, 125050) == (
        wallet["credit_limit_minor"],
        wallet["effective_balance_minor"],
        wallet["spendable_minor"],
    )
    assert 5000 == cli.json("wallets", "min-payout", funded.r, "50")["min_payout_minor"]
    for command in ("credit-limit", "min-payout"):
        answer = cli("wallets", command, funded.r, "1", "--by", funded.r, "--json")
        assert (1, "FORBIDDEN") == (answer.code, answer.refusal["code"])
    answer = cli("payouts", "request", funded.r, "49.99")
    assert "error: a payout is at least 50.00 INR here [PAYOUT_TOO_SMALL]\n" == answer.err


def test_a_threshold_has_a_level_of_recovery(cli: CommandLine, chain: Chain) -> None:
    """10 % above unless told; which figure is compared can be chosen."""
    wallet = cli.json("wallets", "threshold", chain.r, "500")
    assert ("available", 55000) == (wallet["low_watch"], wallet["rearm_level_minor"])
    wallet = cli.json(
        "wallets", "threshold", chain.r, "500", "--rearm", "800", "--watch", "spendable"
    )
    assert ("spendable", 80000) == (wallet["low_watch"], wallet["rearm_level_minor"])
    answer = cli("wallets", "threshold", chain.r, "500", "--rearm", "500", "--json")
    assert "rearm_level" == answer.refusal["details"]["field"]


def test_money_is_held_and_freed(cli: CommandLine, funded: Chain) -> None:
    """A hold is listed while it is open, with its reason and its end."""
    command = ("wallets", "hold", funded.r, "300", "--reason", "dispute", "--expires", "7d")
    made = cli.json(*command, "--idempotency-key", "k")
    again = cli.json(*command[:6], "--expires", made["expires_at"], "--idempotency-key", "k")
    assert made["id"] == again["id"]
    [listed] = cli.json("wallets", "holds", funded.r)["data"]
    assert (made, 300.0, "manual") == (listed, listed["amount"], listed["reason"])
    assert 70000 == cli.json("wallets", "show", funded.r)["available_balance_minor"]
    freed = cli.json("wallets", "release", made["id"], "--reason", "settled")
    assert ("released", []) == (
        freed["status"],
        cli.json("wallets", "holds", funded.r)["data"],
    )
    answer = cli("wallets", "release", made["id"], "--reason", "again")
    assert "error: the hold is released already [INVALID_STATUS]\n" == answer.err


def test_money_that_is_held_is_taken(cli: CommandLine, funded: Chain) -> None:
    """A part becomes a fee, the rest is free; more than is held is refused."""
    made = cli.json("wallets", "hold", funded.r, "300", "--reason", "deposit")["id"]
    answer = cli("wallets", "capture", made, "300.01", "--reason", "damaged", "--json")
    assert "INVALID_AMOUNT" == answer.refusal["code"]
    command = ("wallets", "capture", made, "120", "--reason", "damaged")
    assert "captured" == cli.json(*command)["status"]
    wallet = cli.json("wallets", "show", funded.r)
    assert (88000, 88000) == (wallet["balance_minor"], wallet["spendable_minor"])


def test_a_payout_goes_its_way(cli: CommandLine, funded: Chain) -> None:
    """Requested by the tenant, decided by the platform, listed for both."""
    made = cli.json("payouts", "request", funded.r, "400")
    assert ("requested", 400.0, 40000) == (made["status"], made["amount"], made["amount_minor"])
    answer = cli("payouts", "approve", made["id"], "--by", funded.r, "--json")
    assert "FORBIDDEN" == answer.refusal["code"]
    assert "approved" == cli.json("payouts", "approve", made["id"], "--by", funded.s)["status"]
    paid = cli.json("payouts", "complete", made["id"], "--reference", "UTR-9")
    assert ("completed", "UTR-9") == (paid["status"], paid["reference"])
    assert paid == cli.json("payouts", "show", made["id"])
    for tenant_id in (funded.r, funded.s):
        assert [paid] == cli.json("payouts", "list", "--tenant", tenant_id)["data"]
    assert [] == cli.json("payouts", "list", "--tenant", funded.d)["data"]
    answer = cli("payouts", "cancel", made["id"], "--reason", "late", "--json")
    assert ("INVALID_STATUS", "completed", []) == (
        answer.refusal["code"],
        answer.refusal["details"]["current_status"],
        answer.refusal["details"]["allowed"],
    )
    told = cli.json("events", "list", "--type", "payout.completed")["data"]
    assert {funded.r, funded.s} == {each["tenant_id"] for each in told}


def test_payouts_are_refused_and_called_off(cli: CommandLine, funded: Chain) -> None:
    """Each with its reason, and the list shows them by status, page by page."""
    first, second = (cli.json("payouts", "request", funded.r, "100")["id"] for _ in range(2))
    assert "no" == cli.json("payouts", "reject", first, "--reason", "no")["reason"]
    cli.json("payouts", "cancel", second, "--reason", "not needed", "--by", funded.r)
    page = cli.json("payouts", "list", "--limit", "1")
    assert [second] == [each["id"] for each in page["data"]]
    rest = cli.json("payouts", "list", "--limit", "1", "--after", page["next_cursor"])
    assert ([first], None) == ([each["id"] for each in rest["data"]], rest["next_cursor"])
    rejected = cli.json("payouts", "list", "--status", "rejected")["data"]
    assert [first] == [each["id"] for each in rejected]


def test_a_statement_is_listed_shown_and_summed(cli: CommandLine, funded: Chain) -> None:
    """Newest first, by type and day, and one line by its id."""
    cli.json("wallets", "hold", funded.r, "300", "--reason", "dispute")
    command = ("wallets", "transactions", funded.r)
    found = cli.json(*command)["data"]
    assert [("hold", 70000), ("credit", 100000)] == [
        (line["type"], line["available_after_minor"]) for line in found
    ]
    assert [found[1]] == cli.json(*command, "--type", "credit")["data"]
    assert [found[0]] == cli.json(*command, "--reference-type", "manual")["data"]
    assert [] == cli.json(*command, "--to", "2020-01-01")["data"]
    page = cli.json(*command, "--limit", "1")
    assert [found[1]] == cli.json(*command, "--after", page["next_cursor"])["data"]
    assert found[0] == cli.json("wallets", "transaction", found[0]["id"])
    summary = cli.json("wallets", "summary", funded.r, "--period", "year")["summary"]
    assert (100000, 0, 30000) == tuple(
        summary[f"{name}_minor"] for name in ("total_credits", "total_debits", "pending_debits")
    )
    assert 2 == cli(*command, "--from", "yesterday").code


def test_a_statement_is_exported(cli: CommandLine, funded: Chain, tmp_path: Path) -> None:
    """To standard output or to a file the same CSV, which a filter narrows."""
    cli.json("wallets", "hold", funded.r, "300", "--reason", "=dispute")
    answer = cli("wallets", "export", funded.r)
    rows = list(csv.DictReader(io.StringIO(answer.out)))
    assert [("credit", "1000.00", "UTR-1"), ("hold", "300.00", rows[1]["reference_id"])] == [
        (row["type"], row["amount"], row["reference_id"]) for row in rows
    ]
    assert "'=dispute" == rows[1]["description"]
    target = tmp_path / "statement.csv"
    assert 0 == cli("wallets", "export", funded.r, "--output", str(target)).code
    assert answer.out.encode() == target.read_bytes()
    held = cli("wallets", "export", funded.r, "--type", "hold").out
    assert 2 == held.count("\r\n")
    assert 1 == cli("wallets", "export", funded.r, "--type", "gift").code


def test_wallets_are_readable_at_a_hundred_columns(cli: CommandLine, funded: Chain) -> None:
    """Amounts stand with their currency, and no line is wider than the terminal."""
    payout: dict[str, Any] = cli.json("payouts", "request", funded.r, "10")
    cli.json("wallets", "hold", funded.r, "300", "--reason", "a dispute that is long to tell")
    line = cli.json("wallets", "transactions", funded.r)["data"][0]["id"]
    for command in (
        ("wallets", "show", funded.r),
        ("wallets", "holds", funded.r),
        ("wallets", "transactions", funded.r),
        ("wallets", "transaction", line),
        ("wallets", "summary", funded.r),
        ("payouts", "list"),
        ("payouts", "show", payout["id"]),
    ):
        out = cli(*command).out
        assert " INR" in out, command
        assert max(map(len, out.splitlines())) <= 100, command
