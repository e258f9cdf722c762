"""``tillbell settlements ageing``: debts by days past due, as K17 counts them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from engine import ageing
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place
from tests.command_line import CommandLine


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001 with one order collected by R, one by S."""
    units = UnitsOfWork(database)
    chain = build_chain(units)
    for collector in ("origin", "fulfiller"):
        payment = {"method": "cod", "collector": collector}
        deliver(units, place(units, chain, number=collector, payment=payment))
    return chain


def amounts(row: dict[str, Any]) -> dict[str, int]:
    """Return what of a row is not nothing, in minor units."""
    names = (*ageing.BUCKETS, "total")
    return {name: row[f"{name}_minor"] for name in names if row[f"{name}_minor"]}


def as_of(found: dict[str, Any], days: float) -> str:
    """Return the instant so many days after the first due date."""
    first = min(datetime.fromisoformat(row["oldest_due_at"]) for row in found["data"])
    return (first + timedelta(days=days)).isoformat()


@pytest.mark.parametrize(
    ("days", "bucket"),
    [(-1, "not_due"), (15, "0_30"), (45, "31_60"), (75, "61_90"), (100, "91_120"), (200, None)],
    ids=["not due", "0-30", "31-60", "61-90", "91-120", "over 120"],
)
def test_a_debt_stands_in_the_bucket_of_its_days(
    cli: CommandLine, chain: Chain, days: int, bucket: str | None
) -> None:
    """Every pair's debt, largest first, is in one bucket, and so is the sum of all."""
    found = cli.json("settlements", "ageing")
    found = cli.json("settlements", "ageing", "--as-of", as_of(found, days))
    name = bucket or "over_120"
    assert [
        (chain.r, chain.d, 13800),
        (chain.d, chain.s, 12000),
        (chain.s, chain.d, 3500),
        (chain.d, chain.r, 1700),
    ] == [(row["payer_id"], row["payee_id"], row[f"{name}_minor"]) for row in found["data"]]
    (total,) = found["totals"]
    assert ("INR", {name: 31000, "total": 31000}) == (total["currency"], amounts(total))


def test_a_tenant_reads_what_it_owes_and_is_owed(cli: CommandLine, chain: Chain) -> None:
    """R owes D 138.00 and is owed 17.00, each with its own sum; nobody else's debts are there."""
    found = cli.json("settlements", "ageing", "--tenant", chain.r)
    assert [("outgoing", 13800), ("incoming", 1700)] == [
        (row["direction"], row["total_minor"]) for row in found["data"]
    ]
    assert [("outgoing", {"not_due": 13800, "total": 13800})] == [
        (row["direction"], amounts(row)) for row in found["totals"][:1]
    ]
    refused = cli("settlements", "ageing", "--tenant", "nobody", "--json")
    assert (1, "NOT_FOUND") == (refused.code, refused.refusal["code"])


def test_people_read_a_table_with_its_sum(cli: CommandLine, chain: Chain) -> None:
    """A row for each pair in names and one for all; where nobody owes anything, it says so."""
    lines = [" ".join(line.split()) for line in cli("settlements", "ageing").out.splitlines()]
    assert "PAYER PAYEE NOT DUE 0-30 31-60 61-90 91-120 OVER 120 TOTAL" in lines
    assert "Retailer XYZ Distributor ABC 138.00 - - - - - 138.00" in lines
    assert "All 310.00 - - - - - 310.00" in lines
    page = cli("settlements", "ageing", "--tenant", chain.s).out
    assert page.index("To pay, INR") < page.index("To receive, INR")
    lonely = cli.json("tenants", "create", "--name", "New")["id"]
    assert "Nobody owes anything." in cli("settlements", "ageing", "--tenant", lonely).out
