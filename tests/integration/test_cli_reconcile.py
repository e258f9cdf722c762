"""``tillbell reconcile``: run checks, look at what they found."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from reconciler.checks import CHECKS
from tests.chains import build_chain, deliver, place
from tests.command_line import CommandLine

#: The JSON names of a run that scripts rely on (design §6).
NAMES = {"check", "scanned", "found", "healed"}


@pytest.fixture
def _owed(database: Database) -> None:
    """Let an order be delivered, so that two remittances will be due."""
    units = UnitsOfWork(database)
    deliver(units, place(units, build_chain(units)))


def test_every_check_runs_and_is_recorded(cli: CommandLine) -> None:
    """A run of everything answers one row per check, and the list has the same."""
    ran = cli.json("reconcile", "run")["runs"]
    assert list(CHECKS) == [run["check"] for run in ran]
    assert all(set(run) >= NAMES for run in ran)
    listed = cli.json("reconcile", "list")["data"]
    assert {run["id"] for run in ran} == {run["id"] for run in listed}


def test_checks_are_chosen_by_comma_in_any_case(cli: CommandLine) -> None:
    """Only the named ones run; an unknown one is refused before anything runs."""
    ran = cli.json("reconcile", "run", "--check", "k10,K12")["runs"]
    assert ["K10", "K12"] == [run["check"] for run in ran]
    answer = cli("reconcile", "run", "--check", "K99", "--json")
    assert (1, "VALIDATION_ERROR") == (answer.code, answer.refusal["code"])


@pytest.mark.usefixtures("_owed")
def test_a_dry_run_of_another_day_changes_nothing(cli: CommandLine) -> None:
    """What will be due then is found and not raised; the real run then raises it."""
    later = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    command = ("reconcile", "run", "--check", "K10", "--as-of", later)
    (dry,) = cli.json(*command, "--dry-run")["runs"]
    assert dry["found"] > 0
    assert (0, True) == (dry["healed"], dry["dry_run"])
    assert [] == cli.json("events", "list", "--type", "remittance.overdue")["data"]
    (run,) = cli.json(*command)["runs"]
    assert dry["found"] == run["found"]
    assert cli.json("events", "list", "--type", "remittance.overdue")["data"]


def test_a_run_is_shown_with_what_did_not_agree(cli: CommandLine) -> None:
    """A clean run has no discrepancies, and says by whom it was asked for."""
    (run,) = cli.json("reconcile", "run", "--check", "K13")["runs"]
    shown = cli.json("reconcile", "show", run["id"])
    assert ([], True) == (shown["discrepancies"], shown["actor"].startswith("cli:"))
    assert 1 == cli("reconcile", "show", "nothing").code


def test_the_checks_are_listed(cli: CommandLine) -> None:
    """Each says what it looks for, how often, and who heals it."""
    listed = cli.json("reconcile", "checks")["data"]
    assert list(CHECKS) == [each["check"] for each in listed]
    names = {"check", "title", "severity", "every_seconds", "policy", "compares", "remedy"}
    assert names == set(listed[0])


@pytest.mark.usefixtures("_owed")
def test_reconciliation_is_readable_at_a_hundred_columns(cli: CommandLine) -> None:
    """Runs, one run and the checks fit the terminal."""
    run_id = cli.json("reconcile", "run", "--check", "K10")["runs"][0]["id"]
    for command in (("run",), ("list",), ("show", run_id), ("checks",)):
        lines = cli("reconcile", *command).out.splitlines()
        assert max(map(len, lines)) <= 100, command
