"""How far back the feed can be read, for whoever begins and for whoever goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from config.clock import FixedClock
from dispatcher import feed, retention
from engine.database import Database
from engine.errors import BodyExpired, CursorExpired
from engine.events import EventDraft, iso_seconds
from engine.ids import new_id
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.feeds import TYPE, ids, new_tenant, publish, raise_at, read

DAY = timedelta(days=1)


@pytest.fixture
def tenant(units: UnitsOfWork) -> str:
    """Return the id of a tenant."""
    return new_tenant(units)


@pytest.mark.parametrize(("kept_days", "begin_hours"), [(30, 29 * 24), (60, 58 * 24), (1, 23.2)])
def test_a_reader_without_a_cursor_begins_a_little_after_the_edge(
    database: Database, tenant: str, clock: FixedClock, kept_days: int, begin_hours: float
) -> None:
    """Older events are not given; those of the last 29 of 30 days are."""
    edge = clock.now() - timedelta(hours=begin_hours)
    before, after = (edge + timedelta(seconds=each) for each in (-1, 1))
    raise_at(database, before, EventDraft(tenant_id=tenant, type=TYPE, data={}))
    young = raise_at(database, after, EventDraft(tenant_id=tenant, type=TYPE, data={}))
    page = read(database, tenant, clock.now(), kept=timedelta(days=kept_days))
    assert [young] == ids(page)


def test_who_begins_is_not_overtaken_by_retention(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """A first page at the edge can be read on from for a day, while retention works behind it."""
    for hours in range(31 * 24, 0, -6):
        draft = EventDraft(tenant_id=tenant, type=TYPE, data={})
        raise_at(database, clock.now() - timedelta(hours=hours), draft)
    with database.write() as connection:
        connection.execute(text("DELETE FROM outbox"))
    page = read(database, tenant, clock.now(), limit=1)
    clock.advance(timedelta(hours=23, minutes=59))
    kept = {"bodies": feed.KEPT, "attempts_kept": 90 * DAY, "dedupe": 400 * DAY}
    assert retention.run_once(database, retention.steps(**kept), clock.now())["bodies"]
    rest = read(database, tenant, clock.now(), after=page.next_cursor, limit=1000)
    assert 29 * 4 == len(ids(page) + ids(rest))


def test_a_cursor_expires_only_after_events_may_be_gone(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """After 30 days a cursor is refused, with the time for which events may be missing."""
    publish(database, clock, tenant)
    read_at = clock.now()
    cursor = read(database, tenant, read_at).next_cursor
    clock.advance(feed.KEPT)
    assert [] == ids(read(database, tenant, clock.now(), after=cursor))
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CursorExpired, match="manifests") as refused:
        read(database, tenant, clock.now(), after=cursor)
    told = refused.value.details
    assert iso_seconds(read_at) == told["missing_since"]
    assert iso_seconds(clock.now() - timedelta(days=29)) == told["missing_until"]


def test_a_removed_body_is_never_passed_over(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """A reader behind which retention caught up is told so; a new one begins after the gap."""
    published = [publish(database, clock, tenant) for _ in range(3)]
    cursor = read(database, tenant, clock.now(), limit=1).next_cursor
    with database.write() as connection:
        connection.execute(events.update().where(events.c.id == published[1]).values(body=b""))
    with pytest.raises(CursorExpired):
        read(database, tenant, clock.now(), after=cursor)
    assert [published[0], published[2]] == ids(read(database, tenant, clock.now()))
    with database.read() as connection, pytest.raises(BodyExpired):
        feed.read_event(connection, tenant, published[1])


def test_a_cursor_ahead_of_a_restored_database_is_refused(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """Where the numbers began anew, a reader is told so instead of waiting for ever."""
    ahead = feed.Place(1 << 60, new_id(), clock.now())
    cursor = feed.encode_cursor(ahead, database.dialect)
    with pytest.raises(CursorExpired):
        read(database, tenant, clock.now(), after=cursor)
