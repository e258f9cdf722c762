"""``tillbell discrepancies``: what did not agree, in words, and what people say of it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from reconciler import discrepancy_views, judgements
from reconciler.checks import CHECKS
from reconciler.runner import Runner
from worker.cli.moments import brief
from worker.cli.opening import opened, operator, reading, writing
from worker.cli.options import Actor, Json, Limit
from worker.cli.output import Column, Row, details, emit, money, page, section, state, table

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The discrepancy's id.", metavar="ID", show_default=False)]


@app.command("list")
def listing(
    *,
    check: Annotated[str | None, typer.Option(help="Only this check's.", metavar="K")] = None,
    status: Annotated[
        str | None,
        typer.Option(help="Only in this: open, healed, accepted, false_positive.", metavar="S"),
    ] = None,
    standing: Annotated[
        bool, typer.Option("--standing", help="Only what is not settled yet.")
    ] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List discrepancies, newest first."""
    with reading() as connection:
        rows = discrepancy_views.listing(
            connection, status=status, check=check, standing=standing, limit=limit
        )
    emit({"data": rows}, table(rows, _ROWS, empty="Everything agrees."), as_json=as_json)


@app.command()
def show(discrepancy_id: Id, *, as_json: Json = False) -> None:
    """Show one discrepancy with its history."""
    with reading() as connection:
        row = discrepancy_views.show(connection, discrepancy_id)
    emit(row, _page(row), as_json=as_json)


@app.command()
def explain(discrepancy_id: Id, *, as_json: Json = False) -> None:
    """Say in words what was compared, what was found, and what would heal it."""
    with reading() as connection:
        row = discrepancy_views.show(connection, discrepancy_id)
    check = CHECKS.get(row["check"])
    words = {
        "compared": None if check is None else check.compares,
        "would_heal": None if check is None else check.remedy,
        "who_heals": row["policy"],
    }
    view = page(
        [
            Text(f"{row['check']} compares {words['compared']}."),
            Text(f"Of {row['subject']} it expected {row['expected']}, and found {row['actual']}."),
            Text(f"What heals it: {words['would_heal']}."),
            _page(row),
        ]
    )
    emit({**row, "explanation": words}, view, as_json=as_json)


@app.command()
def accept(
    discrepancy_id: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why it may stand.", metavar="WHY")],
    false_positive: Annotated[
        bool, typer.Option("--false-positive", help="Say that it is no discrepancy at all.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let a discrepancy stand for as long as it looks the same; it fails no run any more."""
    with writing() as (_, work):
        row = judgements.accept(work, discrepancy_id, reason=reason, false_positive=false_positive)
    emit(row, _page(row), as_json=as_json)


@app.command()
def heal(discrepancy_id: Id, *, actor: Actor = None, as_json: Json = False) -> None:
    """Let its check look at just this again and heal it now; what is not found is closed.

    What only people may mend is refused, with who does and how.
    """
    with opened() as application:
        runner = Runner(application.units, application.hints)
        row = runner.heal(discrepancy_id, actor=actor or operator())
    emit(row, _page(row), as_json=as_json)


def _page(row: Row) -> RenderableType:
    facts = details(
        {
            "id": row["id"],
            "check": row["check"],
            "subject": row["subject"],
            "status": state(row["status"]),
            "severity": row["severity"],
            "expected": row["expected"],
            "actual": row["actual"],
            "amount": _amount(row),
            "owner": row["owner"],
            "due": row["due_at"],
            "first seen": row["first_seen_at"],
            "last seen": row["last_seen_at"],
            "healed by": row["heal_action"],
            "with": row["heal_reference"],
        }
    )
    return page([facts, section("History", table(row["history"], _HISTORY, empty="None."))])


def _amount(row: Row) -> Text | None:
    return None if row["currency"] is None else money(row["amount_minor"], row["currency"])


_ROWS = (
    Column("ID", "id"),
    Column("CHECK", "check"),
    Column("SUBJECT", "subject", flexible=True),
    Column("SEVERITY", "severity"),
    Column("AMOUNT", _amount, right=True, wide=True),
    Column("SINCE", lambda row: brief(row["first_seen_at"])),
    Column("STATUS", lambda row: state(row["status"])),
)
_HISTORY = (
    Column("AT", "at"),
    Column("WHAT", "action"),
    Column("BY", "actor"),
    Column("WHY", "note", flexible=True),
)
