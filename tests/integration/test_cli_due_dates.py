"""``tillbell remittances ladder`` and ``reschedule``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place
from tests.command_line import CommandLine


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


def codes(found: dict[str, Any]) -> str:
    """Return the steps of a ladder that was shown."""
    return " ".join(step["code"] for step in found["steps"])


def test_a_ladder_is_set_shown_and_cleared(cli: CommandLine, chain: Chain) -> None:
    """The default, the platform's preset, one relationship's own, and back."""
    show = ("remittances", "ladder", "show", "--tenant", chain.d)
    assert "T-3 T+0" == codes(cli.json(*show))
    assert "nobody: the default" in cli(*show).out
    cli.json("remittances", "ladder", "set", "--tenant", chain.s, "--preset", "standard")
    assert "T-3 T-1 T0 T+1 T+7 T+14 T+30" == codes(cli.json(*show))
    own = ("--tenant", chain.d, "--child", chain.r)
    made = cli.json(
        *("remittances", "ladder", "set", *own, "--due", "5, 2", "--overdue", "3"),
        *("--cutoff", "17:00", "--grace-hours", "24", "--catch-up", "all"),
    )
    assert {
        "due_days_before": [5, 2],
        "overdue_days_after": [3],
        "cutoff": "17:00",
        "grace_hours": 24,
        "catch_up": "all",
    } == made["ladder"]
    shown = cli(*show, "--child", chain.r).out
    for word in ("T-5, T-2, T+3", "17:00", "24 h", chain.d, chain.r):
        assert word in shown
    cleared = cli.json("remittances", "ladder", "clear", *own)
    assert (chain.s, "T-3 T-1 T0 T+1 T+7 T+14 T+30") == (cleared["tenant_id"], codes(cleared))


def test_a_ladder_that_cannot_be_is_refused(cli: CommandLine, chain: Chain) -> None:
    """No steps, no days, no time of day, nothing to clear."""
    of_tenant = ("--tenant", chain.s)
    for arguments in (
        ("set", *of_tenant),
        ("set", *of_tenant, "--due", "3,x"),
        ("set", *of_tenant, "--due", "3", "--cutoff", "late"),
        ("set", *of_tenant, "--due", "3", "--child", chain.r),
    ):
        answer = cli("remittances", "ladder", *arguments, "--json")
        assert (1, "VALIDATION_ERROR") == (answer.code, answer.refusal["code"])
    answer = cli("remittances", "ladder", "clear", *of_tenant, "--json")
    assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"])


def test_a_due_date_is_moved_with_its_reason(
    cli: CommandLine, chain: Chain, database: Database
) -> None:
    """The new day, who moved it and why; the payer may not."""
    units = UnitsOfWork(database)
    deliver(units, place(units, chain))
    rows = cli.json("remittances", "list")["data"]
    row = next(each for each in rows if each["payer_id"] == chain.r)
    day = (database.now() + timedelta(days=30)).date().isoformat()
    reschedule = ("remittances", "reschedule", row["id"], "--reason", "agreed by telephone")
    moved = cli.json(*reschedule, "--due-date", day, "--tenant", chain.d)
    assert (day, 2) == (moved["due_date"], moved["schedule_version"])
    [change] = moved["changes"]
    assert ("agreed by telephone", row["due_date"]) == (
        change["reason"],
        change["previous_due_date"],
    )
    assert change["actor"].startswith("cli:")
    for arguments, code in (
        (("--due-date", day), "VALIDATION_ERROR"),
        (("--due-date", "soon"), "VALIDATION_ERROR"),
        (("--due-date", day, "--tenant", chain.r), "FORBIDDEN"),
    ):
        answer = cli(*reschedule, *arguments, "--json")
        assert (1, code) == (answer.code, answer.refusal["code"])
    later = (database.now() + timedelta(days=40)).date().isoformat()
    assert "agreed by telephone" in cli(*reschedule, "--due-date", later).out
