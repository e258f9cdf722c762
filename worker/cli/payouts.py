"""``tillbell payouts``: money from a wallet to its owner's bank."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import RenderableType

from engine import payouts, tenants
from engine.money import parse_amount
from engine.payout_states import STATUSES
from worker.cli.moments import brief
from worker.cli.opening import reading, writing
from worker.cli.options import After, By, IdempotencyKey, Json, Limit, OfTenant
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    more,
    page,
    state,
    table,
    with_money,
)

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The payout's id.", metavar="ID", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; both sides read it.", metavar="TEXT")]


@app.command()
def request(
    tenant_id: Annotated[
        str, typer.Argument(help="Whose wallet.", metavar="TENANT", show_default=False)
    ],
    amount: Annotated[
        str, typer.Argument(help="Such as 500 or 99.50.", metavar="AMOUNT", show_default=False)
    ],
    *,
    method: Annotated[str, typer.Option(help="How it is to be paid.")] = "bank_transfer",
    idempotency_key: IdempotencyKey = None,
    as_json: Json = False,
) -> None:
    """Ask for money; it is set aside until the payout is decided."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        row = payouts.request(
            work,
            tenant_id,
            parse_amount(amount, currency),
            method=method,
            idempotency_key=idempotency_key,
        )
    _emit(row, as_json=as_json)


@app.command()
def approve(payout_id: Id, *, by: By = None, as_json: Json = False) -> None:
    """Promise to pay it."""
    with writing() as (_, work):
        row = payouts.approve(work, payout_id, by=by)
    _emit(row, as_json=as_json)


@app.command()
def reject(payout_id: Id, *, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Refuse to pay it; its money is free again."""
    with writing() as (_, work):
        row = payouts.reject(work, payout_id, reason=reason, by=by)
    _emit(row, as_json=as_json)


@app.command()
def complete(
    payout_id: Id,
    *,
    reference: Annotated[str, typer.Option(help="The bank's name of the payment.", metavar="TEXT")],
    by: By = None,
    as_json: Json = False,
) -> None:
    """Record that the bank paid; the money leaves the wallet."""
    with writing() as (_, work):
        row = payouts.complete(work, payout_id, reference=reference, by=by)
    _emit(row, as_json=as_json)


@app.command()
def cancel(payout_id: Id, *, reason: Reason, by: By = None, as_json: Json = False) -> None:
    """Call it off before it is paid; its money is free again."""
    with writing() as (_, work):
        row = payouts.cancel(work, payout_id, reason=reason, by=by)
    _emit(row, as_json=as_json)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    status: Annotated[str | None, typer.Option(help=", ".join(STATUSES), metavar="S")] = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List payouts, newest first; of a platform those of its whole tree."""
    with reading() as connection:
        found = payouts.listing(
            connection, tenant_id=tenant, status=status, limit=limit, after=after
        )
    empty = "No payouts: tillbell payouts request TENANT AMOUNT"
    view = page([table(found["data"], _COLUMNS, empty=empty), *more(found)])
    emit({**found, "data": [with_money(row) for row in found["data"]]}, view, as_json=as_json)


@app.command()
def show(payout_id: Id, *, as_json: Json = False) -> None:
    """Show one payout."""
    with reading() as connection:
        row = payouts.get(connection, payout_id)
    _emit(row, as_json=as_json)


def _emit(row: Row, *, as_json: bool) -> None:
    emit(with_money(row), _facts(row), as_json=as_json)


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "tenant": row["tenant_id"],
            "amount": money(row["amount_minor"], row["currency"]),
            "method": row["method"],
            "status": state(row["status"]),
            "reason": row["reason"],
            "reference": row["reference"],
            "requested": row["created_at"],
            "approved": row["approved_at"],
            "closed": row["closed_at"],
            "requested by": row["requested_by"],
            "decided by": row["decided_by"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("REQUESTED", lambda row: brief(row["created_at"])),
    Column("TENANT", "tenant_id", wide=True),
    Column("REFERENCE", "reference", wide=True),
)
