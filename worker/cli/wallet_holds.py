"""``tillbell wallets hold | release | capture | holds``: money set aside by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from engine import tenants, wallet_holds
from engine.money import parse_amount
from worker.cli.moments import brief, future
from worker.cli.opening import reading, writing
from worker.cli.options import By, IdempotencyKey, Json
from worker.cli.output import Column, Row, details, emit, money, state, table, with_money

TenantId = Annotated[
    str, typer.Argument(help="The tenant's id.", metavar="TENANT", show_default=False)
]
HoldId = Annotated[str, typer.Argument(help="The hold's id.", metavar="HOLD", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why; the statement shows it.", metavar="TEXT")]


def hold(
    tenant_id: TenantId,
    amount: Annotated[
        str, typer.Argument(help="Such as 500 or 99.50.", metavar="AMOUNT", show_default=False)
    ],
    *,
    reason: Reason,
    expires: Annotated[
        datetime | None,
        typer.Option(
            parser=future, help="Free it then: 2026-03-02T09:30:00Z, or 7d ahead.", metavar="ISO"
        ),
    ] = None,
    idempotency_key: IdempotencyKey = None,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Set money of a wallet aside."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        row = wallet_holds.hold(
            work,
            tenant_id,
            parse_amount(amount, currency),
            reason=reason,
            expires_at=expires,
            idempotency_key=idempotency_key,
            by=by,
        )
    _emit(row, as_json=as_json)


def release(
    hold_id: HoldId,
    *,
    reason: Reason,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Free what was set aside by hand."""
    with writing() as (_, work):
        row = wallet_holds.release(work, hold_id, reason=reason, by=by)
    _emit(row, as_json=as_json)


def capture(
    hold_id: HoldId,
    amount: Annotated[
        str | None,
        typer.Argument(help="All of it unless told.", metavar="[AMOUNT]", show_default=False),
    ] = None,
    *,
    reason: Reason,
    by: By = None,
    as_json: Json = False,
) -> None:
    """Take what was set aside by hand as a fee; what is not taken is free again."""
    with writing() as (_, work):
        currency = wallet_holds.get(work.connection, hold_id)["currency"]
        amount_minor = None if amount is None else parse_amount(amount, currency)
        row = wallet_holds.capture(work, hold_id, amount_minor, reason=reason, by=by)
    _emit(row, as_json=as_json)


def holds(tenant_id: TenantId, *, as_json: Json = False) -> None:
    """List what is set aside in a wallet now, for whatever reason, oldest first."""
    with reading() as connection:
        rows = wallet_holds.open_holds(connection, tenant_id)
    view = table(rows, _COLUMNS, empty="Nothing is set aside.")
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


def _emit(row: Row, *, as_json: bool) -> None:
    facts = details(
        {
            "id": row["id"],
            "tenant": row["payer_id"],
            "amount": money(row["amount_minor"], row["currency"]),
            "status": state(row["status"]),
            "reason": row["note"],
            "created": row["created_at"],
            "expires": row["expires_at"],
            "closed": row["closed_at"],
        }
    )
    emit(with_money(row), facts, as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("AMOUNT", lambda row: money(row["amount_minor"], row["currency"]), right=True),
    Column("FOR", "reason"),
    Column("EXPIRES", lambda row: brief(row["expires_at"])),
    Column("REASON", "note", flexible=True),
    Column("REFERENCE", "reference_id", wide=True),
)
