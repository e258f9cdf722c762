"""Hashes of bodies as each profile sends them, read in short transactions."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from dispatcher.profiles import render
from dispatcher.tables import rendered_bodies
from engine.database import Database
from engine.tables import events

#: An old snapshot would slow the dispatcher (ceilings.md).
EVENTS_PER_READ = 1000
ENVELOPE = "envelope"


def body_hashes(
    database: Database, wanted: Collection[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Return the SHA-256 (hex) of the body of each pair of event id and profile.

    A pair whose event is gone, or whose body was removed, is missing from the answer.
    """
    profiles_of: dict[str, set[str]] = {}
    for event_id, profile in wanted:
        profiles_of.setdefault(event_id, set()).add(profile)
    ids = sorted(profiles_of)
    found = {}
    for start in range(0, len(ids), EVENTS_PER_READ):
        chunk = ids[start : start + EVENTS_PER_READ]
        profiles = {profile for event_id in chunk for profile in profiles_of[event_id]} - {ENVELOPE}
        with database.read() as connection:
            bodies = select(events.c.id, events.c.body).where(events.c.id.in_(chunk))
            rows = connection.execute(bodies).all()
            rendered = _rendered(connection, chunk, profiles) if profiles else {}
        for event_id, body in rows:
            for profile in profiles_of[event_id]:
                sent = rendered.get((event_id, profile)) or (body and render(profile, body))
                if sent:
                    found[event_id, profile] = hashlib.sha256(sent).hexdigest()
    return found


def _rendered(
    connection: Connection, event_ids: Sequence[str], profiles: Collection[str]
) -> dict[tuple[str, str], bytes]:
    """Return the bodies that were kept when they were first sent."""
    table = rendered_bodies.c
    query = select(table.event_id, table.profile, table.body)
    kept = query.where(table.event_id.in_(event_ids), table.profile.in_(profiles))
    return {(row.event_id, row.profile): row.body for row in connection.execute(kept)}
