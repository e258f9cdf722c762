"""``tillbell manifest``: what was sent each day, signed; and the receiver's proof that it came."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from dispatcher import manifest_views, manifests
from dispatcher.manifest_proof import Manifest, check_manifests, check_received
from dispatcher.signing import decode_secret
from worker.cli.moments import brief
from worker.cli.opening import opened, reading
from worker.cli.options import After, Json, Limit, OfEndpoint, OfTenant
from worker.cli.output import Column, details, emit, more, page, section, table
from worker.cli.proofs import read_manifests, read_received

app = typer.Typer(rich_markup_mode=None)

EVENTS_SHOWN = 20


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a day such as 2026-03-02") from None


@app.command("list")
def listing(
    *,
    endpoint: OfEndpoint = None,
    tenant: OfTenant = None,
    since: Annotated[
        date | None, typer.Option("--from", parser=_day, help="First day, UTC.", metavar="DAY")
    ] = None,
    until: Annotated[
        date | None, typer.Option("--to", parser=_day, help="Last day, UTC.", metavar="DAY")
    ] = None,
    limit: Limit = 50,
    after: After = None,
    as_json: Json = False,
) -> None:
    """List manifests by endpoint and day."""
    with reading() as connection:
        found = manifest_views.listing(
            connection,
            tenant_id=tenant,
            endpoint_id=endpoint,
            since=since,
            until=until,
            limit=limit,
            after=after,
        )
    shown = table(found["data"], _COLUMNS, empty="No manifests: a day's are made at 01:00 UTC.")
    emit(found, page([shown, *more(found)]), as_json=as_json)


@app.command()
def show(
    endpoint_id: Annotated[
        str, typer.Argument(help="The endpoint's id.", metavar="ENDPOINT", show_default=False)
    ],
    day: Annotated[
        date, typer.Argument(parser=_day, help="A UTC day.", metavar="DAY", show_default=False)
    ],
    *,
    as_json: Json = False,
) -> None:
    """Show one manifest; with --json it is the file that verify takes, its events listed."""
    with opened() as application:
        found = manifest_views.show(application.database, endpoint_id, day)
    names = ("endpoint_id", "day", "events_count", "events_digest", "previous_digest", "signature")
    facts = details({name.replace("_", " "): found[name] for name in names})
    events = found["events"]
    empty = "None was due." if events == [] else "Their bodies are gone; the signed digest stands."
    listed = table((events or [])[:EVENTS_SHOWN], _EVENTS, empty=empty)
    emit(found, page([facts, section("Events", listed)]), as_json=as_json)


@app.command()
def make(
    *,
    endpoint: OfEndpoint = None,
    until: Annotated[
        date | None,
        typer.Option(parser=_day, help="Up to this UTC day.", metavar="DAY"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make the manifests that past days still lack; the scheduler does so at 01:00 UTC."""
    with opened() as application:
        now = application.clock.now()
        keyring = application.guard.keyring
        made, complete = manifests.close_days(
            application.database, keyring, now, endpoint_id=endpoint, until=until
        )
    words = f"Made {made:,}." if complete else f"Made {made:,}; some secrets cannot be opened."
    emit({"made": made, "complete": complete}, Text(words), as_json=as_json)
    if not complete:
        raise typer.Exit(1)


@app.command()
def verify(
    *,
    secret: Annotated[
        list[str],
        typer.Option(help="The endpoint's whsec_ secret; may be repeated.", metavar="SECRET"),
    ],
    manifest: Annotated[
        Path, typer.Option(help="Manifests as JSON, or one a line.", metavar="FILE")
    ],
    received: Annotated[
        Path,
        typer.Option(help="What came, one a line: bodies, or what listen --json wrote."),
    ],
    as_json: Json = False,
) -> None:
    """Prove that everything sent was received: signatures, chain, and every event.

    A line of --received is a body as it came, or an object with its "id" and, as text, its "body"
    or the "body_sha256". Exits with 1 when anything differs. Needs no installation.
    """
    secrets = [decode_secret(each) for each in secret]
    signed = [Manifest.read(document) for document in read_manifests(manifest)]
    came = read_received(received)
    problems = check_manifests(signed, secrets) + check_received(signed, came.hashes)
    rows: list[dict[str, Any]] = [
        {
            "problem": each.kind,
            "endpoint_id": each.endpoint_id,
            "day": each.day,
            "event_id": each.event_id,
            "sentence": each.sentence,
        }
        for each in problems
    ]
    document = {
        "holds": not rows,
        "manifests": len(signed),
        "events": sum(each.facts["events_count"] for each in signed),
        "received": len(came.hashes),
        "repeated": came.repeated,
        "without_body": came.without_body,
        "problems": rows,
    }
    holds = (
        f"Everything holds: {document['events']:,} events of {len(signed):,} days, all received."
    )
    emit(document, table(rows, _PROBLEMS, empty=holds), as_json=as_json)
    if rows:
        raise typer.Exit(1)


_COLUMNS = (
    Column("ENDPOINT", "endpoint_id"),
    Column("DAY", "day"),
    Column("EVENTS", "events_count", right=True),
    Column("DIGEST", lambda row: f"{row['events_digest'][:12]}…"),
    Column("MADE", lambda row: brief(row["created_at"])),
    Column("TENANT", "tenant_id", wide=True),
)
_EVENTS = (Column("ID", "id"), Column("SHA-256", "sha256", flexible=True))
_PROBLEMS = (
    Column("PROBLEM", "problem"),
    Column("DAY", "day"),
    Column("EVENT", "event_id"),
    Column("SAYS", "sentence", flexible=True),
    Column("ENDPOINT", "endpoint_id", wide=True),
)
