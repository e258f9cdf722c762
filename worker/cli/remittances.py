"""``tillbell remittances``: what one tenant owes another, and paying it."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from engine import remittances
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, OfTenant
from worker.cli.output import Column, Row, details, emit, money, state, table, with_money

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The remittance's id.", metavar="ID", show_default=False)]


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    direction: Annotated[
        str | None, typer.Option(help=" or ".join(remittances.DIRECTIONS), metavar="D")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help=" or ".join(remittances.STATUSES), metavar="S")
    ] = None,
    order: Annotated[str | None, typer.Option(help="Only of this order.", metavar="ID")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only past their due date.")] = False,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List remittances, oldest first."""
    if direction is not None and tenant is None:
        raise typer.BadParameter("--direction needs --tenant ID, whose direction it is")
    with reading() as connection:
        rows = remittances.listing(
            connection,
            tenant_id=tenant,
            status=status,
            direction=direction,
            order_id=order,
            overdue=overdue,
            limit=limit,
        )
    view = table(rows, _COLUMNS, empty="No remittances: one is made when an order is delivered.")
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


@app.command()
def show(remittance_id: Id, *, as_json: Json = False) -> None:
    """Show one remittance."""
    with reading() as connection:
        row = remittances.get(connection, remittance_id)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command()
def process(remittance_id: Id, *, as_json: Json = False) -> None:
    """Pay a pending remittance from the payer's wallet."""
    with writing() as (_, work):
        found = remittances.process(work, remittance_id)
    row = found["remittance"]
    emit({**found, "remittance": with_money(row)}, _facts(row, found["wallet"]), as_json=as_json)


def _facts(row: Row, wallet: Row | None = None) -> RenderableType:
    balance = None if wallet is None else money(wallet["new_balance_minor"], row["currency"])
    return details(
        {
            "id": row["id"],
            "order": row["chain_order_id"],
            "payer": row["payer_id"],
            "payee": row["payee_id"],
            "amount": money(row["amount_minor"], row["currency"]),
            "status": _status(row),
            "due": row["due_at"],
            "overdue since": row["overdue_since"],
            "created": row["created_at"],
            "completed": row["completed_at"],
            **({} if balance is None else {"payer has now": balance}),
        }
    )


def _status(row: Row) -> Text:
    late = row["status"] == "pending" and row["overdue_since"] is not None
    return state("overdue" if late else row["status"])


_COLUMNS = (
    Column("ID", "id"),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
    Column("STATUS", _status),
    Column("DUE", lambda row: brief(row["due_at"])),
    Column("PAYER", "payer_id", wide=True),
    Column("PAYEE", "payee_id", wide=True),
    Column("ORDER", "chain_order_id", wide=True),
)
