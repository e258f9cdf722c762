"""How deliveries and their attempts are shown."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dispatcher import deliveries
from dispatcher.life import Sentence
from engine.database import Database
from worker.cli.moments import brief
from worker.cli.output import Column, Row, details, emit, page, section, state, table

#: How often a delivery is looked at while its first attempt is awaited.
LOOK_SECONDS = 0.1
EXCERPT_SHOWN = 200


def await_attempt(database: Database, delivery_id: str, seconds: float) -> dict[str, Any]:
    """Return a delivery with its history once it was attempted, or when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        with database.read() as connection:
            delivery = deliveries.show(connection, delivery_id)
        if delivery["history"] or time.monotonic() >= deadline:
            return delivery
        time.sleep(LOOK_SECONDS)


def emit_delivery(delivery: Row, *, as_json: bool) -> None:
    """Answer with one delivery and its attempts."""
    facts = details(
        {
            "id": delivery["id"],
            "event": f"{delivery['event']}  {delivery['event_id']}",
            "endpoint": delivery["endpoint_id"],
            "tenant": delivery["tenant_id"],
            "state": state(delivery["state"]),
            "attempts": delivery["attempts"],
            "last answer": _answer(delivery),
            "next attempt": delivery["next_attempt_at"],
            "created": delivery["created_at"],
            "settled": delivery["settled_at"],
        }
    )
    attempts = table(delivery["history"], _ATTEMPTS, empty="None was made yet.")
    emit(delivery, page([facts, section("Attempts", attempts)]), as_json=as_json)


def delivery_table(rows: Sequence[Row], *, empty: str) -> RenderableType:
    """Return deliveries as a table."""
    return table(rows, _DELIVERIES, empty=empty)


def story(sentences: Sequence[Sentence]) -> RenderableType:
    """Return an explanation: one sentence a line, under the word for what it is about."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    about = None
    for sentence in sentences:
        made.add_row("" if sentence.about == about else sentence.about, Text(sentence.text))
        about = sentence.about
    return made


def _answer(delivery: Row) -> str | None:
    """Return what the last attempt brought: a status, or why there was none."""
    found = delivery["last_status_code"] or delivery["last_error"]
    return None if found is None else str(found)


def _answers(delivery: Row) -> Text | None:
    """Return the last answer and, from the second on, which try brought it."""
    if not delivery["attempts"]:
        return None
    count = f" ({delivery['attempts']})" if delivery["attempts"] > 1 else ""
    return Text(f"{_answer(delivery) or ''}{count}")


def _state(delivery: Row) -> Text:
    return state(delivery["state"])


def _came(attempt: Row) -> Text:
    code, error = attempt["status_code"], attempt["error"]
    good = code is not None and 200 <= code < 300
    return Text(str(code or error or "-"), style="green" if good else "red")


def _excerpt(attempt: Row) -> str:
    words = " ".join((attempt["response_excerpt"] or "").split())
    return words if len(words) <= EXCERPT_SHOWN else f"{words[:EXCERPT_SHOWN]}…"


_DELIVERIES = (
    Column("ID", "id"),
    Column("EVENT", "event", flexible=True),
    Column("STATE", _state),
    Column("ANSWER", _answers),
    Column("CREATED", lambda row: brief(row["created_at"])),
    Column("NEXT", lambda row: brief(row["next_attempt_at"]), wide=True),
    Column("ENDPOINT", "endpoint_id", wide=True),
)
_ATTEMPTS = (
    Column("#", "number", right=True),
    Column("STARTED", "started_at"),
    Column("TOOK", lambda row: f"{row['duration_ms']} ms", right=True),
    Column("CAME", _came),
    Column("BY", "trigger"),
    Column("SAID", _excerpt, flexible=True),
)
