"""Options that choose deliveries, the same wherever deliveries are listed or sent again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from worker.cli.moments import past

Ids = Annotated[
    list[str] | None,
    typer.Argument(help="Deliveries to send again.", metavar="[ID]...", show_default=False),
]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=past, help="Only before then: 2026-03-02T09:30:00Z, or 2h ago.", metavar="ISO"
    ),
]
NeverAttempted = Annotated[
    bool, typer.Option("--never-attempted", help="Only what was never tried.")
]
Held = Annotated[
    bool, typer.Option("--held", help="Only what was held because the endpoint was disabled.")
]
OfPattern = Annotated[
    str | None,
    typer.Option("--type", help="Only this event type, or 'remittance.*'.", metavar="TYPE"),
]
Reason = Annotated[str | None, typer.Option(help="Why, for the record.", metavar="TEXT")]
