"""``tillbell endpoints test`` and ``enable``: try an endpoint out, take it back into service."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from dispatcher import endpoint_state, lives, replay_jobs
from dispatcher.outlook import outlook
from dispatcher.replay_selection import Selection, count_of
from dispatcher.retry import RetryPolicy
from worker.bootstrap import Application
from worker.cli.delivery_views import await_attempt, emit_delivery
from worker.cli.endpoint_input import Id
from worker.cli.endpoint_views import endpoint_details, public
from worker.cli.opening import opened, operator, writing
from worker.cli.options import Json
from worker.cli.output import Row, emit, page

#: The outlook on a delivery that waits for nothing but a worker.
ONLY_A_WORKER = {"due", "queued"}


def send_test(
    endpoint_id: Id,
    *,
    type_name: Annotated[
        str, typer.Option("--type", help="Send an example of this event type.", metavar="TYPE")
    ] = "webhook.test",
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the answer.", metavar="SECONDS", min=0)
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Send it a signed example now and show what comes back; exit code 1 unless it accepted."""
    with opened() as application:
        with application.units.begin(actor=operator()) as work:
            delivery_id = endpoint_state.send_test(work, endpoint_id, type_name)
        application.hints.drain([endpoint_id])
        delivery = await_attempt(application.database, delivery_id, wait)
        missing = None if delivery["history"] else _why_not_yet(application, delivery_id)
    emit_delivery({**delivery, "not_yet": missing}, as_json=as_json)
    if missing is not None and not as_json:
        typer.echo(f"No attempt within {wait:g} s: {missing}", err=True)
    if delivery["state"] != "succeeded":
        raise typer.Exit(1)


def enable(
    endpoint_id: Id,
    *,
    replay_held: Annotated[
        bool, typer.Option("--replay-held", help="Send what was held meanwhile, in the background.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Call a disabled endpoint again, and say what was held meanwhile."""
    job: dict[str, Any] | None = None
    with writing() as (_, work):
        row = endpoint_state.enable(work, endpoint_id)
        held = Selection(endpoint_id=row["id"], held=True)
        count = count_of(work.connection, held, work.now)
        if replay_held and count:
            job = replay_jobs.create(work, held, reason="held while the endpoint was disabled")
    document = {**public(row), "held": count, "replay_id": None if job is None else job["id"]}
    emit(document, page([endpoint_details(row), _held(row, count, job)]), as_json=as_json)


def _held(row: Row, count: int, job: Row | None) -> Text:
    """Say how many deliveries were held, and how they are sent or may be."""
    if not count:
        return Text("\nNothing was held while it was disabled.")
    sentence = f"\n{count:,} deliveries were held while it was disabled"
    if job is not None:
        return Text(f"{sentence}; replay {job['id']} sends them.")
    return Text(
        f"{sentence}. To send them:\n  tillbell replays create --held --endpoint {row['id']}"
    )


def _why_not_yet(application: Application, delivery_id: str) -> str:
    """Return why nothing was attempted: what holds it back, or that no worker runs."""
    default = RetryPolicy(tuple(application.settings.retry_schedule))
    with application.database.read() as connection:
        life = lives.read(connection, delivery_id, default, application.clock.now())
    coming = outlook(life)
    if {sentence.code for sentence in coming} <= ONLY_A_WORKER:
        return (
            "no worker took it. Start one with 'tillbell serve' or 'tillbell worker';"
            " 'tillbell doctor' says what may be wrong."
        )
    return " ".join(sentence.text for sentence in coming)
