"""Follow events as they are committed, without missing those of a slow transaction."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import typer
from rich.text import Text
from sqlalchemy import Connection, Select, select

from engine import tenants
from engine.database import Database
from engine.ids import is_id
from engine.tables import events
from worker.cli.output import console, to_json

POLL_SECONDS = 0.5
#: Ids grow with the time they were made; a transaction may commit this much behind others.
OVERLAP = timedelta(seconds=5)

_SHOWN = [
    events.c[name]
    for name in ("id", "type", "tenant_id", "subject_type", "subject_id", "sequence", "created_at")
]


class Tail:
    """Reads what is new since the last look; an event is returned once."""

    def __init__(
        self, *, since: datetime, tenant_id: str | None = None, type_name: str | None = None
    ) -> None:
        """Begin with what was raised after ``since``."""
        self._newest = since
        self._tenant_id, self._type_name = tenant_id, type_name
        self._seen: set[str] = set()

    def look(self, connection: Connection, now: datetime) -> list[dict[str, Any]]:
        """Return the events committed since the last look, in the order of their ids."""
        # Everything of the overlap is read again, and what was seen is passed over.
        begin = floor_id(self._newest - OVERLAP)
        self._seen = {seen for seen in self._seen if seen >= begin}
        query = self._filtered().where(events.c.id > begin).order_by(events.c.id)
        rows = connection.execute(query).mappings()
        found = [dict(row) for row in rows if row["id"] not in self._seen]
        self._seen.update(row["id"] for row in found)
        self._newest = now
        return found

    def last(self, connection: Connection, count: int) -> list[dict[str, Any]]:
        """Return the ``count`` newest events and count them, and all before, as seen."""
        query = self._filtered().order_by(events.c.id.desc()).limit(count)
        rows = [dict(row) for row in connection.execute(query).mappings()]
        recent = select(events.c.id).where(events.c.id > floor_id(self._newest - OVERLAP))
        self._seen.update(connection.execute(recent).scalars())
        return rows[::-1]

    def _filtered(self) -> Select[Any]:
        query = select(*_SHOWN)
        if self._tenant_id is not None:
            query = query.where(events.c.tenant_id == self._tenant_id)
        if self._type_name is not None:
            query = query.where(events.c.type == self._type_name)
        return query


def floor_id(at: datetime) -> str:
    """Return the lowest UUIDv7 made at an instant."""
    text = f"{int(at.timestamp() * 1000):012x}"
    return f"{text[:8]}-{text[8:]}-7000-8000-000000000000"


def follow(
    database: Database,
    *,
    tenant_id: str | None,
    type_name: str | None,
    last: int,
    as_json: bool,
) -> None:
    """Print events as they come, until interrupted."""
    tail = Tail(since=datetime.now(UTC), tenant_id=tenant_id, type_name=type_name)
    with database.read() as connection:
        if tenant_id is not None:
            tenants.get(connection, tenant_id)
        rows = tail.last(connection, last)
    while True:
        for row in rows:
            _print(row, as_json=as_json)
        time.sleep(POLL_SECONDS)
        now = datetime.now(UTC)
        with database.read() as connection:
            rows = tail.look(connection, now)


def _print(row: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(to_json(row))
        return
    about = "" if row["subject_id"] == row["id"] else f"  {_about(row)}"
    line = Text.assemble(
        (f"{row['created_at']:%H:%M:%S}Z  ", "dim"),
        f"{row['type']:<27} {row['id']}",
        (about, "dim"),
    )
    console().print(line, soft_wrap=True)


def _about(row: dict[str, Any]) -> str:
    subject = row["subject_id"]
    return row["subject_type"] if is_id(subject) else f"{row['subject_type']} {subject}"
