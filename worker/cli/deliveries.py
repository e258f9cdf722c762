"""``tillbell deliveries``: callbacks, how they went, and sending them again."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from dispatcher import deliveries, explain, lives, replay_jobs
from dispatcher.replay_selection import Selection
from dispatcher.replay_steps import run_to_end
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
    Since,
)
from worker.cli.output import emit, more, page, progress
from worker.cli.replay_options import Held, Ids, NeverAttempted, OfPattern, Reason, Until
from worker.cli.replay_views import emit_replay

app = typer.Typer(rich_markup_mode=None)


@app.command("list")
def listing(
    *,
    in_state: InState = None,
    endpoint: OfEndpoint = None,
    event: Annotated[str | None, typer.Option(help="Only of this event.", metavar="ID")] = None,
    tenant: OfTenant = None,
    type_name: OfPattern = None,
    since: Since = None,
    until: Until = None,
    never_attempted: NeverAttempted = False,
    held: Held = False,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List deliveries, newest first."""
    selection = Selection(
        state=in_state,
        endpoint_id=endpoint,
        tenant_id=tenant,
        event=type_name,
        since=since,
        until=until,
        never_attempted=never_attempted,
        held=held,
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
    ids: Ids = None,
    *,
    in_state: InState = None,
    endpoint: OfEndpoint = None,
    tenant: OfTenant = None,
    type_name: OfPattern = None,
    since: Since = None,
    until: Until = None,
    never_attempted: NeverAttempted = False,
    held: Held = False,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Send deliveries again now, by id or by filter: same event, same bytes, new signature."""
    selection = Selection(
        ids=tuple(ids) if ids else None,
        state=in_state,
        endpoint_id=endpoint,
        tenant_id=tenant,
        event=type_name,
        since=since,
        until=until,
        never_attempted=never_attempted,
        held=held,
    )
    if not selection.as_document():
        raise typer.BadParameter("say which: ids, or --state and other filters")
    row = _replay(selection, reason)
    emit_replay(row, as_json=as_json)
    if row["problem"] is not None:
        raise typer.Exit(1)


def _replay(selection: Selection, reason: str | None) -> dict[str, Any]:
    """Make a replay and run it to its end, showing how far it is; return its record."""
    with opened() as application, progress() as bar:
        with application.units.begin(actor=operator()) as work:
            row = replay_jobs.create(work, selection, reason=reason)
        task = bar.add_task(f"Arming, replay {row['id']}", total=row["matched"])
        job = (application.units, application.clock, row["id"], application.hints)
        for row in run_to_end(*job, wait=time.sleep):
            bar.update(task, completed=row["armed"] + row["skipped"])
    return row
