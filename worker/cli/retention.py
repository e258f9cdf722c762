"""``tillbell retention``: what is kept for how long, and removing what is older."""

from __future__ import annotations

from typing import Annotated

import typer

from dispatcher.retention import due, run_once
from worker.cli.opening import opened
from worker.cli.options import Json
from worker.cli.output import Column, emit, progress, table

app = typer.Typer(rich_markup_mode=None)

#: What each kind is, and what its age is counted from.
KINDS = {
    "bodies": "bodies of events, every delivery of which is settled",
    "deliveries": "settled deliveries with their attempts",
    "attempts": "attempts of deliveries that are kept",
    "events": "events, their ids and dedupe keys, that nothing refers to",
    "secrets": "signing secrets that were rotated away, or whose endpoint was removed",
    "runs": "runs of reconciliation checks",
    "inbound_messages": "ids of callbacks that upstream platforms sent us",
    "courier_lines": "lines of couriers' files in which nothing is open",
    "courier_differences": "what of such files did not match, and is explained",
    "courier_files": "such files themselves: the same file could be read again",
}


@app.command()
def run(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, but remove nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Remove what is older than it is kept, in small transactions."""
    with opened() as application, progress() as bar:
        bar.add_task("Looking" if dry_run else "Removing", total=None)
        now, steps = application.clock.now(), application.retention()
        if dry_run:
            with application.database.read() as connection:
                counts = due(connection, steps, now)
        else:
            counts = run_once(application.database, steps, now)
    rows = [{"kind": name, "rows": count} for name, count in counts.items()]
    document = {"as_of": now, "dry_run": dry_run, "counts": counts}
    emit(document, table(rows, (*_KIND, _ROWS), empty=""), as_json=as_json)


@app.command()
def show(*, as_json: Json = False) -> None:
    """Show how long each kind is kept, and how much is older."""
    with opened() as application:
        now, steps = application.clock.now(), application.retention()
        with application.database.read() as connection:
            counts = due(connection, steps, now)
    rows = [
        {"kind": step.name, "days": step.kept.days, "rows": counts[step.name]} for step in steps
    ]
    emit(
        {"as_of": now, "data": rows}, table(rows, (*_KIND, _DAYS, _ROWS), empty=""), as_json=as_json
    )


_KIND = (
    Column("KIND", "kind"),
    Column("WHAT", lambda row: KINDS[row["kind"]], flexible=True),
)
_DAYS = Column("KEPT", lambda row: f"{row['days']} d", right=True)
_ROWS = Column("OLDER", lambda row: f"{row['rows']:,}", right=True)
