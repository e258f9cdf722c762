"""Options that mean the same in every command."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

import typer

from worker.cli.moments import calendar_day, past

Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
Limit = Annotated[int, typer.Option(help="How many at most.", metavar="N")]
After = Annotated[
    str | None, typer.Option(help="Go on after this cursor.", metavar="CURSOR", show_default=False)
]
Tenant = Annotated[str, typer.Option(help="The tenant's id.", metavar="ID")]
OfTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.", metavar="ID")]
By = Annotated[
    str | None,
    typer.Option(help="The tenant that does it; else the operator does.", metavar="TENANT"),
]
Actor = Annotated[
    str | None, typer.Option(help="Who does it, for the record; else this user.", metavar="NAME")
]
IdempotencyKey = Annotated[
    str | None,
    typer.Option(help="Names this request: under one key it has one effect.", metavar="KEY"),
]
OfEndpoint = Annotated[
    str | None, typer.Option("--endpoint", help="Only this endpoint's.", metavar="ID")
]
OfType = Annotated[str | None, typer.Option("--type", help="Only this event type.", metavar="TYPE")]
InState = Annotated[str | None, typer.Option("--state", help="Only in this state.", metavar="S")]
Since = Annotated[
    datetime | None,
    typer.Option(
        parser=past, help="Only since then: 2026-03-02T09:30:00Z, or 2h ago.", metavar="ISO"
    ),
]
FromDate = Annotated[
    date | None,
    typer.Option(
        "--from", parser=calendar_day, help="From this day on: 2026-03-02.", metavar="DATE"
    ),
]
ToDate = Annotated[
    date | None,
    typer.Option("--to", parser=calendar_day, help="Until this day, it too.", metavar="DATE"),
]
