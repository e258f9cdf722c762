"""``tillbell replays``: send deliveries again as a job that can be followed, paused and audited."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher import replay_jobs
from dispatcher.replay_selection import Selection, preview
from worker.cli.opening import opened, reading, writing
from worker.cli.options import InState, Json, Limit, OfEndpoint, OfTenant, Since
from worker.cli.output import emit, table
from worker.cli.replay_options import Held, Ids, NeverAttempted, OfPattern, Reason, Until
from worker.cli.replay_views import COLUMNS, emit_preview, emit_replay, public

app = typer.Typer(rich_markup_mode=None)

Id = Annotated[str, typer.Argument(help="The replay's id.", metavar="ID", show_default=False)]


@app.command()
def create(
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count by endpoint and state; change nothing.")
    ] = False,
    reason: Reason = None,
    rate: Annotated[
        float | None, typer.Option(help="So many in a second at most.", metavar="N")
    ] = None,
    new_ids: Annotated[
        bool,
        typer.Option("--new-ids", help="Send copies under new ids: receivers take them again."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Send chosen deliveries again, in the background; the scheduler carries it out."""
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
    if dry_run:
        with opened() as application, application.database.read() as connection:
            found = preview(connection, selection, application.clock.now())
        emit_preview(found, as_json=as_json)
        return
    with writing() as (_, work):
        row = replay_jobs.create(
            work, selection, reason=reason, rate_per_second=rate, new_ids=new_ids
        )
    emit_replay(row, as_json=as_json)


@app.command("list")
def listing(*, in_state: InState = None, limit: Limit = 50, as_json: Json = False) -> None:
    """List replays, newest first."""
    with reading() as connection:
        rows = replay_jobs.listing(connection, state=in_state, limit=limit)
    empty = "Nothing was sent again yet: tillbell deliveries replay --state failed"
    document = {"data": [public(row) for row in rows]}
    emit(document, table(rows, COLUMNS, empty=empty), as_json=as_json)


@app.command()
def show(replay_id: Id, *, as_json: Json = False) -> None:
    """Show one replay: how far it is, of what, by whom and why."""
    with reading() as connection:
        row = replay_jobs.get(connection, replay_id)
    emit_replay(row, as_json=as_json)


@app.command()
def pause(replay_id: Id, *, as_json: Json = False) -> None:
    """Let a running replay wait."""
    with writing() as (_, work):
        row = replay_jobs.pause(work, replay_id)
    emit_replay(row, as_json=as_json)


@app.command()
def resume(replay_id: Id, *, as_json: Json = False) -> None:
    """Let a paused replay go on where it stopped."""
    with writing() as (_, work):
        row = replay_jobs.resume(work, replay_id)
    emit_replay(row, as_json=as_json)


@app.command()
def cancel(replay_id: Id, *, as_json: Json = False) -> None:
    """End a replay for good; what was armed already is still sent."""
    with writing() as (_, work):
        row = replay_jobs.cancel(work, replay_id)
    emit_replay(row, as_json=as_json)
