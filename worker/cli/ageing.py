"""``tillbell settlements ageing``: how long what tenants owe each other has been due."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import ageing as debts
from engine.database import database_now
from engine.money import format_amount
from worker.cli.moments import future
from worker.cli.opening import reading
from worker.cli.options import Json, OfTenant
from worker.cli.output import Column, Row, emit, page, section, table

HEADINGS = {None: "Owed", "outgoing": "To pay", "incoming": "To receive"}
#: What a bucket is called: days past due.
TITLES = {
    "not_due": "NOT DUE",
    "0_30": "0-30",
    "31_60": "31-60",
    "61_90": "61-90",
    "91_120": "91-120",
    "over_120": "OVER 120",
}


def ageing(
    *,
    tenant: OfTenant = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=future, help="What is due then; 30d is in a month.", metavar="ISO"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is owed by days past due: 0-30, 31-60, 61-90, 91-120 and more (check K17)."""
    with reading() as connection:
        found = debts.report(connection, as_of or database_now(connection), tenant_id=tenant)
    emit(found, _view(found), as_json=as_json)


def _view(found: Row) -> RenderableType:
    """Return a table for each direction and currency, with its sum at the end."""
    as_of = Text(f"Days past due on {found['as_of']:%Y-%m-%d %H:%MZ}.", style="dim")
    if not found["totals"]:
        return page([Text("Nobody owes anything.", style="dim"), as_of])
    parts = []
    for total in found["totals"]:
        kind = (total["direction"], total["currency"])
        rows = [row for row in found["data"] if (row["direction"], row["currency"]) == kind]
        heading = f"{HEADINGS[total['direction']]}, {total['currency']}"
        parts.append(section(heading, table([*rows, total], _COLUMNS, empty="")))
    return page([as_of, *parts])


def _amount(name: str) -> Column:
    def shown(row: Row) -> RenderableType | None:
        """Return the amount without its currency, which the heading names; nothing is a dash."""
        amount_minor = row[f"{name}_minor"]
        if not amount_minor:
            return None
        text = Text(f"{Decimal(format_amount(amount_minor, row['currency'])):,}")
        return text if "payer_id" in row else Text(text.plain, style="bold")

    return Column(TITLES.get(name, "TOTAL"), shown, right=True)


_COLUMNS = (
    Column("PAYER", lambda row: Text(row.get("payer_name", "All")), flexible=True),
    Column("PAYEE", lambda row: Text(row.get("payee_name", "")), flexible=True),
    *(_amount(name) for name in debts.BUCKETS),
    _amount("total"),
)
