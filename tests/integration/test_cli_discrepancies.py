"""``tillbell discrepancies``: look, explain, accept; and the exit code of a run with drift."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from engine.database import Database
from engine.ids import new_id
from engine.ledger_tables import ledger_accounts
from engine.product_tables import products
from engine.unit_of_work import UnitsOfWork
from reconciler.check import Scope
from reconciler.checks import CHECKS
from reconciler.discrepancies import Noting, note
from reconciler.stock_checks import STOCK_COUNTED
from tests.chains import build_chain, top_up
from tests.command_line import CommandLine
from tests.conftest import START
from tests.tampering import tampering

RUN = ("reconcile", "run", "--check", "K13")


@pytest.fixture
def _drift(database: Database) -> None:
    """Let one wallet's counter have been changed behind the engine's back."""
    units = UnitsOfWork(database)
    chain = build_chain(units)
    top_up(units, chain.r, 1000)
    mine = (ledger_accounts.c.book == chain.r) & (ledger_accounts.c.code == "external_cash")
    with tampering(database) as connection:
        connection.execute(update(ledger_accounts).where(mine).values(posted_credits=1001))


@pytest.mark.usefixtures("_drift")
def test_drift_fails_the_run_until_somebody_accepts_it(cli: CommandLine) -> None:
    """Exit code 1; explained in words; accepted with a reason, it fails no later run."""
    assert 1 == cli(*RUN, "--json").code
    listed = cli.json("discrepancies", "list", "--standing")["data"]
    assert {("K13", "open")} == {(each["check"], each["status"]) for each in listed}
    for each in listed:
        shown = cli.json("discrepancies", "explain", each["id"])
        assert {"compared", "would_heal", "who_heals"} == set(shown["explanation"])
        assert ["opened"] == [line["action"] for line in shown["history"]]
        assert 2 == cli("discrepancies", "accept", each["id"]).code
        judged = cli.json("discrepancies", "accept", each["id"], "--reason", "known since May")
        assert ("accepted", "known since May") == (
            judged["status"],
            judged["history"][-1]["note"],
        )
        assert 1 == cli("discrepancies", "accept", each["id"], "--reason", "again").code
    assert 0 == cli(*RUN, "--json").code
    [run] = cli.json(*RUN)["runs"]
    assert (len(listed), 0, 0) == (run["accepted"], run["left_open"], run["failed"])


@pytest.mark.usefixtures("_drift")
def test_discrepancies_are_readable_at_a_hundred_columns(cli: CommandLine) -> None:
    """The list, one with its history, and its explanation fit the terminal."""
    cli(*RUN)
    row_id = cli.json("discrepancies", "list")["data"][0]["id"]
    for command in (("list",), ("show", row_id), ("explain", row_id)):
        lines = cli("discrepancies", *command).out.splitlines()
        assert max(map(len, lines)) <= 100, command


@pytest.mark.usefixtures("_drift")
def test_a_report_can_be_printed(cli: CommandLine, tmp_path: Path) -> None:
    """What was looked at and what stands, as JSON, and as one page that needs nothing else."""
    assert {"runs": [], "discrepancies": []}.items() <= cli.json("reconcile", "report").items()
    cli(*RUN)
    target = tmp_path / "report.html"
    found = cli.json("reconcile", "report", "--html", str(target))
    assert ["K13"] == [run["check"] for run in found["runs"]]
    assert found["discrepancies"]
    written = target.read_text(encoding="utf-8")
    assert all(each["subject"] in written for each in found["discrepancies"])
    assert "0.01\N{NO-BREAK SPACE}INR" in written
    assert "0.01 INR" in cli("reconcile", "report").out
    assert "http" not in written


@pytest.mark.usefixtures("_drift")
def test_drift_is_not_healed_by_hand(cli: CommandLine) -> None:
    """The refusal says that people mend it and how; the exit code is 1."""
    cli(*RUN)
    row_id = cli.json("discrepancies", "list")["data"][0]["id"]
    answer = cli("discrepancies", "heal", row_id, "--actor", "ada", "--json")
    assert (1, "NOT_HEALABLE") == (answer.code, answer.refusal["code"])
    assert "signed by two" in answer.refusal["details"]["remedy"]


def test_a_discrepancy_is_healed_by_hand(cli: CommandLine, database: Database) -> None:
    """What is set aside for nothing is set right, and the history says by whom."""
    units = UnitsOfWork(database)
    build_chain(units, stock=10)
    with database.write() as connection:
        connection.execute(update(products).values(stock_allocated=9))
        finding = STOCK_COUNTED.find(connection, Scope(START, START)).findings[0]
    with units.begin(actor="test", source="reconciler") as work:
        note(work, Noting(STOCK_COUNTED, new_id()), [finding])
    row_id = cli.json("discrepancies", "list")["data"][0]["id"]
    healed = cli.json("discrepancies", "heal", row_id, "--actor", "ada")
    assert ("healed", "ada") == (healed["status"], healed["history"][-1]["actor"])
    [settled] = cli.json("reconcile", "report")["settled"]
    assert ("K19 healed it", row_id) == (settled["heal_action"], settled["id"])
    again = cli("discrepancies", "heal", row_id)
    assert (1, 1) == (again.code, len(again.err.splitlines()))


@pytest.mark.usefixtures("_drift")
def test_a_report_scores_what_was_found_and_lists_what_was_settled(
    cli: CommandLine, tmp_path: Path
) -> None:
    """One check of all ran and is on time; what somebody accepted or mended is cleared."""
    cli(*RUN)
    first, *others = cli.json("discrepancies", "list")["data"]
    cli("discrepancies", "accept", first["id"], "--reason", "known")
    score = cli.json("reconcile", "report")["score"]
    of = 1 + len(others)
    assert {"count": 1, "of": of, "percent": 100 // of} == score["cleared"]
    assert {"count": 1, "of": len(CHECKS), "percent": 100 // len(CHECKS)} == score["timely"]
    assert score["timely"] == score["complete"]
    target = tmp_path / "report.html"
    assert [] == cli.json("reconcile", "report")["settled"]
    cli.json("reconcile", "run", "--check", "K24")
    assert 2 == cli.json("reconcile", "report", "--html", str(target))["score"]["timely"]["count"]
    assert f"Settled: <b>1</b> of {of}" in target.read_text(encoding="utf-8")
