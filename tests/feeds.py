"""The pull feed in tests: events at any time, and pages of all that was committed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text

from config.clock import FixedClock
from dispatcher import feed
from engine import tenants
from engine.database import Database
from engine.events import EventDraft, publish_many
from engine.tables import events
from engine.unit_of_work import UnitsOfWork

TYPE = "webhook.test"
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


def new_tenant(units: UnitsOfWork) -> str:
    """Create a tenant and return its id."""
    with units.begin(actor="test") as work:
        return str(tenants.create(work, name="Reseller")["id"])


def publish(database: Database, clock: FixedClock, tenant_id: str, **named: str) -> str:
    """Publish one event at the test's time and return its id."""
    draft = EventDraft(tenant_id=tenant_id, type=TYPE, data={}, **named)  # type: ignore[arg-type]  # all text
    return raise_at(database, clock.now(), draft)


def raise_at(database: Database, at: datetime, draft: EventDraft) -> str:
    """Publish one event as of a time and return its id."""
    with database.write() as connection:
        [event_id] = publish_many(connection, [draft])
        connection.execute(events.update().where(events.c.id == event_id).values(created_at=at))
    return event_id


def read(database: Database, tenant_id: str, now: datetime, **options: object) -> feed.Page:
    """Read one page of all that was committed."""
    everything_readable(database)
    return look(database, tenant_id, now, **options)


def look(database: Database, tenant_id: str, now: datetime, **options: object) -> feed.Page:
    """Read one page of what can be read now."""
    with database.read() as connection:
        return feed.read_page(connection, tenant_id, now=now, **options)  # type: ignore[arg-type]  # passed on


def ids(page: feed.Page) -> list[str]:
    """Return the ids on a page."""
    return [each["id"] for each in page.events]
