"""``tillbell programs``: whether a merchant has resellers, and what they get by default."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from engine import programs
from worker.cli.opening import reading, writing
from worker.cli.options import Json
from worker.cli.output import Row, details, emit, money, with_money

app = typer.Typer(rich_markup_mode=None)

TenantId = Annotated[
    str, typer.Argument(help="The merchant's tenant id.", metavar="TENANT", show_default=False)
]


@app.command()
def show(tenant_id: TenantId, *, as_json: Json = False) -> None:
    """Show a merchant's reseller program."""
    with reading() as connection:
        program = programs.show(connection, tenant_id)
    _emit(program, as_json=as_json)


@app.command()
def update(
    tenant_id: TenantId,
    *,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Switch it on or off.")
    ] = None,
    mode: Annotated[str | None, typer.Option(help=" or ".join(programs.MODES), metavar="M")] = None,
    commission: Annotated[
        str | None, typer.Option(help="Of a sale a reseller brought, in percent.", metavar="P")
    ] = None,
    discount: Annotated[
        str | None, typer.Option(help="Off the retail price of stock, in percent.", metavar="P")
    ] = None,
    min_payout: Annotated[
        str | None,
        typer.Option(help="The smallest commission it pays at a time.", metavar="AMOUNT"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change what is given of a merchant's reseller program."""
    fields = {
        "is_enabled": enabled,
        "default_mode": mode,
        "default_commission_percent": commission,
        "default_wholesale_discount_percent": discount,
        "min_payout_threshold": min_payout,
    }
    changes = {name: value for name, value in fields.items() if value is not None}
    with writing() as (_, work):
        program = programs.update(work, tenant_id, changes)
    _emit(program, as_json=as_json)


def percent(value: Any) -> str | None:
    """Return a percentage for people."""
    return None if value is None else f"{value.normalize():f} %"


def _emit(program: Row, *, as_json: bool) -> None:
    facts = details(
        {
            "merchant": program["tenant_id"],
            "switched on": program["is_enabled"],
            "mode": program["default_mode"],
            "commission": percent(program["default_commission_percent"]),
            "wholesale discount": percent(program["default_wholesale_discount_percent"]),
            "smallest payout": money(program["min_payout_threshold_minor"], program["currency"]),
            "updated": program["updated_at"],
        }
    )
    emit(with_money(program), facts, as_json=as_json)
