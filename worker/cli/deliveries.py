"""``tillbell deliveries``: callbacks, how they went, and sending them again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dispatcher import deliveries, explain, lives
from dispatcher.replay import Selection, replay
from dispatcher.retry import RetryPolicy
from worker.cli.delivery_views import delivery_table, emit_delivery, story
from worker.cli.opening import opened, operator, reading
from worker.cli.options import (
    After,
    InState,
    Json,
    Limit,
    OfEndpoint,
    OfTenant,
    OfType,
    Since,
)
from worker.cli.output import emit, more, page, progress
from worker.cli.replay_views import replay_details

app = typer.Typer(rich_markup_mode=None)


@app.command("list")
def listing(
    *,
    in_state: InState = None,
    endpoint: OfEndpoint = None,
    event: Annotated[str | None, typer.Option(help="Only of this event.", metavar="ID")] = None,
    tenant: OfTenant = None,
    type_name: OfType = None,
    since: Since = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    selection = Selection(
        state=in_state, endpoint_id=endpoint, tenant_id=tenant, event=type_name, since=since
    )
    with reading() as connection:
        found = deliveries.listing(connection, selection, event_id=event, limit=limit, after=after)
    shown = delivery_table(found["data"], empty="No deliveries.")
    emit(found, page([shown, *more(found)]), as_json=as_json)


@app.command()
def show(
    delivery_id: Annotated[
        str, typer.Argument(help="The delivery's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one delivery and every attempt."""
    with reading() as connection:
        delivery = deliveries.show(connection, delivery_id)
    emit_delivery(delivery, as_json=as_json)


@app.command("explain")
def tell(
    delivery_id: Annotated[
        str, typer.Argument(help="The delivery's id.", metavar="ID", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Say in words what happened to one delivery, what comes next, and why."""
    with opened() as application:
        default = RetryPolicy(tuple(application.settings.retry_schedule))
        now = application.clock.now()
        with application.database.read() as connection:
            life = lives.read(connection, delivery_id, default, now)
    emit(explain.document(life), story(explain.explain(life)), as_json=as_json)


@app.command("replay")
def send_again(
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Deliveries to send again.", metavar="[ID]...", show_default=False),
    ] = None,
    *,
    in_state: InState = None,
    endpoint: OfEndpoint = None,
    tenant: OfTenant = None,
    type_name: OfType = None,
    since: Since = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    as_json: Json = False,
) -> None:
    """Send deliveries again, by id or by filter: same event, same bytes, new signature."""
    selection = Selection(
        ids=tuple(ids) if ids else None,
        state=in_state,
        endpoint_id=endpoint,
        tenant_id=tenant,
        event=type_name,
        since=since,
    )
    if not selection.as_document():
        raise typer.BadParameter("say which: ids, or --state and other filters")
    record = _replay(selection, reason)
    emit(record, replay_details(record), as_json=as_json)


def _replay(selection: Selection, reason: str | None) -> dict[str, Any]:
    """Run a replay to its end, showing how far it is, and return its record."""
    record: dict[str, Any] = {}
    with opened() as application, progress() as bar:
        task = bar.add_task("Arming deliveries", total=None)
        for record in replay(application.units, selection, actor=operator(), reason=reason):
            bar.update(task, completed=record["matched"])
    return record
