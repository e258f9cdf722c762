"""``tillbell wallets``: what a tenant has, may spend, and when it is warned."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import tenants, wallet_levels, wallets
from engine.money import parse_amount
from worker.cli import wallet_holds, wallet_transactions
from worker.cli.opening import reading, writing
from worker.cli.options import By, IdempotencyKey, Json
from worker.cli.output import Row, details, emit, money, state

app = typer.Typer(rich_markup_mode=None)

TenantId = Annotated[
    str, typer.Argument(help="The tenant's id.", metavar="TENANT", show_default=False)
]
Amount = Annotated[
    str, typer.Argument(help="Such as 500 or 99.50.", metavar="AMOUNT", show_default=False)
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
    amount: Amount,
    *,
    reference: Annotated[
        str | None,
        typer.Option(help="Names the payment; under one reference money is added once."),
    ] = None,
    idempotency_key: IdempotencyKey = None,
    as_json: Json = False,
) -> None:
    """Add money to a wallet."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        wallet = wallets.top_up(
            work,
            tenant_id,
            parse_amount(amount, currency),
            reference=reference,
            idempotency_key=idempotency_key,
        )
    _emit(wallet, as_json=as_json)


@app.command()
def threshold(
    tenant_id: TenantId,
    amount: Annotated[
        str | None,
        typer.Argument(help="Such as 1000.", metavar="[AMOUNT]", show_default=False),
    ] = None,
    *,
    rearm: Annotated[
        str | None,
        typer.Option(help="Where it has recovered; else 10 % above.", metavar="AMOUNT"),
    ] = None,
    watch: Annotated[
        str | None,
        typer.Option(help="What is compared: " + " or ".join(wallet_levels.WATCHES), metavar="F"),
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Warn no more.")] = False,
    as_json: Json = False,
) -> None:
    """Set below which balance the tenant hears wallet.low_balance."""
    if (amount is None) is not off:
        raise typer.BadParameter("give either an amount or --off")
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        wallet = wallets.set_threshold(
            work,
            tenant_id,
            None if amount is None else parse_amount(amount, currency, field="threshold"),
            rearm_minor=None if rearm is None else parse_amount(rearm, currency, field="rearm"),
            watch=watch,
        )
    _emit(wallet, as_json=as_json)


@app.command("credit-limit")
def credit_limit(
    tenant_id: TenantId, amount: Amount, *, by: By = None, as_json: Json = False
) -> None:
    """Set how far below zero a wallet may be spent."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        limit_minor = parse_amount(amount, currency, field="credit_limit")
        wallet = wallets.set_credit_limit(work, tenant_id, limit_minor, by=by)
    _emit(wallet, as_json=as_json)


@app.command("min-payout")
def min_payout(
    tenant_id: TenantId, amount: Amount, *, by: By = None, as_json: Json = False
) -> None:
    """Set below which no payout of a wallet is made."""
    with writing() as (_, work):
        currency = tenants.get(work.connection, tenant_id)["currency"]
        minimum_minor = parse_amount(amount, currency, field="min_payout")
        wallet = wallets.set_min_payout(work, tenant_id, minimum_minor, by=by)
    _emit(wallet, as_json=as_json)


for command in (
    wallet_holds.hold,
    wallet_holds.release,
    wallet_holds.capture,
    wallet_holds.holds,
    wallet_transactions.transactions,
    wallet_transactions.transaction,
    wallet_transactions.summary,
    wallet_transactions.export,
):
    app.command()(command)


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
            "smallest payout": shown("min_payout"),
            "warned below": shown("low_threshold"),
            "well again from": shown("rearm_level"),
            "level": state(wallet["low_state"]),
            "last settlement": wallet["last_settlement_at"],
        }
    )
    emit(wallet, facts, as_json=as_json)
