"""``tillbell remittances``: what one tenant owes another, and paying it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import remittance_views, remittances
from worker.cli.due_dates import ladder, reschedule
from worker.cli.moments import brief
from worker.cli.opening import opened, operator, reading, writing
from worker.cli.options import After, FromDate, Json, Limit, OfTenant, ToDate
from worker.cli.output import Column, Row, details, emit, money, more, page, table, with_money
from worker.cli.settlement_display import status as shown_status

app = typer.Typer(rich_markup_mode=None)
app.add_typer(ladder, name="ladder", help="When remittances are told of as due and overdue.")
app.command("reschedule")(reschedule)

Id = Annotated[str, typer.Argument(help="The remittance's id.", metavar="ID", show_default=False)]
Acting = Annotated[
    str | None, typer.Option("--tenant", help="Who pays; it must be the payer.", metavar="ID")
]


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    direction: Annotated[
        str | None, typer.Option(help=" or ".join(remittance_views.DIRECTIONS), metavar="D")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help=" or ".join(remittance_views.STATUSES), metavar="S")
    ] = None,
    order: Annotated[
        str | None, typer.Option(help="Only of this order, next to the cash first.", metavar="ID")
    ] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only past their due date.")] = False,
    from_date: FromDate = None,
    to_date: ToDate = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List remittances, newest first."""
    if direction is not None and tenant is None:
        raise typer.BadParameter("--direction needs --tenant ID, whose direction it is")
    with reading() as connection:
        if order is not None:
            rows = remittances.listing(connection, order_id=order, status=status, overdue=overdue)
            seen = remittance_views.seen(connection, rows, tenant)
            found: dict[str, Any] = {"data": seen, "next_cursor": None}
        else:
            found = remittance_views.history(
                connection,
                tenant_id=tenant,
                status=status,
                direction=direction,
                overdue=overdue,
                from_date=from_date,
                to_date=to_date,
                limit=limit,
                after=after,
            )
    none = "No remittances: one is made when an order is delivered."
    emit(found, page([table(found["data"], _COLUMNS, empty=none), *more(found)]), as_json=as_json)


@app.command()
def show(remittance_id: Id, *, as_json: Json = False) -> None:
    """Show one remittance."""
    with reading() as connection:
        row = remittances.get(connection, remittance_id)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command()
def process(remittance_id: Id, *, tenant: Acting = None, as_json: Json = False) -> None:
    """Pay a pending remittance from the payer's wallet."""
    with writing() as (_, work):
        found = remittances.process(work, remittance_id, tenant_id=tenant)
    row = found["remittance"]
    emit({**found, "remittance": with_money(row)}, _facts(row, found["wallet"]), as_json=as_json)


@app.command("bulk-process")
def bulk_process(
    remittance_ids: Annotated[
        list[str], typer.Argument(help="The remittances' ids.", metavar="ID...", show_default=False)
    ],
    *,
    tenant: Acting = None,
    as_json: Json = False,
) -> None:
    """Pay several remittances, each on its own; the exit code is 1 when one was refused."""
    with opened() as application:
        found = remittances.bulk_process(
            application.units, remittance_ids, actor=operator(), tenant_id=tenant
        )
    rows = [{"id": key, "result": "completed", "code": None} for key in found["processed"]]
    rows += [
        {"id": key, "result": message, "code": found["codes"][key]}
        for key, message in found["errors"].items()
    ]
    emit(found, page([table(rows, _RESULTS, empty=""), found["message"]]), as_json=as_json)
    if found["errors"]:
        raise typer.Exit(1)


def _facts(row: Row, wallet: Row | None = None) -> RenderableType:
    balance = None if wallet is None else money(wallet["new_balance_minor"], row["currency"])
    return details(
        {
            "id": row["id"],
            "order": row["chain_order_id"],
            "payer": row["payer_id"],
            "payee": row["payee_id"],
            "amount": money(row["amount_minor"], row["currency"]),
            "for": row["reason"],
            "status": shown_status(row),
            "due": row["due_at"],
            "overdue since": row["overdue_since"],
            "created": row["created_at"],
            "completed": row["completed_at"],
            **({} if balance is None else {"payer has now": balance}),
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
    Column("STATUS", shown_status),
    Column("DUE", lambda row: brief(row["due_at"])),
    Column("", lambda row: Text("to" if row["direction"] == "outgoing" else "from")),
    Column("WITH", "counterparty_name", flexible=True),
    Column("PAYER", "payer_id", wide=True),
    Column("PAYEE", "payee_id", wide=True),
    Column("ORDER", "origin_order_number", wide=True),
)
_RESULTS = (
    Column("ID", "id"),
    Column("RESULT", "result", flexible=True),
    Column("CODE", "code"),
)
