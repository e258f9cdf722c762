"""How a page of the pull feed is shown."""

from __future__ import annotations

import orjson
from rich.text import Text

from dispatcher.feed import Page
from worker.cli.moments import brief
from worker.cli.output import Column, emit, page, table


def emit_feed(found: Page, *, as_json: bool) -> None:
    """Answer with a page; in JSON each ``body`` holds the exact bytes."""
    events = [{**event, "body": orjson.Fragment(event["body"])} for event in found.events]
    document = {"data": events, "next_cursor": found.next_cursor, "has_more": found.has_more}
    shown = table(found.events, _COLUMNS, empty="No events since.")
    words = "More" if found.has_more else "Later"
    goes_on = Text(f"{words}: --after {found.next_cursor}", style="dim")
    emit(document, page([shown, goes_on]), as_json=as_json)


_COLUMNS = (
    Column("ID", "id"),
    Column("TYPE", "type", flexible=True),
    Column("RECORDED", lambda row: brief(row["created_at"])),
    Column("ABOUT", lambda row: f"{row['subject_type']} {row['subject_id']}", wide=True),
    Column("CURSOR", "cursor", wide=True),
)
