"""``tillbell wallets``: what a tenant has, and when it is warned."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import tenants, wallets
from engine.money import parse_amount
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Row, details, emit, money, state

app = typer.Typer(rich_markup_mode=None)

TenantId = Annotated[
    str, typer.Argument(help="The tenant's id.", metavar="TENANT", show_default=False)
]


@app.command()
def show(tenant_id: TenantId, *, as_json: Json = False) -> None:
    """Show a tenant's wallet."""
    with reading() as connection:
        wallet = wallets.show(connection, tenant_id)
    _emit(wallet, as_json=as_json)


@app.command("top-up")
def top_up(
    tenant_id: TenantId,
    amount: Annotated[
        str, typer.Argument(help="Such as 500 or 99.50.", metavar="AMOUNT", show_default=False)
    ],
    *,
    reference: Annotated[
        str | None,
        typer.Option(help="Names the payment; under one reference money is added once."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add money to a wallet."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        amount_minor = parse_amount(amount, currency)
        wallet = wallets.top_up(work, tenant_id, amount_minor, reference=reference)
    _emit(wallet, as_json=as_json)


@app.command()
def threshold(
    tenant_id: TenantId,
    amount: Annotated[
        str | None,
        typer.Argument(help="Such as 1000.", metavar="[AMOUNT]", show_default=False),
    ] = None,
    *,
    off: Annotated[bool, typer.Option("--off", help="Warn no more.")] = False,
    as_json: Json = False,
) -> None:
    """Set below which available balance the tenant hears wallet.low_balance."""
    if (amount is None) is not off:
        raise typer.BadParameter("give either an amount or --off")
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        minor = None if amount is None else parse_amount(amount, currency, field="threshold")
        wallet = wallets.set_threshold(work, tenant_id, minor)
    _emit(wallet, as_json=as_json)


def _emit(wallet: Row, *, as_json: bool) -> None:
    def shown(name: str) -> object:
        return money(wallet[f"{name}_minor"], wallet["currency"])

    facts = details(
        {
            "tenant": wallet["tenant_id"],
            "balance": shown("balance"),
            "available": shown("available_balance"),
            "may spend": shown("spendable"),
            "credit limit": shown("credit_limit"),
            "will come": shown("pending_credits"),
            "will leave": shown("pending_debits"),
            "earned in all": shown("total_earned"),
            "paid in all": shown("total_paid_out"),
            "warned below": shown("low_threshold"),
            "level": state(wallet["low_state"]),
            "last settlement": wallet["last_settlement_at"],
        }
    )
    emit(wallet, facts, as_json=as_json)
