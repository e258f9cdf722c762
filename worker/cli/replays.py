"""``tillbell replays``: what was sent again, by whom and why."""

from __future__ import annotations

import typer

from dispatcher import replay
from worker.cli.opening import reading
from worker.cli.options import Json, Limit
from worker.cli.output import emit, table
from worker.cli.replay_views import COLUMNS

app = typer.Typer(rich_markup_mode=None)


@app.callback()
def replays() -> None:
    """Keep ``list`` a word of its own: a lone verb would stand for the noun."""


@app.command("list")
def listing(*, limit: Limit = 50, as_json: Json = False) -> None:
    """List replays, newest first."""
    with reading() as connection:
        rows = replay.listing(connection, limit=limit)
    empty = "Nothing was sent again yet: tillbell deliveries replay --state failed"
    emit({"data": rows}, table(rows, COLUMNS, empty=empty), as_json=as_json)
