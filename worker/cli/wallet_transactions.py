"""``tillbell wallets transactions | transaction | summary | export``: a wallet's statement."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.text import Text

from engine import wallet_export, wallet_summary, wallet_transactions
from engine.periods import PERIODS
from engine.wallet_statement import TYPES
from engine.wallet_transactions import Filters
from worker.cli.moments import brief, calendar_day
from worker.cli.opening import opened, reading
from worker.cli.options import After, Json, Limit
from worker.cli.output import Column, Row, details, emit, money, more, page, section, table

TenantId = Annotated[
    str, typer.Argument(help="The tenant's id.", metavar="TENANT", show_default=False)
]
OfKind = Annotated[str | None, typer.Option("--type", help=", ".join(TYPES), metavar="T")]
OfReference = Annotated[
    str | None,
    typer.Option("--reference-type", help="Such as chain_order or remittance.", metavar="R"),
]
FromDate = Annotated[
    date | None,
    typer.Option("--from", parser=calendar_day, help="From this day on.", metavar="DATE"),
]
ToDate = Annotated[
    date | None,
    typer.Option("--to", parser=calendar_day, help="Up to the end of this day.", metavar="DATE"),
]


def transactions(
    tenant_id: TenantId,
    *,
    kind: OfKind = None,
    reference_type: OfReference = None,
    from_date: FromDate = None,
    to_date: ToDate = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List what came, left, was set aside or freed, newest first."""
    filters = Filters(
        type=kind, reference_type=reference_type, from_date=from_date, to_date=to_date
    )
    with reading() as connection:
        found = wallet_transactions.listing(
            connection, tenant_id, filters, limit=limit, after=after
        )
    view = page([table(found["data"], _COLUMNS, empty="No such transactions."), *more(found)])
    emit(found, view, as_json=as_json)


def transaction(
    line_id: Annotated[
        str, typer.Argument(help="The transaction's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one transaction of a wallet."""
    with reading() as connection:
        line = wallet_transactions.get(connection, line_id)
    facts = details(
        {
            "id": line["id"],
            "tenant": line["tenant_id"],
            "type": line["type"],
            "amount": money(line["amount_minor"], line["currency"]),
            "for": f"{line['reference_type']} {line['reference_id']}",
            "by": line["kind"],
            "description": line["description"],
            "balance then": money(line["balance_after_minor"], line["currency"]),
            "available then": money(line["available_after_minor"], line["currency"]),
            "when": line["created_at"],
            "ledger": line["ledger_transaction_id"],
        }
    )
    emit(line, facts, as_json=as_json)


def summary(
    tenant_id: TenantId,
    *,
    period: Annotated[str, typer.Option(help=", ".join(PERIODS), metavar="P")] = "month",
    as_json: Json = False,
) -> None:
    """Show what the running week, month, quarter or year came to."""
    with opened() as application, application.database.read() as connection:
        now = application.clock.now()
        found = wallet_summary.summary(connection, tenant_id, period, now=now)
    totals = found["summary"]

    def shown(name: str) -> object:
        return money(totals[f"{name}_minor"], totals["currency"])

    facts = details(
        {
            "period": totals["period"],
            "since": totals["start_date"],
            "opened with": shown("opening_balance"),
            "came": shown("total_credits"),
            "left": shown("total_debits"),
            "balance": shown("closing_balance"),
            "will come": shown("pending_credits"),
            "will leave": shown("pending_debits"),
            "remitted to it": shown("remittances_received"),
            "remitted by it": shown("remittances_paid"),
            "net earnings": shown("net_earnings"),
        }
    )
    rows = [{**row, "currency": totals["currency"]} for row in totals["by_type"]]
    kinds = section("By type", table(rows, _KINDS, empty="Nothing moved."))
    emit(found, page([facts, kinds]), as_json=as_json)


def export(
    tenant_id: TenantId,
    *,
    kind: OfKind = None,
    reference_type: OfReference = None,
    from_date: FromDate = None,
    to_date: ToDate = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write here, not to standard output.", metavar="FILE"),
    ] = None,
) -> None:
    """Write the statement as CSV, oldest first."""
    filters = Filters(
        type=kind, reference_type=reference_type, from_date=from_date, to_date=to_date
    )
    with opened() as application:
        parts = wallet_export.export(application.database, tenant_id, filters)
        if output is None:
            _write(sys.stdout, parts)
            return
        with output.open("w", encoding="utf-8", newline="") as file:
            _write(file, parts)
    typer.echo(f"Wrote {output}.", err=True)


def _write(target: TextIO, parts: Iterable[str]) -> None:
    target.writelines(parts)
    target.flush()


def _signed(row: Row) -> Text | None:
    sign = "+" if row["type"] in {"credit", "release"} else "-"
    amount = money(row["amount_minor"], row["currency"])
    return amount and Text(sign) + amount


_COLUMNS = (
    Column("ID", "id"),
    Column("WHEN", lambda row: brief(row["created_at"])),
    Column("TYPE", "type"),
    Column("AMOUNT", _signed, right=True),
    Column("BALANCE", lambda r: money(r["balance_after_minor"], r["currency"]), right=True),
    Column(
        "AVAILABLE",
        lambda r: money(r["available_after_minor"], r["currency"]),
        right=True,
        wide=True,
    ),
    Column("FOR", "reference_type", wide=True),
    Column("DESCRIPTION", "description", wide=True, flexible=True),
)
_KINDS = (
    Column("TYPE", "type"),
    Column("FOR", "reference_type"),
    Column("COUNT", lambda row: f"{row['count']:,}", right=True),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
)
