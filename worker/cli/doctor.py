"""``tillbell doctor``: what is wrong with this installation, and how to mend it."""

from __future__ import annotations

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from config.log import configure_logging
from worker.cli.options import Json
from worker.cli.output import STYLES, emit
from worker.doctor import FAIL, Diagnosis, examine

MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


def doctor(*, as_json: Json = False) -> None:
    """Look over settings, broker, database, clock, schema, keys and backlog; exit code 1 on ✗."""
    configure_logging(log_format="console", level="error")
    found = list(examine())
    failed = any(each.status == FAIL for each in found)
    document = {"ok": not failed, "data": found}
    emit(document, _view(found), as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _view(found: list[Diagnosis]) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for each in found:
        words = Text(each.message)
        if each.mend is not None:
            words.append(f"\n→ {each.mend}", style="yellow")
        made.add_row(Text(MARKS[each.status], style=STYLES[each.status]), each.check, words)
    return made
