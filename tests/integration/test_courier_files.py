"""Couriers' files on both databases: what differs is told, once, and a bad file changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock
from engine import orders
from engine.database import Database
from engine.errors import InvalidInput
from engine.unit_of_work import UnitsOfWork
from reconciler import courier_files, discrepancy_views
from reconciler.courier_files import CourierFile
from tests.chains import accept_at_top, build_chain, deliver, dump, place
from tests.command_line import CommandLine
from tests.reconciling import Reconciling, reconciling

HEADER = "reference,amount,batch\n"


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler with five collected orders of 155.00, P0 to P4, of one courier."""
    with reconciling(database, clock) as it:
        units = it.dispatch.units
        chain = build_chain(units)
        for number in range(5):
            _deliver(units, place(units, chain, number=f"O{number}"), f"P{number}")
        yield it


def _deliver(units: UnitsOfWork, order_id: str, parcel: str) -> None:
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number=parcel, carrier="BlueDart")
        orders.deliver(work, order_id)


def file_of(*lines: str, header: str = HEADER, **banked: str) -> CourierFile:
    """Return a file of these lines."""
    content = (header + "\n".join(lines) + "\n").encode()
    return CourierFile("bluedart", content, "INR", banked)


def told(scene: Reconciling, file: CourierFile) -> list[tuple[str, str]]:
    """Take a file and return what it told, by kind and reference."""
    with scene.dispatch.units.begin(actor="test") as work:
        assert courier_files.take(work, file)
    with scene.database.read() as connection:
        shown = courier_files.show(connection, file)
    assert shown is not None
    return sorted((row["kind"], row["reference"]) for row in shown["differences"])


def test_a_file_that_agrees_tells_nothing(scene: Reconciling) -> None:
    """Orders go by parcel or by number, without days too; the check is quiet."""
    lines = ["P0,155,B1", "O1,155.00,B1", "P2,155,B2", "P3,155,B2", "P4,155,B2"]
    file = file_of(*lines, B1="310.00", B2="465")
    assert [] == told(scene, file)
    scene.settled("K18.courier")


def test_each_kind_is_told_with_an_owner_and_a_day(scene: Reconciling) -> None:
    """Missing, extra, another amount, twice, and the bank: late after two weeks, it fails runs."""
    file = file_of("P0,155,B1", "P1,154.99,B1", "P2,155,B1", "O2,155,B1", "Z9,1,B2", B1="1", B2="1")
    expected = [
        ("amount", "P1"),
        ("bank", "B1"),
        ("duplicate", "O2"),
        ("extra", "Z9"),
        ("missing", "P3"),
        ("missing", "P4"),
    ]
    assert expected == told(scene, file)
    [run] = scene.run("K18.courier")
    assert (6, 0) == (run["found"], run["failed"])
    with scene.database.read() as connection:
        noted = discrepancy_views.listing(connection, limit=100)
    assert 6 == len(noted)
    two_weeks = scene.clock.now() + timedelta(days=14)
    assert {two_weeks} == {row["due_at"] for row in noted}
    assert 2 == [row["owner"] for row in noted].count("bluedart")
    assert all(row["owner"] for row in noted)
    amounts = sorted(row["amount_minor"] for row in noted)
    assert [1, 100, 15_500, 15_500, 15_500, 61_899] == amounts
    scene.clock.advance(timedelta(days=14, seconds=1))
    [run] = scene.run("K18.courier")
    assert 6 == run["failed"]


def test_a_later_file_settles_what_was_missing_and_pays_no_order_twice(
    scene: Reconciling,
) -> None:
    """What was missing is settled by its line; a line of an order paid before is a duplicate."""
    assert [("missing", "P4")] == told(scene, file_of(*(f"P{n},155,B1" for n in range(4))))
    assert {"K18.courier": (1, 0)} == scene.found("K18.courier")
    assert [("duplicate", "P0")] == told(scene, file_of("P4,155,B2", "P0,155,B2"))
    assert {"K18.courier": (1, 0)} == scene.found("K18.courier")
    assert [("K18.courier", "healed"), ("K18.courier", "open")] == sorted(scene.discrepancies())


def test_only_the_days_of_the_file_must_be_there(scene: Reconciling) -> None:
    """Orders of other days than the file's are not missing; nor are another courier's."""
    day = scene.clock.now().date()
    yesterday = day - timedelta(days=1)
    dated = "reference,amount,batch,paid_at\n"
    assert [] == told(scene, file_of(f"P0,155,B1,{yesterday}", header=dated))
    units = scene.dispatch.units
    deliver(units, place(units, build_chain(units), number="other"))
    lines = [f"P{number},155,B2,{day}T10:00:00+00:00" for number in range(1, 5)]
    assert [] == told(scene, file_of(*lines, header=dated))


def test_the_same_file_twice_changes_nothing(scene: Reconciling) -> None:
    """It is told apart by its bytes and what the bank paid; a comparison alone writes nothing."""
    file = file_of("P0,155,B1")
    empty = dump(scene.database)
    with scene.database.read() as connection:
        courier_files.compare(connection, file)
    assert empty == dump(scene.database)
    assert [("missing", f"P{number}") for number in range(1, 5)] == told(scene, file)
    before = dump(scene.database)
    with scene.dispatch.units.begin(actor="test") as work:
        assert not courier_files.take(work, file)
    assert before == dump(scene.database)


def test_files_that_name_one_order_at_once_pay_it_once(scene: Reconciling) -> None:
    """Who reads the second file waits for the first, and is told that the order is there twice."""
    first, second = file_of("P0,155,B1"), file_of("P0,155,B2")
    units = scene.dispatch.units
    with ThreadPoolExecutor(1) as pool:
        with units.begin(actor="test") as work:
            courier_files.take(work, first)
            waiting = pool.submit(told, scene, second)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        assert ("duplicate", "P0") in waiting.result(timeout=20)


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        (b"", 1, "reference"),
        (b"reference,amount\nP0,1\n", 1, "batch"),
        (b"reference,amount,batch,batch\n", 1, "batch"),
        (b"reference,amount,batch,colour\n", 1, "colour"),
        (b"reference,amount,batch\n", 1, "reference"),
        (b"reference,amount,batch\nP0,155,B1\nP1,1.555,B1\n", 3, "amount"),
        (b"reference,amount,batch\nP0,-1,B1\n", 2, "amount"),
        (b"reference,amount,batch\n,1,B1\n", 2, "reference"),
        (b"reference,amount,batch\nP0,1,\n", 2, "batch"),
        (b"reference,amount,batch\nP0,1\n", 2, "batch"),
        (b"reference,amount,batch\nP0,1,B,x\n", 2, "batch"),
        (b"reference,amount,batch,paid_at\nP0,1,B,soon\n", 2, "paid_at"),
        (b"reference,amount,batch\nP0,1,\xff\n", 2, ""),
        (b'reference,amount,batch\nP0,1,"B\n', 2, ""),
    ],
)
def test_a_bad_file_is_refused_by_line_and_column(
    scene: Reconciling, content: bytes, line: int, column: str
) -> None:
    """One error that says where; nothing is written."""
    before = dump(scene.database)
    with (
        pytest.raises(InvalidInput) as refused,
        scene.dispatch.units.begin(actor="test") as work,
    ):
        courier_files.take(work, CourierFile("bluedart", content, "INR"))
    assert (line, column) == (refused.value.details["line"], refused.value.details["field"])
    assert f"line {line}" in refused.value.message
    assert before == dump(scene.database)


def test_the_command_takes_a_file_once(
    cli: CommandLine, database: Database, tmp_path: Path
) -> None:
    """Compared first, taken, noted as a discrepancy at once; again it changes nothing."""
    units = UnitsOfWork(database)
    _deliver(units, place(units, build_chain(units)), "P0")
    path = tmp_path / "courier.csv"
    path.write_text("reference,amount,batch\nP0,100,B1\n", encoding="utf-8")
    command = ("reconcile", "courier-file", str(path), "--courier", "BlueDart", "--bank", "B1=100")
    for outcome in ("dry run", "taken", "taken before, nothing changed"):
        answer = cli.json(*command, *(("--dry-run",) if outcome == "dry run" else ()))
        assert outcome == answer["outcome"]
        [found] = answer["differences"]
        assert ("amount", "P0", 15_500, 10_000) == (
            found["kind"],
            found["reference"],
            found["expected_minor"],
            found["actual_minor"],
        )
    shown = cli.json("reconcile", "report")["discrepancies"]
    assert ["K18.courier"] == [row["check"] for row in shown]
    assert max(map(len, cli(*command).out.splitlines())) <= 100
    path.write_text("reference,amount,batch\nP0,x,B1\n", encoding="utf-8")
    bad = cli(*command, "--json")
    assert (1, {"line": 2, "field": "amount"}) == (bad.code, bad.refusal["details"])
    assert 1 == cli(*command[:2], str(tmp_path / "none"), *command[3:]).code
    assert 1 == cli(*command, "--bank", "B1").code
