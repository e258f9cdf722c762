"""``tillbell endpoints``: the URLs that tenants' events are sent to."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from dispatcher import endpoint_secrets, endpoint_state, endpoints
from dispatcher.endpoint_options import DEFAULTS
from dispatcher.endpoint_secrets import Kind
from dispatcher.profiles import PROFILES
from worker.cli.endpoint_input import (
    ApiKey,
    Events,
    Headers,
    Id,
    InFlight,
    NewApiKey,
    Profile,
    Secret,
    Signatures,
    api_key_of,
    headers_of,
    parts,
    secret_of,
)
from worker.cli.endpoint_limits import limits
from worker.cli.endpoint_trials import enable, send_test
from worker.cli.endpoint_views import COLUMNS, emit_endpoint, public
from worker.cli.moments import future
from worker.cli.opening import reading, writing
from worker.cli.options import InState, Json, OfTenant, Tenant
from worker.cli.output import emit, state, table

app = typer.Typer(rich_markup_mode=None)
app.command()(limits)


@app.command()
def create(
    *,
    tenant: Tenant,
    url: Annotated[str, typer.Option(help="Where to POST.", metavar="URL")],
    events: Events = None,
    profile: Profile = PROFILES[0],
    max_in_flight: InFlight = DEFAULTS["max_in_flight"],
    signatures: Signatures = None,
    secret: Secret = None,
    apikey: ApiKey = None,
    new_apikey: NewApiKey = False,
    header: Headers = None,
    as_json: Json = False,
) -> None:
    """Add an endpoint and show its signing secret, this once."""
    given = _given(
        events=parts(events),
        profile=profile,
        max_in_flight=max_in_flight,
        signatures=parts(signatures),
        secret=secret_of(secret),
        apikey=api_key_of(apikey, new=new_apikey),
        headers=headers_of(header),
    )
    with writing() as (application, work):
        row = endpoints.create(work, application.guard, tenant_id=tenant, url=url, **given)
    emit_endpoint(row, as_json=as_json)


@app.command("list")
def listing(*, tenant: OfTenant = None, in_state: InState = None, as_json: Json = False) -> None:
    """List endpoints, oldest first."""
    with reading() as connection:
        rows = endpoints.listing(connection, tenant_id=tenant, state=in_state)
    empty = "No endpoints: tillbell endpoints create --tenant ID --url URL"
    emit(
        {"data": [public(row) for row in rows]}, table(rows, COLUMNS, empty=empty), as_json=as_json
    )


@app.command()
def show(endpoint_id: Id, *, as_json: Json = False) -> None:
    """Show one endpoint."""
    with reading() as connection:
        row = endpoints.get(connection, endpoint_id)
    emit_endpoint(row, as_json=as_json)


@app.command()
def update(
    endpoint_id: Id,
    *,
    url: Annotated[str | None, typer.Option(help="Where to POST.", metavar="URL")] = None,
    events: Events = None,
    profile: Profile = None,
    max_in_flight: InFlight = None,
    signatures: Signatures = None,
    apikey: ApiKey = None,
    new_apikey: NewApiKey = False,
    no_apikey: Annotated[bool, typer.Option("--no-apikey", help="Send no API key.")] = False,
    header: Headers = None,
    no_headers: Annotated[
        bool, typer.Option("--no-headers", help="Send no headers of its own.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Change what is given; waiting retries go to the new URL. Headers replace those there are."""
    given = _given(
        url=url,
        events=parts(events),
        profile=profile,
        max_in_flight=max_in_flight,
        signatures=parts(signatures),
        apikey=api_key_of(apikey, new=new_apikey, none=no_apikey),
        headers=headers_of(header, none=no_headers),
    )
    with writing() as (application, work):
        row = endpoints.change(work, application.guard, endpoint_id, **given)
    emit_endpoint(row, as_json=as_json)


@app.command()
def pause(
    endpoint_id: Id,
    *,
    until: Annotated[
        datetime | None,
        typer.Option(parser=future, help="2026-03-02T09:30:00Z, or 2h from now.", metavar="ISO"),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "manual",
    as_json: Json = False,
) -> None:
    """Let its deliveries wait, until an instant or until resumed, without burning attempts."""
    with writing() as (_, work):
        row = endpoint_state.pause(work, endpoint_id, until=until, reason=reason)
    emit_endpoint(row, as_json=as_json)


@app.command()
def resume(endpoint_id: Id, *, as_json: Json = False) -> None:
    """Let a paused endpoint's deliveries flow again."""
    with writing() as (_, work):
        row = endpoint_state.resume(work, endpoint_id)
    emit_endpoint(row, as_json=as_json)


app.command()(enable)


@app.command()
def disable(
    endpoint_id: Id,
    *,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "manual",
    as_json: Json = False,
) -> None:
    """Stop calling it; its open deliveries are cancelled."""
    with writing() as (_, work):
        row = endpoint_state.disable(work, endpoint_id, reason=reason)
    emit_endpoint(row, as_json=as_json)


app.command("test")(send_test)


@app.command("rotate-secret")
def rotate_secret(
    endpoint_id: Id,
    *,
    overlap_hours: Annotated[
        float,
        typer.Option(
            help="How long the old secret signs beside the new one, at most 168; 0 ends it.",
            metavar="H",
        ),
    ] = endpoint_secrets.OVERLAP / timedelta(hours=1),
    at: Annotated[
        datetime | None,
        typer.Option(
            parser=future,
            help="Sign with the new one from then on: 2026-03-02T09:30:00Z, or 2h from now.",
            metavar="ISO",
        ),
    ] = None,
    secret: Secret = None,
    key_pair: Annotated[
        bool, typer.Option("--key-pair", help="Renew the key pair of v1a instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Issue a new signing secret and show it, this once."""
    # What no span of time can hold, such as nan, is refused like what is too long.
    overlap = timedelta(hours=overlap_hours) if 0 <= overlap_hours <= 1000 else timedelta.max
    with writing() as (application, work):
        row = endpoints.rotate(
            work,
            application.guard,
            endpoint_id,
            overlap=overlap,
            starts_at=at,
            secret=secret_of(secret),
            kind=Kind.ED25519 if key_pair else Kind.SIGNING,
        )
    emit_endpoint(row, as_json=as_json)


@app.command()
def delete(endpoint_id: Id, *, as_json: Json = False) -> None:
    """Remove it; nothing more is sent to it, its history stays."""
    with writing() as (_, work):
        endpoints.delete(work, endpoint_id)
    emit({"id": endpoint_id, "deleted": True}, state("deleted"), as_json=as_json)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
