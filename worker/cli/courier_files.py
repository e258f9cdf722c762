"""``tillbell reconcile courier-file``: what a courier says it took, held against the orders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from engine.errors import InvalidInput, NotFound
from reconciler import courier_files
from reconciler.courier_checks import COURIERS_AGREE
from reconciler.courier_files import CourierFile
from reconciler.runner import Runner
from worker.bootstrap import Application
from worker.cli.opening import opened, operator
from worker.cli.options import Json
from worker.cli.output import Column, details, emit, money, page, section, table, with_money


def courier_file(
    path: Annotated[
        Path, typer.Argument(help="CSV: reference,amount,batch[,paid_at].", metavar="FILE")
    ],
    *,
    courier: Annotated[str, typer.Option(help="The carrier the orders name.", metavar="NAME")],
    bank: Annotated[
        list[str] | None,
        typer.Option(help="What the bank paid for a batch; many times.", metavar="BATCH=AMOUNT"),
    ] = None,
    currency: Annotated[str, typer.Option(help="Of every amount.", metavar="CODE")] = "INR",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare, but write nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Hold a courier's file against the orders it collected cash of, to the minor unit.

    A reference is a tracking or an order number. What does not match becomes a discrepancy of
    check K18.courier. The same file again changes nothing.
    """
    file = CourierFile(courier.strip(), _content(path), currency, _banked(bank or ()))
    with opened() as application:
        document = _compared(application, file) if dry_run else _taken(application, file)
    facts = details(
        {
            "courier": document["courier"],
            "lines": f"{document['lines']:,}",
            "from": document["from_at"],
            "until": document["until_at"],
            "outcome": Text(document["outcome"]),
        }
    )
    rows = [with_money({**row, "currency": currency}) for row in document["differences"]]
    document["differences"] = rows
    found = table(rows, _DIFFERENCES, empty="None: every line and every order agree.")
    emit(document, page([facts, section("Differences", found)]), as_json=as_json)


def _compared(application: Application, file: CourierFile) -> dict[str, Any]:
    with application.database.read() as connection:
        compared = courier_files.compare(connection, file)
    return {
        "outcome": "dry run",
        "courier": file.courier,
        "currency": file.currency,
        "lines": len(compared.lines),
        "from_at": compared.from_at,
        "until_at": compared.until_at,
        "differences": [courier_files.columns(each) for each in compared.matched.differences],
    }


def _taken(application: Application, file: CourierFile) -> dict[str, Any]:
    with application.units.begin(actor=operator()) as work:
        taken = courier_files.take(work, file)
    if taken:
        # Noted at once, with an owner and a day, rather than by the next tick of the schedule.
        runner = Runner(application.units, application.hints)
        list(runner.run([COURIERS_AGREE.id], actor=operator()))
    with application.database.read() as connection:
        shown = courier_files.show(connection, file)
    return {"outcome": "taken" if taken else "taken before, nothing changed", **(shown or {})}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        told = f"cannot read {path}: {error.strerror}"
        raise NotFound(told, field="file", value=str(path)) from None


def _banked(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in given:
        batch, equals, amount = each.rpartition("=")
        if not equals or not batch.strip() or batch.strip() in found:
            told = f"--bank {each!r} is not BATCH=AMOUNT, or names its batch twice"
            raise InvalidInput(told, field="bank", value=each)
        found[batch.strip()] = amount.strip()
    return found


_DIFFERENCES = (
    Column("KIND", "kind"),
    Column("REFERENCE", "reference", flexible=True),
    Column("LINE", "line", right=True),
    Column("EXPECTED", lambda row: money(row["expected_minor"], row["currency"]), right=True),
    Column("ACTUAL", lambda row: money(row["actual_minor"], row["currency"]), right=True),
)
