"""``tillbell settlements``: what cash on delivery did to the books, and what is owed."""

from __future__ import annotations

from typing import Annotated

import typer

from engine import (
    cash_collections,
    differences,
    remittance_views,
    settlement_books,
    settlement_views,
)
from engine.database import database_now
from engine.periods import PERIODS
from worker.cli.ageing import ageing
from worker.cli.opening import reading, writing
from worker.cli.options import After, FromDate, Json, Limit, OfTenant, Tenant, ToDate
from worker.cli.output import emit
from worker.cli.settlement_display import (
    books_page,
    collection_page,
    collections_page,
    pending_page,
    statistics_page,
    summary_page,
)

app = typer.Typer(rich_markup_mode=None)
app.command()(ageing)

Period = Annotated[str, typer.Option(help=f"The running {', '.join(PERIODS)}.", metavar="P")]


@app.command()
def show(
    order_id: Annotated[
        str, typer.Argument(help="The order's id.", metavar="ORDER", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show what an order did to the books of each level, transaction by transaction."""
    with reading() as connection:
        found = settlement_books.show(connection, order_id)
    emit(found, books_page(found), as_json=as_json)


@app.command()
def summary(*, tenant: Tenant, period: Period = "month", as_json: Json = False) -> None:
    """Show a tenant's collections, remittances and earnings of a period."""
    with reading() as connection:
        found = settlement_views.summary(
            connection, tenant, database_now(connection), period=period
        )
    emit(found, summary_page(found["summary"]), as_json=as_json)


@app.command()
def pending(*, tenant: Tenant, as_json: Json = False) -> None:
    """Show what a tenant has to pay and will receive."""
    with reading() as connection:
        found = remittance_views.pending(connection, tenant)
    emit(found, pending_page(found), as_json=as_json)


@app.command()
def collections(
    *,
    tenant: OfTenant = None,
    status: Annotated[
        str | None, typer.Option(help=f"{', '.join(cash_collections.STATUSES)}.", metavar="S")
    ] = None,
    flow_type: Annotated[
        str | None, typer.Option(help=" or ".join(cash_collections.FLOW_TYPES), metavar="F")
    ] = None,
    from_date: FromDate = None,
    to_date: ToDate = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List the cash collected on delivery, newest first."""
    with reading() as connection:
        found = cash_collections.history(
            connection,
            tenant_id=tenant,
            status=status,
            flow_type=flow_type,
            from_date=from_date,
            to_date=to_date,
            limit=limit,
            after=after,
        )
    emit(found, collections_page(found), as_json=as_json)


@app.command()
def resolve(
    collection_id: Annotated[
        str, typer.Argument(help="The collection's id.", metavar="ID", show_default=False)
    ],
    *,
    decision: Annotated[
        str,
        typer.Option(
            help="recovered: the cash is right again; borne: it is a loss or a gain.", metavar="D"
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why.", metavar="R")],
    borne_by: Annotated[
        str | None,
        typer.Option(help="Whose loss or gain; the collector's unless told.", metavar="TENANT"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide what becomes of cash that was missing or too much."""
    with writing() as (_, work):
        found = differences.resolve(
            work, collection_id, decision=decision, reason=reason, borne_by=borne_by
        )
    emit(found, collection_page(found), as_json=as_json)


@app.command()
def statistics(*, tenant: Tenant, period: Period = "month", as_json: Json = False) -> None:
    """Show what a whole platform collected and owes; the tenant is its owner."""
    with reading() as connection:
        found = settlement_views.statistics(
            connection, tenant, database_now(connection), period=period
        )
    emit(found, statistics_page(found), as_json=as_json)
