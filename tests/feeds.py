"""Wait until the pull feed shows everything that was committed."""

from __future__ import annotations

from sqlalchemy import text

from engine.database import Database

WAITS_MAX = 1000


def everything_readable(database: Database) -> int:
    """Wait until no open transaction of the server precedes an event, and return the last place.

    The feed of a PostgreSQL database waits for writers of its neighbours on the same server too.
    """
    if database.sqlite:
        return _number(database, "SELECT coalesce(max(rowid), 0) FROM events")
    highest = _number(database, "SELECT coalesce(max(position), 0) FROM events")
    for _ in range(WAITS_MAX):
        oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_sleep(0.01)"
        if _number(database, oldest) > highest:
            return highest
    msg = "another database of this server keeps a transaction open"
    raise AssertionError(msg)


def _number(database: Database, query: str) -> int:
    with database.read() as connection:
        return int(connection.execute(text(query)).one()[0])
