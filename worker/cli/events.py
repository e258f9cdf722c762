"""``tillbell events``: what happened; publish it, look at it, follow it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from dispatcher import deliveries, feed
from dispatcher.subscriptions import register_type
from engine import catalogue, tenants
from worker.cli.delivery_views import delivery_table
from worker.cli.documents import read_object
from worker.cli.endpoint_limits import policy
from worker.cli.feed_views import emit_feed
from worker.cli.moments import brief
from worker.cli.opening import opened, reading, writing
from worker.cli.options import After, Json, Limit, OfTenant, OfType, Tenant
from worker.cli.output import Column, details, emit, more, page, section, table, to_json
from worker.cli.publishing import publish_events
from worker.cli.tail import follow

app = typer.Typer(rich_markup_mode=None)
app.command()(policy)


@app.command()
def publish(
    *,
    tenant: Tenant,
    type_name: Annotated[str, typer.Option("--type", help="What happened.", metavar="TYPE")],
    data: Annotated[
        str, typer.Option(help="A JSON object, or @file, or @- for standard input.")
    ] = "{}",
    dedupe_key: Annotated[
        str | None,
        typer.Option(help="Publishing twice under one key is one event.", metavar="K"),
    ] = None,
    count: Annotated[
        int, typer.Option(help="How many; keys become K-1 to K-N.", metavar="N", min=1)
    ] = 1,
    as_json: Json = False,
) -> None:
    """Raise an event for a tenant, or many of the same."""
    document = read_object(data, field="data")
    with opened() as application:
        ids = publish_events(
            application,
            tenant_id=tenant,
            type_name=type_name,
            data=document,
            dedupe_key=dedupe_key,
            count=count,
        )
        with application.database.read() as connection:
            event = deliveries.event_show(connection, ids[0])
    if count > 1:
        emit({"data": ids}, Text(f"Published {count:,} events of {type_name}."), as_json=as_json)
        return
    del event["deliveries"]
    emit(event, details({"id": event["id"], "type": event["type"]}), as_json=as_json)


@app.command("list")
def listing(
    *,
    tenant: OfTenant = None,
    type_name: OfType = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List events, newest first."""
    with reading() as connection:
        found = deliveries.event_listing(
            connection, tenant_id=tenant, type_name=type_name, limit=limit, after=after
        )
    empty = "No events: tillbell events publish --tenant ID --type TYPE"
    emit(found, page([table(found["data"], _COLUMNS, empty=empty), *more(found)]), as_json=as_json)


@app.command()
def show(
    event_id: Annotated[
        str, typer.Argument(help="The event's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one event, its body and its deliveries."""
    with reading() as connection:
        event = deliveries.event_show(connection, event_id)
    facts = details(
        {
            "id": event["id"],
            "type": event["type"],
            "tenant": event["tenant_id"],
            "about": f"{event['subject_type']} {event['subject_id']}, version {event['sequence']}",
            "raised by": event["raised_by"],
            "occurred": event["occurred_at"],
            "recorded": event["created_at"],
        }
    )
    body = Text(to_json(event["body"], indent=True).decode())
    sent = delivery_table(event["deliveries"], empty="None: no endpoint hears this type.")
    view = page([facts, section("Body", body), section("Deliveries", sent)])
    emit(event, view, as_json=as_json)


@app.command()
def types(
    *,
    register: Annotated[
        str | None, typer.Option(help="Make this type publishable.", metavar="TYPE")
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="A JSON Schema for its data.", metavar="FILE", exists=True, dir_okay=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the event types that can be published, or register one."""
    if schema is not None and register is None:
        raise typer.BadParameter("--schema needs --register TYPE")
    if register is not None:
        json_schema = None if schema is None else read_object(f"@{schema}", field="schema")
        with writing() as (_, work):
            heard_by = register_type(work.connection, register, json_schema, work.now)
        document = {"type": register, "registered": True, "heard_by": heard_by}
        view = Text(f"Registered {register}; endpoints that hear it: {heard_by}.")
        emit(document, view, as_json=as_json)
        return
    with reading() as connection:
        names = catalogue.known_types(connection)
    rows = [
        {"type": name, "about": catalogue.CATALOGUE.get(name), "own": name in catalogue.CATALOGUE}
        for name in names
    ]
    emit({"data": rows}, table(rows, _TYPES, empty=""), as_json=as_json)


@app.command()
def tail(
    *,
    tenant: OfTenant = None,
    type_name: OfType = None,
    last: Annotated[int, typer.Option(help="Begin with the last N.", metavar="N", min=0)] = 10,
    as_json: Json = False,
) -> None:
    """Follow new events until Ctrl-C; with --json, one JSON object a line."""
    with opened() as application:
        follow(
            application.database,
            tenant_id=tenant,
            type_name=type_name,
            last=last,
            as_json=as_json,
        )


@app.command("feed")
def read_feed(
    *,
    tenant: Tenant,
    type_name: OfType = None,
    subject: Annotated[
        str | None, typer.Option(help="Only about this one.", metavar="ID", show_default=False)
    ] = None,
    limit: Limit = feed.LIMIT_DEFAULT,
    after: After = None,
    bodies: Annotated[
        bool, typer.Option("--bodies", help="Write the exact bodies, one a line.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Read a tenant's events in commit order, as GET /api/v1/webhooks/events gives them."""
    with opened() as application, application.database.read() as connection:
        tenant_id = tenants.get(connection, tenant)["id"]
        found = feed.read_page(
            connection,
            tenant_id,
            now=application.clock.now(),
            after=after,
            limit=limit,
            type_name=type_name,
            subject_id=subject,
            kept=timedelta(days=application.settings.retain_bodies_days),
        )
    if bodies:
        for event in found.events:
            typer.echo(event["body"])
        return
    emit_feed(found, as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("TYPE", "type", flexible=True),
    Column("RECORDED", lambda row: brief(row["created_at"])),
    Column("BY", "raised_by", flexible=True),
    Column("TENANT", "tenant_id", wide=True),
    Column("ABOUT", lambda row: f"{row['subject_type']} {row['subject_id']}", wide=True),
)
_TYPES = (
    Column("TYPE", "type"),
    Column("SAYS", lambda row: row["about"] or "registered here", flexible=True),
)
