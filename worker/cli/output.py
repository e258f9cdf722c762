"""What a command answers: one JSON document for programs, a table for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import typer
from rich import box
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from engine.money import format_amount, money_fields
from worker.cli.moments import moment

Row = Mapping[str, Any]

#: From this width on, and where nothing says how wide it is, tables show their wide columns.
WIDE_COLUMNS = 150
STYLES = {
    "succeeded": "green",
    "active": "green",
    "ok": "green",
    "completed": "green",
    "delivered": "green",
    "paused": "yellow",
    "retrying": "yellow",
    "warn": "yellow",
    "low": "yellow",
    "running": "yellow",
    "requested": "yellow",
    "approved": "yellow",
    "open": "yellow",
    "settled": "green",
    "short": "yellow",
    "disputed": "yellow",
    "overdue": "red",
    "failed": "red",
    "fail": "red",
    "disabled": "red",
    "rejected": "red",
    "cancelled": "dim",
    "returned": "dim",
    "reversed": "dim",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: a name of the row, or a function of it.

    A ``wide`` column is left out where the terminal is narrow, a ``flexible`` one is folded there,
    a ``right`` one is a number. What is not flexible, such as an id, is always shown in full.
    """

    title: str
    value: str | Callable[[Row], RenderableType | None]
    wide: bool = False
    flexible: bool = False
    right: bool = False

    def cell(self, row: Row) -> RenderableType:
        """Return what this column shows of ``row``; nothing is a dash."""
        found = row[self.value] if isinstance(self.value, str) else self.value(row)
        return plain(found)


def emit(document: object, view: RenderableType, *, as_json: bool) -> None:
    """Answer a command on standard output: ``document`` as JSON, or ``view`` for people."""
    if as_json:
        typer.echo(to_json(document, indent=sys.stdout.isatty()))
    else:
        console().print(view)


def to_json(document: object, *, indent: bool = False) -> bytes:
    """Return the document as JSON: instants in UTC with ``Z``, decimals as exact numbers."""
    options = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | (orjson.OPT_INDENT_2 if indent else 0)
    return orjson.dumps(document, default=_exact, option=options)


def console(*, error: bool = False) -> Console:
    """Return the terminal, or a wide page where the output goes to a file or a pipe."""
    return Console(
        width=shutil.get_terminal_size((WIDE_COLUMNS, 24)).columns,
        markup=False,
        highlight=False,
        emoji=False,
        stderr=error,
    )


def table(rows: Sequence[Row], columns: Sequence[Column], *, empty: str) -> RenderableType:
    """Return the rows as a table, or the sentence ``empty`` where there are none."""
    if not rows:
        return Text(empty, style="dim")
    width = console().width
    shown = [column for column in columns if width >= WIDE_COLUMNS or not column.wide]
    made = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        header_style="bold",
    )
    for column in shown:
        justify: JustifyMethod = "right" if column.right else "left"
        made.add_column(column.title, justify=justify, overflow="fold", no_wrap=not column.flexible)
    for row in rows:
        made.add_row(*(column.cell(row) for column in shown))
    return made


def details(facts: Mapping[str, Any]) -> RenderableType:
    """Return named facts, one a line; nothing is a dash."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in facts.items():
        made.add_row(name, plain(value))
    return made


def section(title: str, content: RenderableType) -> RenderableType:
    """Return content under a heading, apart from what stands above."""
    return Group("", Text(title, style="bold"), content)


def more(found: Row) -> list[RenderableType]:
    """Return the line that says how to go on, where a page is not the last."""
    if found["next_cursor"] is None:
        return []
    return [Text(f"More: --after {found['next_cursor']}", style="dim")]


def progress() -> Progress:
    """Return a display of long work on standard error, seen only at a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(error=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


def page(parts: Iterable[RenderableType]) -> RenderableType:
    """Return parts below one another."""
    return Group(*parts)


def plain(value: object) -> RenderableType:
    """Return a cell for any value; text of others is never read as markup."""
    if value is None or value == "":
        return Text("-", style="dim")
    if isinstance(value, datetime):
        return moment(value, datetime.now(UTC))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, str | int | float | Decimal):
        return Text(str(value))
    if isinstance(value, Mapping | list | tuple):
        return Text(to_json(value).decode())
    return value  # type: ignore[return-value]  # what is left is a renderable


def state(value: str) -> Text:
    """Return a state in the colour of what it means."""
    return Text(value, style=STYLES.get(value, ""))


def money(amount_minor: int | None, currency: str) -> Text | None:
    """Return an amount for people, such as ``25,000.00 INR``."""
    if amount_minor is None:
        return None
    return Text(f"{Decimal(format_amount(amount_minor, currency)):,} {currency}")


def with_money(row: Row, **names: str) -> dict[str, Any]:
    """Return a row whose ``…_minor`` amounts have decimal twins; ``names`` renames a pair."""
    document: dict[str, Any] = {}
    for column, value in row.items():
        if not column.endswith("_minor"):
            document[column] = value
            continue
        name = column.removesuffix("_minor")
        document |= money_fields(row["currency"], **{names.get(name, name): value})
    return document


def _exact(value: object) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value.normalize():f}")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)
