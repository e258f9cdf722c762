"""``tillbell orders``: placed, imported, moved along the chain, and seen by each participant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select

from engine import states
from engine.database import Database
from engine.order_tables import chain_orders
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, order_of
from tests.command_line import CommandLine
from worker.cli.order_import import ORDERS_PER_TRANSACTION


@pytest.fixture
def chain(database: Database) -> Chain:
    """Return the chain of document 001, on the database's own clock."""
    return build_chain(UnitsOfWork(database))


@pytest.fixture
def order(cli: CommandLine, chain: Chain) -> dict[str, Any]:
    """Return an order of the retailer as create answers it."""
    data = orjson.dumps(order_of()).decode()
    made: dict[str, Any] = cli.json("orders", "create", "--tenant", chain.r, "--data", data)
    return made


def orders_in(database: Database) -> int:
    """Return how many orders there are."""
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(chain_orders)).scalar_one())


def write_lines(folder: Path, *lines: bytes) -> str:
    """Write a file of lines and return its path."""
    file = folder / "orders.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    return str(file)


def test_an_order_is_placed_with_its_chain_and_money(order: dict[str, Any], chain: Chain) -> None:
    """The operator sees every hop's price as a decimal and in minor units."""
    assert ("pending_forward", 155.0, 15500) == (
        order["chain_status"],
        order["origin_total"],
        order["origin_total_minor"],
    )
    assert [(chain.s, 10000), (chain.d, 12000), (chain.r, 13800)] == [
        (hop["tenant_id"], hop["cost_minor"]) for hop in order["chain"]
    ]
    assert ["create"] == [step["action"] for step in order["timeline"]]
    assert ["PROD-001"] == [line["sku"] for line in order["items"]]


def test_an_order_placed_again_is_the_same_one(
    cli: CommandLine, order: dict[str, Any], chain: Chain
) -> None:
    """Same content, same id; another content under the number is refused."""
    again = ("orders", "create", "--tenant", chain.r, "--data")
    assert order["id"] == cli.json(*again, orjson.dumps(order_of()).decode())["id"]
    other = orjson.dumps(order_of(payment={"method": "prepaid"})).decode()
    answer = cli(*again, other, "--json")
    assert (1, "ORDER_EXISTS") == (answer.code, answer.refusal["code"])


def test_an_order_goes_its_whole_way(cli: CommandLine, order: dict[str, Any], chain: Chain) -> None:
    """Each verb leads to the next state, in the operator's name."""
    order_id = order["id"]
    ship = ("--tracking-number", "DEL1", "--carrier", "delhivery")
    for verb, options, status in (
        ("forward", ("--tenant", chain.r), "forwarded"),
        ("forward", (), "forwarded"),
        ("accept", ("--tenant", chain.s), "accepted"),
        ("process", (), "processing"),
        ("ship", ship, "shipped"),
        ("deliver", ("--collected", "155.00"), "delivered"),
    ):
        assert status == cli.json("orders", verb, order_id, *options)["chain_status"]
    shown = cli.json("orders", "show", order_id)
    assert 7 == len(shown["timeline"])
    assert {"cli"} == {step["source"] for step in shown["timeline"]}
    owed = cli.json("remittances", "list", "--order", order_id)["data"]
    assert [13800, 12000] == [each["amount_minor"] for each in owed]


def test_a_wrong_step_is_refused_with_what_is_allowed(
    cli: CommandLine, order: dict[str, Any], chain: Chain
) -> None:
    """The refusal names the status; another participant's step is refused too."""
    answer = cli(
        "orders", "ship", order["id"], "--tracking-number", "T", "--carrier", "C", "--json"
    )
    assert (1, "INVALID_STATUS", "pending_forward") == (
        answer.code,
        answer.refusal["code"],
        answer.refusal["details"]["current_status"],
    )
    assert "(allowed now: forward, accept, cancel)" in cli("orders", "process", order["id"]).err
    assert 1 == cli("orders", "accept", order["id"], "--tenant", chain.s).code
    assert 2 == cli("orders", "cancel", order["id"]).code


def test_an_order_is_cancelled_with_its_reason(cli: CommandLine, order: dict[str, Any]) -> None:
    """The reason is part of the order and of its timeline."""
    cancelled = cli.json("orders", "cancel", order["id"], "--reason", "Customer asked")
    assert ("cancelled", "Customer asked") == (
        cancelled["chain_status"],
        cancelled["timeline"][-1]["reason"],
    )
    assert "Customer asked" in cli("orders", "show", order["id"]).out


def test_an_order_waits_for_its_approval(cli: CommandLine, chain: Chain) -> None:
    """What a tenant orders waits once its parent has to approve it; both answers have a verb."""
    shown = cli("tenants", "update", chain.r, "--needs-approval").out
    assert ["its", "orders", "need", "approval", "yes"] in [
        line.split() for line in shown.splitlines()
    ]
    ids = []
    for number in ("A", "B"):
        data = orjson.dumps(order_of(number)).decode()
        made = cli.json("orders", "create", "--tenant", chain.r, "--data", data)
        assert "pending_approval" == made["chain_status"]
        ids.append(made["id"])
    refused = cli("orders", "forward", ids[0])
    assert "(allowed now: approve, reject, cancel)" in refused.err
    refused = cli("orders", "approve", ids[0], "--tenant", chain.r, "--json")
    assert (1, "FORBIDDEN") == (refused.code, refused.refusal["code"])
    approved = cli.json("orders", "approve", ids[0], "--tenant", chain.d, "--reason", "fine")
    assert ("pending_forward", "fine") == (
        approved["chain_status"],
        approved["timeline"][-1]["reason"],
    )
    assert 2 == cli("orders", "reject", ids[1]).code
    assert "cancelled (no stock)" in cli("orders", "reject", ids[1], "--reason", "no stock").out
    assert 2 == cli("tenants", "update", chain.r).code
    refused = cli("tenants", "update", chain.s, "--needs-approval", "--json")
    assert (1, "VALIDATION_ERROR") == (refused.code, refused.refusal["code"])


def test_picking_is_undone_and_goods_come_back(
    cli: CommandLine, order: dict[str, Any], chain: Chain
) -> None:
    """An order leaves picking and enters it again; delivered, it is returned and nothing owed."""
    order_id = order["id"]
    for verb in ("forward", "forward", "accept", "process", "unprocess"):
        moved = cli.json("orders", verb, order_id)
    assert ("accepted", "removed") == (moved["chain_status"], moved["items"][0]["line_status"])
    cli.json("orders", "ship", order_id, "--tracking-number", "T", "--carrier", "c")
    cli.json("orders", "deliver", order_id)
    refused = cli("orders", "return", order_id, "--tenant", chain.r, "--json")
    assert (1, "FORBIDDEN") == (refused.code, refused.refusal["code"])
    returned = cli.json("orders", "return", order_id, "--reason", "broken")
    assert ("returned", "refunded", "broken") == (
        returned["chain_status"],
        returned["payment_status"],
        returned["timeline"][-1]["reason"],
    )
    owed = cli.json("remittances", "list", "--order", order_id)["data"]
    assert {"cancelled"} == {each["status"] for each in owed}


def test_every_action_has_a_verb(cli: CommandLine) -> None:
    """What the table of states allows can be done here."""
    shown = cli("orders", "--help").out.split()
    assert [] == [action for action in states.ACTIONS if action not in shown]


def test_a_participant_sees_its_own_prices_only(
    cli: CommandLine, order: dict[str, Any], chain: Chain
) -> None:
    """The distributor sees its cost and margin, no customer, and nothing before its turn."""
    assert 1 == cli("orders", "show", order["id"], "--tenant", chain.d).code
    cli.json("orders", "forward", order["id"])
    seen = cli.json("orders", "show", order["id"], "--tenant", chain.d)
    assert (12000, 1800, {}) == (
        seen["pricing"]["your_cost_minor"],
        seen["pricing"]["your_margin_minor"],
        seen["customer"],
    )
    assert "18.00 INR" in cli("orders", "show", order["id"], "--tenant", chain.d).out


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), 1),
        (("--status", "pending_forward"), 1),
        (("--status", "shipped"), 0),
        (("--search", "ORD-"), 1),
        (("--search", "nobody"), 0),
        (("--since", "1h"), 1),
    ],
)
def test_a_list_is_narrowed(
    cli: CommandLine, order: dict[str, Any], options: tuple[str, ...], found: int
) -> None:
    """Each filter keeps what fits it."""
    assert [order["id"]] * found == [
        each["id"] for each in cli.json("orders", "list", *options)["data"]
    ]


def test_a_file_of_orders_is_placed_once(
    cli: CommandLine, chain: Chain, database: Database, tmp_path: Path
) -> None:
    """More lines than one transaction holds are all placed; a second run places none."""
    count = ORDERS_PER_TRANSACTION + 5
    lines = [orjson.dumps(order_of(f"ORD-{number}")) for number in range(count)]
    file = write_lines(tmp_path, *lines)
    first = cli.json("orders", "import", file, "--tenant", chain.r)
    second = cli.json("orders", "import", file, "--tenant", chain.r)
    assert (count, 0, 0) == (first["placed"], first["existing"], first["refused"])
    assert (0, count, 0) == (second["placed"], second["existing"], second["refused"])
    assert [each["id"] for each in first["data"]] == [each["id"] for each in second["data"]]
    assert count == orders_in(database)


def test_a_line_that_is_refused_is_named_and_the_others_go_on(
    cli: CommandLine, chain: Chain, database: Database, tmp_path: Path
) -> None:
    """Broken JSON, a missing field, an unknown sku: each by its number; exit code 1."""
    unknown = order_of("ORD-9", items=[{"sku": "NONE", "quantity": 1, "unit_price": 1}])
    file = write_lines(
        tmp_path,
        orjson.dumps(order_of("ORD-1")),
        b"{broken",
        b"",
        b'{"origin_order_number": "ORD-2"}',
        orjson.dumps(unknown),
        b"[]",
        orjson.dumps(order_of("ORD-3")),
    )
    answer = cli("orders", "import", file, "--tenant", chain.r)
    assert 1 == answer.code
    assert "6 orders: 2 placed, 0 existing, 4 refused.\n" == answer.out
    assert ["error: line 2:", "error: line 4:", "error: line 5:", "error: line 6:"] == [
        line[:14] for line in answer.err.splitlines()
    ]
    assert 2 == orders_in(database)


def test_a_refused_line_leaves_no_event_behind(
    cli: CommandLine, chain: Chain, tmp_path: Path
) -> None:
    """A prepaid order beyond the wallet is undone whole; its neighbours are told of."""
    poor = order_of("ORD-1", payment={"method": "prepaid"})
    lines = (poor, order_of("ORD-2"))
    file = write_lines(tmp_path, *(orjson.dumps(line) for line in lines))
    answer = cli("orders", "import", file, "--tenant", chain.r, "--json")
    assert (1, 1) == (answer.document["placed"], answer.document["refused"])
    assert ("INSUFFICIENT_BALANCE", 1) == (answer.refusal["code"], answer.refusal["line"])
    created = cli.json("events", "list", "--type", "chain_order.created")["data"]
    assert 1 == len(created)


def test_a_file_for_an_unknown_tenant_places_nothing(
    cli: CommandLine, database: Database, tmp_path: Path
) -> None:
    """One line says that the tenant is unknown, not one for every order."""
    file = write_lines(tmp_path, orjson.dumps(order_of("ORD-1")))
    answer = cli("orders", "import", file, "--tenant", "nobody")
    assert (1, "error: no tenant 'nobody' [NOT_FOUND]\n") == (answer.code, answer.err)
    assert 0 == orders_in(database)


def test_orders_are_readable_at_a_hundred_columns(cli: CommandLine, order: dict[str, Any]) -> None:
    """The list and the whole order fit, and the id is not cut."""
    for command in (("orders", "list"), ("orders", "show", order["id"])):
        lines = cli(*command).out.splitlines()
        assert max(map(len, lines)) <= 100
        assert any(order["id"] in line for line in lines)
