"""The pull feed on both databases: commit order, exact bytes, and nothing lost or seen twice."""

from __future__ import annotations

import random
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime

import pytest
from sqlalchemy import select, text

from config.clock import FixedClock
from dispatcher import feed
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.events import EventDraft, publish_many
from engine.ids import new_id
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.feeds import (
    TYPE,
    everything_readable,
    ids,
    look,
    new_tenant,
    publish,
    read,
)

WRITERS, TRANSACTIONS = 8, 40


@pytest.fixture
def tenant(units: UnitsOfWork) -> str:
    """Return the id of a tenant."""
    return new_tenant(units)


class Writers:
    """Many transactions at once: some are held open, some rolled back."""

    def __init__(self, database: Database, tenant_ids: list[str]) -> None:
        self._database, self._tenant_ids = database, tenant_ids
        self.committed: dict[str, list[str]] = {tenant_id: [] for tenant_id in tenant_ids}
        self._lock = threading.Lock()

    def run(self, seed: int) -> None:
        """Write transactions of one to five events; a tenth stay open, a twentieth roll back."""
        chance = random.Random(seed)  # noqa: S311  # repeatable, not secret
        for _ in range(TRANSACTIONS):
            tenant_id = chance.choice(self._tenant_ids)
            try:
                event_ids = self._transaction(chance, tenant_id)
            except ZeroDivisionError:
                continue
            with self._lock:
                self.committed[tenant_id] += event_ids

    def _transaction(self, chance: random.Random, tenant_id: str) -> list[str]:
        drafts = [
            EventDraft(tenant_id=tenant_id, type=TYPE, data={"number": number})
            for number in range(chance.randint(1, 5))
        ]
        with self._database.write() as connection:
            event_ids = publish_many(connection, drafts)
            if not self._database.sqlite and chance.random() < 0.1:
                held = text("SELECT pg_sleep(:seconds)")
                connection.execute(held, {"seconds": chance.uniform(0.005, 0.05)})
            if chance.random() < 0.05:
                raise ZeroDivisionError
        return event_ids


def follow(database: Database, tenant_id: str, now: datetime, last: Future[int]) -> list[str]:
    """Read on, page by page, until the writers' ``last`` place was passed."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = look(database, tenant_id, now, after=cursor, limit=7)
        found += ids(page)
        cursor = page.next_cursor
        if not page.has_more and last.done():
            at = feed.decode_cursor(cursor, database.dialect).position
            if at >= last.result():
                return found


def test_a_follower_loses_nothing_and_sees_nothing_twice(
    database: Database, units: UnitsOfWork
) -> None:
    """Behind eight writers whose transactions overlap, followers see every event exactly once.

    A cursor over ids loses here what a transaction held open commits late (domain.md 3.3).
    """
    tenant_ids = [new_tenant(units), new_tenant(units)]
    now = database.now()
    writers, last = Writers(database, tenant_ids), Future[int]()
    with ThreadPoolExecutor(WRITERS + 2) as pool:
        following = [pool.submit(follow, database, each, now, last) for each in tenant_ids]
        for writing in [pool.submit(writers.run, seed) for seed in range(WRITERS)]:
            writing.result()
        last.set_result(everything_readable(database))
        found = [follower.result() for follower in following]
    for tenant_id, seen in zip(tenant_ids, found, strict=True):
        assert len(seen) == len(set(seen))
        assert sorted(writers.committed[tenant_id]) == sorted(seen)
        assert ids(read(database, tenant_id, now, limit=1000)) == seen[:1000]


def test_what_an_open_transaction_may_still_precede_is_not_read(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """An event waits while an older transaction is open, and both come in the order of those."""
    if database.sqlite:
        first = publish(database, clock, tenant)
        second = publish(database, clock, tenant)
        assert [first, second] == ids(read(database, tenant, clock.now()))
        return
    with database.engine.connect() as slow, slow.begin() as open_transaction:
        [first] = publish_many(slow, [EventDraft(tenant_id=tenant, type=TYPE, data={})])
        slow.execute(events.update().values(created_at=clock.now()))
        second = publish(database, clock, tenant, id=str(new_id()))
        page = look(database, tenant, clock.now())
        assert [] == ids(page)
        open_transaction.commit()
    after = read(database, tenant, clock.now(), after=page.next_cursor)
    assert [first, second] == ids(after)


def test_a_page_carries_the_exact_bytes(database: Database, tenant: str, clock: FixedClock) -> None:
    """The body of the feed, of the single event and of the table are the same bytes."""
    event_id = publish(database, clock, tenant)
    [event] = read(database, tenant, clock.now()).events
    with database.read() as connection:
        stored = connection.execute(select(events.c.body)).scalar_one()
        assert stored == event["body"]
        assert stored == feed.read_event(connection, tenant, event_id.upper())["body"]


def test_every_event_has_a_cursor_to_go_on_from(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """A reader that stopped in the middle of a page goes on behind the last event it kept."""
    published = [publish(database, clock, tenant) for _ in range(5)]
    page = read(database, tenant, clock.now(), limit=3)
    assert (published[:3], True) == (ids(page), page.has_more)
    assert page.next_cursor == page.events[-1]["cursor"]
    rest = read(database, tenant, clock.now(), after=page.events[0]["cursor"])
    assert (published[1:], False) == (ids(rest), rest.has_more)
    assert [] == ids(read(database, tenant, clock.now(), after=rest.next_cursor))


def test_a_feed_is_narrowed_and_still_moves_on(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """Type and subject narrow it; what they pass over is not looked at again."""
    about = {"subject_type": "order", "subject_id": "order-1"}
    wanted = publish(database, clock, tenant, **about)
    publish(database, clock, tenant)
    page = read(database, tenant, clock.now(), subject_id="order-1")
    assert [wanted] == ids(page)
    assert [] == ids(read(database, tenant, clock.now(), after=page.next_cursor))
    assert [] == ids(read(database, tenant, clock.now(), type_name="wallet.low_balance"))
    assert 2 == len(read(database, tenant, clock.now(), type_name=TYPE).events)


def test_a_tenant_reads_only_its_own(
    database: Database, units: UnitsOfWork, tenant: str, clock: FixedClock
) -> None:
    """Neither a page nor an id nor a cursor of its own shows a tenant another's events."""
    other = new_tenant(units)
    mine, theirs = publish(database, clock, tenant), publish(database, clock, other)
    page = read(database, tenant, clock.now())
    assert [mine] == ids(page)
    assert [theirs] == ids(read(database, other, clock.now(), after=page.events[0]["cursor"]))
    with database.read() as connection, pytest.raises(NotFound) as hidden:
        feed.read_event(connection, tenant, theirs)
    missing_id = new_id()
    with database.read() as connection, pytest.raises(NotFound) as missing:
        feed.read_event(connection, tenant, missing_id)
    assert hidden.value.message.replace(theirs, missing_id) == missing.value.message


@pytest.mark.parametrize("cursor", ["", "x", "é", "AAAA", "A" * 45, "0" * 5000, "01a2-not", "\0"])
def test_text_that_is_no_cursor_is_refused_by_its_field(
    database: Database, tenant: str, clock: FixedClock, cursor: str
) -> None:
    """Whatever was typed, the refusal names ``after``."""
    with pytest.raises(InvalidInput) as refused:
        read(database, tenant, clock.now(), after=cursor)
    assert "after" == refused.value.details["field"]


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_limit_out_of_bounds_is_refused(
    database: Database, tenant: str, clock: FixedClock, limit: int
) -> None:
    """A page has 1 to 1,000 events."""
    with pytest.raises(InvalidInput, match="limit"):
        read(database, tenant, clock.now(), limit=limit)


def test_compacting_the_embedded_database_keeps_every_place(
    database: Database, tenant: str, clock: FixedClock
) -> None:
    """VACUUM after a purge moves no event past a reader's cursor."""
    published = [publish(database, clock, tenant) for _ in range(6)]
    cursor = read(database, tenant, clock.now(), limit=4).next_cursor
    with database.write() as connection:
        connection.execute(text("DELETE FROM outbox"))
        connection.execute(events.delete().where(events.c.id.in_(published[:2])))
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as bare:
        if not database.sqlite:
            bare.execute(text("VACUUM events"))
        else:
            bare.connection.driver_connection.execute("VACUUM")  # type: ignore[union-attr]  # it is open
    assert published[4:] == ids(read(database, tenant, clock.now(), after=cursor))
