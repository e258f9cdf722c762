"""``tillbell resellers``: invite them, bind them to a merchant, change what they get."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from engine import invitations, relationships, reseller_analytics
from worker.cli.documents import read_object
from worker.cli.moments import brief, future
from worker.cli.opening import reading, writing
from worker.cli.options import Json, Limit, OfTenant, Tenant
from worker.cli.output import (
    Column,
    Row,
    details,
    emit,
    money,
    page,
    section,
    state,
    table,
    with_money,
)
from worker.cli.programs import percent
from worker.cli.reseller_views import analytics_view

app = typer.Typer(rich_markup_mode=None)

Relationship = Annotated[
    str, typer.Argument(help="The relationship's id.", metavar="REL", show_default=False)
]
OfRelationship = Annotated[
    str | None, typer.Option("--relationship", help="Only this relationship's.", metavar="REL")
]
Mode = Annotated[str | None, typer.Option(help="affiliate, stock or both.", metavar="M")]
Commission = Annotated[str | None, typer.Option(help="Instead of the default.", metavar="P")]
DailyLimit = Annotated[int | None, typer.Option(help="Pieces a day at most.", metavar="N")]
Data = Annotated[
    str, typer.Option(help="More of document 002's fields: a JSON object or @file.", metavar="JSON")
]


@app.command()
def invite(
    *,
    tenant: Tenant,
    email: Annotated[str, typer.Option(help="Whom to invite.", metavar="EMAIL")],
    mode: Mode = None,
    commission: Commission = None,
    daily_limit: DailyLimit = None,
    expires: Annotated[
        datetime | None,
        typer.Option(parser=future, help="When it ends: an instant, or 14d ahead.", metavar="ISO"),
    ] = None,
    data: Data = "{}",
    as_json: Json = False,
) -> None:
    """Invite a reseller and show the token to accept with, this once."""
    given = _given(data, mode=mode, commission=commission, daily_limit=daily_limit)
    lifetime = invitations.LIFETIME if expires is None else expires - datetime.now(UTC)
    with writing() as (application, work):
        made = invitations.invite(
            work,
            application.guard.keyring,
            tenant,
            {**given, "email": email},
            lifetime=lifetime,
        )
    facts = {
        "token": made["token"],
        "": "It is shown this once: 'tillbell resellers accept TOKEN' makes the relationship.",
        "invitation": made["id"],
        "merchant": made["tenant_id"],
        "mode": made["mode"],
        "expires": made["expires_at"],
    }
    emit(made, details(facts), as_json=as_json)


@app.command()
def accept(
    token: Annotated[
        str, typer.Argument(help="What the invitation showed.", metavar="TOKEN", show_default=False)
    ],
    *,
    tenant: Annotated[
        str | None, typer.Option(help="The tenant that becomes the reseller.", metavar="ID")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Or a new tenant below the merchant.", metavar="N")
    ] = None,
    as_json: Json = False,
) -> None:
    """Accept an invitation: a tenant there is, or a new one, becomes the merchant's reseller."""
    with writing() as (_, work):
        row = invitations.accept(work, token, tenant_id=tenant, name=name)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command("invitations")
def listing_invitations(
    *, tenant: OfTenant = None, limit: Limit = 100, as_json: Json = False
) -> None:
    """List invitations, oldest first; never their tokens or e-mails."""
    with reading() as connection:
        rows = invitations.listing(connection, tenant_id=tenant, limit=limit)
    empty = "No invitations: tillbell resellers invite --tenant ID --email E"
    emit({"data": rows}, table(rows, _INVITATIONS, empty=empty), as_json=as_json)


@app.command()
def revoke(
    invitation: Annotated[
        str, typer.Argument(help="The invitation's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Take an open invitation back."""
    with writing() as (_, work):
        row = invitations.revoke(work, invitation)
    emit(row, details({"id": row["id"], "status": state(row["status"])}), as_json=as_json)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    status: Annotated[
        str | None, typer.Option(help=" or ".join(relationships.STATUSES), metavar="S")
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List relationships, oldest first: of a tenant as merchant and as reseller."""
    with reading() as connection:
        rows = relationships.listing(connection, tenant_id=tenant, status=status, limit=limit)
    empty = "No resellers: tillbell resellers invite --tenant ID --email E"
    view = table(rows, _COLUMNS, empty=empty)
    emit({"data": [with_money(row) for row in rows]}, view, as_json=as_json)


@app.command()
def show(relationship: Relationship, *, as_json: Json = False) -> None:
    """Show what a merchant and a reseller agreed on."""
    with reading() as connection:
        row = relationships.get(connection, relationship)
        access = relationships.access_of(connection, row["id"])
    listed = table(access, _ACCESS, empty="Every product of the merchant.")
    view = page([_facts(row), section("May sell", listed)])
    emit({**with_money(row), "product_access": access}, view, as_json=as_json)


@app.command()
def update(
    relationship: Relationship,
    *,
    mode: Mode = None,
    commission: Commission = None,
    daily_limit: DailyLimit = None,
    status: Annotated[
        str | None, typer.Option(help=" or ".join(relationships.STATUSES), metavar="S")
    ] = None,
    credit_limit: Annotated[
        str | None, typer.Option(help="How much it may owe the merchant.", metavar="AMOUNT")
    ] = None,
    terms_days: Annotated[
        int | None, typer.Option(help="Days until what it owes is due.", metavar="N")
    ] = None,
    data: Data = "{}",
    as_json: Json = False,
) -> None:
    """Change what a merchant grants a reseller; both hear reseller.updated."""
    given = _given(data, mode=mode, commission=commission, daily_limit=daily_limit)
    named = {"status": status, "credit_limit": credit_limit, "terms_days": terms_days}
    given |= {name: value for name, value in named.items() if value is not None}
    with writing() as (_, work):
        row = relationships.update(work, relationship, given)
    emit(with_money(row), _facts(row), as_json=as_json)


@app.command()
def analytics(
    relationship: Annotated[
        str | None, typer.Argument(help="One relationship.", metavar="[REL]", show_default=False)
    ] = None,
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Or all of this merchant's.", metavar="ID")
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """Show what one reseller, or all of a merchant's, brought and bought."""
    if (relationship is None) is (tenant is None):
        raise typer.BadParameter("give either a relationship or --tenant ID")
    with reading() as connection:
        found = (
            reseller_analytics.of_merchant(connection, tenant, limit=limit)
            if tenant is not None
            else reseller_analytics.of_relationship(connection, str(relationship))
        )
    emit(found, analytics_view(found), as_json=as_json)


def _given(
    data: str, *, mode: str | None, commission: str | None, daily_limit: int | None
) -> dict[str, Any]:
    """Return document 002's fields: those of ``data``, and over them those given by name."""
    named = {
        "mode": mode,
        "custom_commission_percent": commission,
        "purchase_limit_daily": daily_limit,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return {**read_object(data, field="data"), **given}


def _facts(row: Row) -> RenderableType:
    return details(
        {
            "id": row["id"],
            "merchant": row["parent_id"],
            "reseller": row["child_id"],
            "status": state(row["status"]),
            "mode": row["mode"],
            "commission": percent(row["custom_commission_percent"]) or "the default",
            "wholesale discount": percent(row["custom_wholesale_discount_percent"])
            or "the default",
            "pieces a day": row["purchase_limit_daily"],
            "credit limit": money(row["credit_limit_minor"], row["currency"]),
            "terms, days": row["terms_days"],
            "smallest payout": money(row["min_payout_threshold_minor"], row["currency"])
            or "the default",
            "since": row["created_at"],
        }
    )


_COLUMNS = (
    Column("ID", "id"),
    Column("STATUS", lambda row: state(row["status"])),
    Column("MODE", "mode"),
    Column("COMMISSION", lambda row: percent(row["custom_commission_percent"]), right=True),
    Column("SINCE", lambda row: brief(row["created_at"])),
    Column("MERCHANT", "parent_id", wide=True),
    Column("RESELLER", "child_id", wide=True),
)
_INVITATIONS = (
    Column("ID", "id"),
    Column("STATUS", lambda row: state(row["status"])),
    Column("MODE", "mode"),
    Column("EXPIRES", lambda row: brief(row["expires_at"])),
    Column("MERCHANT", "tenant_id", wide=True),
    Column("RELATIONSHIP", "relationship_id", wide=True),
)
_ACCESS = (
    Column("PRODUCT", "product_id"),
    Column("COMMISSION", lambda row: percent(row["commission_percent_override"]), right=True),
    Column("AT MOST", "max_quantity", right=True),
)
