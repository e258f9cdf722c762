"""``tillbell settlements`` and ``remittances``: the worked examples as a person reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from engine import orders, wallets
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, place
from tests.command_line import CommandLine

Lines = list[tuple[str, str, str, int]]
#: Per book: account, side and minor units, as the example of each case says.
DOWNSTREAM: Lines = [
    ("Retailer XYZ", "cod_cash", "debit", 15500),
    ("Retailer XYZ", "earnings", "credit", 1700),
    ("Retailer XYZ", "pay>Distributor ABC", "credit", 13800),
    ("Distributor ABC", "recv<Retailer XYZ", "debit", 13800),
    ("Distributor ABC", "earnings", "credit", 1800),
    ("Distributor ABC", "pay>Super Admin", "credit", 12000),
    ("Super Admin", "recv<Distributor ABC", "debit", 12000),
    ("Super Admin", "earnings", "credit", 2000),
    ("Super Admin", "inventory", "credit", 10000),
]
UPSTREAM: Lines = [
    ("Retailer XYZ", "recv<Distributor ABC", "debit", 1700),
    ("Retailer XYZ", "earnings", "credit", 1700),
    ("Distributor ABC", "recv<Super Admin", "debit", 3500),
    ("Distributor ABC", "earnings", "credit", 1800),
    ("Distributor ABC", "pay>Retailer XYZ", "credit", 1700),
    ("Super Admin", "cod_cash", "debit", 15500),
    ("Super Admin", "earnings", "credit", 2000),
    ("Super Admin", "inventory", "credit", 10000),
    ("Super Admin", "pay>Distributor ABC", "credit", 3500),
]
MIDDLE: Lines = [
    ("Retailer XYZ", "recv<Distributor ABC", "debit", 1700),
    ("Retailer XYZ", "earnings", "credit", 1700),
    ("Distributor ABC", "cod_cash", "debit", 15500),
    ("Distributor ABC", "earnings", "credit", 1800),
    ("Distributor ABC", "pay>Retailer XYZ", "credit", 1700),
    ("Distributor ABC", "pay>Super Admin", "credit", 12000),
    ("Super Admin", "recv<Distributor ABC", "debit", 12000),
    ("Super Admin", "earnings", "credit", 2000),
    ("Super Admin", "inventory", "credit", 10000),
]
OWN_STOCK: Lines = [
    ("Retailer XYZ", "recv<Distributor ABC", "debit", 1700),
    ("Retailer XYZ", "earnings", "credit", 1700),
    ("Distributor ABC", "cod_cash", "debit", 15500),
    ("Distributor ABC", "earnings", "credit", 1800),
    ("Distributor ABC", "inventory", "credit", 12000),
    ("Distributor ABC", "pay>Retailer XYZ", "credit", 1700),
]


@dataclass(frozen=True, slots=True)
class Example:
    """A worked example: who collects, how far up it went, its books and its remittances."""

    name: str
    collector: str
    hops: int
    total_minor: int
    entries: Lines
    owed: list[tuple[str, str, int]]


S, D, R = "Super Admin", "Distributor ABC", "Retailer XYZ"
EXAMPLES = (
    Example("downstream", "origin", 2, 41300, DOWNSTREAM, [(R, D, 13800), (D, S, 12000)]),
    Example("upstream", "fulfiller", 2, 20700, UPSTREAM, [(S, D, 3500), (D, R, 1700)]),
    Example("middle", "d", 2, 29200, MIDDLE, [(D, S, 12000), (D, R, 1700)]),
    Example("own stock", "fulfiller", 1, 17200, OWN_STOCK, [(D, R, 1700)]),
)


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


def delivered(database: Database, chain: Chain, collector: str = "origin", hops: int = 2) -> str:
    """Deliver an order whose cash the named level collects, and return its id."""
    units = UnitsOfWork(database)
    named = getattr(chain, collector, collector)
    payment = {"method": "cod", "collector": named}
    order_id = place(units, chain, number=f"{collector}-{hops}", payment=payment)
    deliver(units, order_id, hops=hops)
    return order_id


def give_credit(database: Database, chain: Chain) -> None:
    """Let everyone pay what it owes."""
    with UnitsOfWork(database).begin(actor="test") as work:
        for tenant_id in (chain.r, chain.d, chain.s):
            wallets.set_credit_limit(work, tenant_id, 10**9)


@pytest.mark.parametrize("example", EXAMPLES, ids=[each.name for each in EXAMPLES])
def test_a_worked_example_reads_as_its_books(
    cli: CommandLine, database: Database, chain: Chain, example: Example
) -> None:
    """Every line of every book, the total, who owes what, and retail = base cost + margins."""
    order_id = delivered(database, chain, example.collector, example.hops)
    found = cli.json("settlements", "show", order_id)
    (posted,) = found["transactions"]
    assert ("cod_settlement", example.total_minor) == (posted["kind"], posted["total_minor"])
    assert example.entries == [
        (line["name"], line["account"], line["side"], line["amount_minor"])
        for line in posted["entries"]
    ]
    assert sorted(example.owed) == sorted(
        (row["payer_name"], row["payee_name"], row["amount_minor"]) for row in found["remittances"]
    )
    assert found["retail_minor"] == found["base_cost_minor"] + found["margins_minor"]


def test_books_are_journals_to_people(cli: CommandLine, database: Database, chain: Chain) -> None:
    """The page shows debits and credits in columns, and once all is paid nothing is left."""
    order_id = delivered(database, chain)
    page = cli("settlements", "show", order_id).out
    assert "Delivered, cash collected: 413.00 INR in all" in page
    assert "155.00 INR = 100.00 INR base + 55.00 INR margins" in page
    lines = [" ".join(line.split()) for line in page.splitlines()]
    assert "Retailer XYZ cod_cash 155.00" in lines
    assert "pay>Distributor ABC 138.00" in lines
    give_credit(database, chain)
    ids = [r["id"] for r in cli.json("remittances", "list", "--order", order_id)["data"]]
    assert ids == cli.json("remittances", "bulk-process", *ids)["processed"]
    page = cli("settlements", "show", order_id).out
    assert "Nothing: all is paid or undone." in page
    with UnitsOfWork(database).begin(actor="test") as work:
        orders.return_(work, order_id)
    assert "Reversed: 413.00 INR in all" in cli("settlements", "show", order_id).out


def test_an_order_without_cash_has_empty_books(
    cli: CommandLine, database: Database, chain: Chain
) -> None:
    """An order on its way has levels and no transaction; one that is not there is refused."""
    order_id = place(UnitsOfWork(database), chain)
    found = cli.json("settlements", "show", order_id)
    assert ([], None, []) == (found["transactions"], found["collection"], found["owed"])
    assert "Nothing: no cash was collected" in cli("settlements", "show", order_id).out
    answer = cli("settlements", "show", "7", "--json")
    assert (1, "NOT_FOUND") == (answer.code, answer.refusal["code"])


def test_figures_have_document_001s_names(
    cli: CommandLine, database: Database, chain: Chain
) -> None:
    """Summary, pending and statistics answer with the fields that document shows."""
    delivered(database, chain)
    summary = cli.json("settlements", "summary", "--tenant", chain.r, "--period", "week")["summary"]
    assert {
        "period": "week",
        "wallet_balance": 0,
        "pending_credits": 0,
        "pending_debits": 138.0,
        "collections_count": 1,
        "collections_total": 155.0,
        "remittances_paid": 0,
        "remittances_received": 0,
        "net_earnings": 0,
    }.items() <= summary.items()
    pending = cli.json("settlements", "pending", "--tenant", chain.d)
    assert {"owed": 120.0, "receivable": 138.0, "net_position": 18.0}.items() <= (
        pending["totals"].items()
    )
    assert [1, 1] == [len(pending["to_pay"]), len(pending["to_receive"])]
    found = cli.json("settlements", "statistics", "--tenant", chain.s)
    assert {"period", "start_date", "totals", "overdue", "top_debtors"} <= found.keys()
    assert {"collections": 155.0, "pending_remittances": 258.0}.items() <= found["totals"].items()
    assert (0, 0, []) == tuple(found["overdue"][key] for key in ("count", "total_amount", "items"))
    refused = cli("settlements", "statistics", "--tenant", chain.d, "--json")
    assert (1, "FORBIDDEN") == (refused.code, refused.refusal["code"])
    refused = cli("settlements", "summary", "--tenant", chain.d, "--period", "day", "--json")
    assert (1, "VALIDATION_ERROR") == (refused.code, refused.refusal["code"])


def test_bulk_pays_what_it_can_and_says_so(
    cli: CommandLine, database: Database, chain: Chain
) -> None:
    """Document 001's answer: what was processed, the others with a reason; the exit code is 1."""
    first, second = delivered(database, chain), delivered(database, chain, hops=1)
    cli.json("wallets", "top-up", chain.r, "138")
    ids = [
        cli.json("remittances", "list", "--order", each)["data"][0]["id"]
        for each in (first, second)
    ]
    command = ("remittances", "bulk-process", *ids, "--tenant", chain.r)
    answer = cli(*command, "--json")
    assert (1, [ids[0]]) == (answer.code, answer.document["processed"])
    assert {ids[1]: "Insufficient balance"} == answer.document["errors"]
    assert "Processed 1 remittances, 1 failed" == answer.document["message"]
    page = cli(*command).out
    assert "Remittance is not pending" in page
    assert "Processed 0 remittances, 2 failed" in page


def test_a_difference_is_decided_by_hand(
    cli: CommandLine, database: Database, chain: Chain
) -> None:
    """The collection is listed as short, decided, and settled once its debts are paid."""
    order_id = place(UnitsOfWork(database), chain)
    for verb in (("forward",), ("forward",), ("accept",)):
        cli.json("orders", *verb, order_id)
    cli.json("orders", "ship", order_id, "--tracking-number", "T", "--carrier", "c")
    cli.json("orders", "deliver", order_id, "--collected", "150")
    (row,) = cli.json("settlements", "collections", "--tenant", chain.r, "--status", "short")[
        "data"
    ]
    assert (155.0, 150.0, "downstream") == (row["expected"], row["collected"], row["flow_type"])
    command = ("settlements", "resolve", row["id"], "--decision", "borne", "--reason", "torn note")
    decided = cli.json(*command)
    assert ("pending", "borne", "torn note") == tuple(
        decided[name] for name in ("status", "resolution", "resolution_reason")
    )
    again = cli(*command, "--json")
    assert (1, "INVALID_STATUS") == (again.code, again.refusal["code"])
    assert "Difference of cash decided: 5.00 INR" in cli("settlements", "show", order_id).out


def test_lists_page_and_filter_by_days(cli: CommandLine, database: Database, chain: Chain) -> None:
    """``--limit`` and ``--after`` go on; days are given as days, anything else is wrong usage."""
    delivered(database, chain)
    command: tuple[Any, ...] = ("remittances", "list", "--tenant", chain.d, "--limit", "1")
    first = cli.json(*command)
    rest = cli.json(*command, "--after", first["next_cursor"])
    assert {"incoming", "outgoing"} == {p["data"][0]["direction"] for p in (first, rest)}
    assert None is rest["next_cursor"]
    assert "More: --after" in cli(*command).out
    assert [] == cli.json(*command, "--to", "2020-01-01")["data"]
    assert 1 == len(cli.json(*command, "--from", "2020-01-01")["data"])
    assert 2 == cli(*command, "--from", "yesterday").code
    assert [] == cli.json("settlements", "collections", "--to", "2020-01-01")["data"]


def test_pages_fit_a_hundred_columns(cli: CommandLine, database: Database, chain: Chain) -> None:
    """No line is wider than the terminal."""
    order_id = delivered(database, chain)
    for command in (
        ("settlements", "show", order_id),
        ("settlements", "summary", "--tenant", chain.r),
        ("settlements", "pending", "--tenant", chain.d),
        ("settlements", "collections"),
        ("settlements", "statistics", "--tenant", chain.s),
        ("remittances", "list", "--tenant", chain.d),
    ):
        answer = cli(*command)
        assert (0, "") == (answer.code, answer.err), command
        assert " INR" in answer.out, command
        assert max(map(len, answer.out.splitlines())) <= 100, command
