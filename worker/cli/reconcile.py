"""``tillbell reconcile``: find what does not agree, and heal what is safe to heal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from engine.database import database_now
from reconciler import reports, runs, scores
from reconciler.checks import CHECKS, choose
from reconciler.report_page import page as page_of
from reconciler.runner import Runner
from worker.cli.courier_files import courier_file
from worker.cli.moments import brief, future, span
from worker.cli.opening import opened, operator, reading
from worker.cli.options import Json, Limit
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    page,
    progress,
    section,
    state,
    table,
)

app = typer.Typer(rich_markup_mode=None)
app.command("courier-file")(courier_file)


@app.command()
def run(
    *,
    check: Annotated[
        list[str] | None, typer.Option(help="Only these, by comma: K10,K12.", metavar="K")
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=future, help="Ask what is due then; 7d is in a week.", metavar="ISO"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find, but heal nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Run the checks now. Exit code 0: clean, or all of it healed.

    1: a finding that nobody may heal by itself, or one of severity error or critical that stays
    open (with --dry-run all stay), or a check that stopped. 2: wrong usage. What was accepted, and
    warnings, fail nothing.
    """
    names = _names(check)
    found = []
    with opened() as application, progress() as bar:
        runner = Runner(application.units, application.hints, application.caller())
        task = bar.add_task("Checking", total=len(choose(names)))
        for row in runner.run(names, actor=operator(), as_of=as_of, dry_run=dry_run):
            found.append(row)
            bar.advance(task)
    emit({"runs": found}, table(found, _OUTCOMES, empty="No checks."), as_json=as_json)
    if any(row["problem"] or row["failed"] for row in found):
        raise typer.Exit(1)


@app.command("list")
def listing(
    *,
    check: Annotated[str | None, typer.Option(help="Only this check's.", metavar="K")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    with reading() as connection:
        rows = runs.listing(connection, check=check, limit=limit)
    empty = "Nothing was checked yet: tillbell reconcile run"
    emit({"data": rows}, table(rows, _RUNS, empty=empty), as_json=as_json)


@app.command()
def show(
    run_id: Annotated[str, typer.Argument(help="The run's id.", metavar="ID", show_default=False)],
    *,
    as_json: Json = False,
) -> None:
    """Show one run and what did not agree."""
    with reading() as connection:
        row = runs.show(connection, run_id)
    facts = details(
        {
            "id": row["id"],
            "check": f"{row['check']}  {_title(row)}",
            "by": row["actor"],
            "as of": row["as_of"],
            "scanned": f"{row['scanned']:,}",
            "found": f"{row['found']:,}",
            "healed": _healed(row),
            "took": f"{row['duration_ms']:,} ms",
            "state": state(row["state"]),
            "problem": row["problem"],
        }
    )
    found = table(row["discrepancies"], _DISCREPANCIES, empty="None.")
    emit(row, page([facts, section("Discrepancies", found)]), as_json=as_json)


@app.command()
def report(
    run_id: Annotated[
        str | None, typer.Argument(help="A run of the call meant; else the newest of each check.")
    ] = None,
    *,
    html: Annotated[
        Path | None, typer.Option(help="Write a page to be printed here.", metavar="FILE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Report what was looked at, what stands with its age and amount, what was settled, a score."""
    with reading() as connection:
        found = reports.gather(connection, database_now(connection), run_id)
    if html is not None:
        html.write_text(page_of(found), encoding="utf-8")
    view = page(
        [
            table(found["runs"], _OUTCOMES, empty="No runs."),
            section("What stands", table(found["discrepancies"], _STANDING, empty=_AGREES)),
            section(
                f"Settled since {found['since']:%Y-%m-%d}",
                table(found["settled"], _SETTLED, empty="Nothing."),
            ),
            section("Score", Text(scores.in_words(found["score"]))),
        ]
    )
    emit(found, view, as_json=as_json)


@app.command()
def checks(*, as_json: Json = False) -> None:
    """List the checks: what each looks for, how often, and whether it heals."""
    rows = [
        {
            "check": check.id,
            "title": check.title,
            "severity": str(check.severity),
            "every_seconds": check.every_seconds,
            "policy": str(check.policy),
            "compares": check.compares,
            "remedy": check.remedy,
        }
        for check in CHECKS.values()
    ]
    emit({"data": rows}, table(rows, _CHECKS, empty=""), as_json=as_json)


def _names(given: Sequence[str] | None) -> list[str] | None:
    if given is None:
        return None
    return [part.strip().upper() for each in given for part in each.split(",") if part.strip()]


def _title(row: Row) -> str:
    check = CHECKS.get(row["check"])
    return check.title if check is not None else ""


def _healed(row: Row) -> str:
    return "dry run" if row["dry_run"] else f"{row['healed']:,}"


def _found(row: Row) -> Text:
    style = "red" if row["failed"] else "yellow" if row["left_open"] else ""
    return Text(f"{row['found']:,}", style=style)


def _amount(row: Row) -> Text | None:
    return None if row["currency"] is None else money(row["amount_minor"], row["currency"])


_OUTCOMES = (
    Column("CHECK", "check"),
    Column("LOOKS FOR", _title, flexible=True),
    Column("SCANNED", lambda row: f"{row['scanned']:,}", right=True),
    Column("FOUND", _found, right=True),
    Column("HEALED", _healed, right=True),
    Column("TOOK", lambda row: f"{row['duration_ms']:,} ms", right=True),
    Column("PROBLEM", "problem", flexible=True),
)
_RUNS = (
    Column("ID", "id"),
    Column("CHECK", "check"),
    Column("SCANNED", lambda row: f"{row['scanned']:,}", right=True),
    Column("FOUND", _found, right=True),
    Column("HEALED", _healed, right=True),
    Column("WHEN", lambda row: brief(row["started_at"])),
    Column("BY", "actor", wide=True),
    Column("PROBLEM", "problem", wide=True, flexible=True),
)
_DISCREPANCIES = (
    Column("SUBJECT", "subject", flexible=True),
    Column("SEVERITY", "severity"),
    Column("EXPECTED", "expected", flexible=True),
    Column("ACTUAL", "actual", flexible=True),
    Column("STATUS", lambda row: state(row["status"])),
)
_AGREES = "Everything agrees."
_STANDING = (
    Column("CHECK", "check"),
    Column("SUBJECT", "subject", flexible=True),
    Column("SEVERITY", "severity"),
    Column("AGE", lambda row: span(row["age_seconds"]), right=True),
    Column("AMOUNT", _amount, right=True),
    Column("STATUS", lambda row: state(row["status"])),
)
_SETTLED = (
    Column("CHECK", "check"),
    Column("SUBJECT", "subject", flexible=True),
    Column("AMOUNT", _amount, right=True),
    Column("HEALED BY", "heal_action", flexible=True),
    Column("WITH", "heal_reference", flexible=True),
    Column("AT", lambda row: brief(row["settled_at"])),
)
_CHECKS = (
    Column("CHECK", "check"),
    Column("LOOKS FOR", "title", flexible=True),
    Column("SEVERITY", "severity"),
    Column("EVERY", lambda row: f"{row['every_seconds']} s", right=True),
    Column("HEALS", "policy"),
    Column("BY", "remedy", flexible=True),
)
