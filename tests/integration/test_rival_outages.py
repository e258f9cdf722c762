"""Where others stop for good: Redis restarted or emptied, the database away, the peers' bills.

Each test names whose defect it was; docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from redis import Redis
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.pool import NullPool
from structlog.testing import capture_logs

from dispatcher.tables import attempts
from engine.database import Database
from tests.installations import installed, publish, states, subscribe
from tests.own_redis import redis_at
from tests.processes import until
from tests.receivers import Receiver, receiving
from tests.server_kinds import new_database
from tests.servers import free_port
from worker.bootstrap import Application
from worker.processes import dispatching
from worker.schema import upgrade


def arrived(receiver: Receiver) -> Counter[str]:
    """Return how often each event came."""
    return Counter(each.headers["webhook-id"] for each in receiver.callbacks)


@pytest.mark.fault("F07")
def test_a_worker_outlives_its_redis(database: Database) -> None:
    """Redis stops, is started again empty, and the same worker goes on (Svix #1844, Outpost #719).

    What was accepted meanwhile is delivered too: the sweep says what no hint could (Convoy's 201).
    """
    port = free_port()
    with redis_at(port) as url, installed(database, url) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        with dispatching(application):
            ids = publish(application, tenant_id, 3)
            until(lambda: states(application) == {"succeeded": 3})
            with closing(Redis.from_url(url)) as redis:
                redis.shutdown(nosave=True)
            with capture_logs() as logs:
                ids += publish(application, tenant_id, 3)
                until(lambda: any(line["event"] == "hint.lost" for line in logs))
            with redis_at(port):
                until(lambda: _hinted(application, tenant_id, ids))
                application.sweep().run_once()
                until(lambda: states(application) == {"succeeded": len(ids)})
    assert dict.fromkeys(ids, 1) == arrived(receiver)


def _hinted(application: Application, tenant_id: str, ids: list[str]) -> bool:
    """Publish one more and tell whether a hint alone had it delivered."""
    ids += publish(application, tenant_id, 1)
    done = threading.Event()
    for _ in range(20):
        if states(application).get("succeeded", 0) > 3:
            return True
        done.wait(0.05)
    return False


def test_what_waits_for_its_retry_is_not_in_redis(database: Database, redis_url: str) -> None:
    """Everything in Redis gone while retries wait: each comes when it is due (Svix, Vexa #520).

    No delayed message was ever there to be lost, doubled or waited for (dramatiq #527, #431).
    """
    with (
        installed(database, redis_url, retry_schedule=[0, 1], retry_jitter=0) as application,
        receiving(Receiver(statuses=[500] * 5 + [200])) as receiver,
        closing(Redis.from_url(redis_url)) as redis,
    ):
        tenant_id = subscribe(application, receiver.url)
        with dispatching(application):
            ids = publish(application, tenant_id, 5)
            until(lambda: states(application) == {"retrying": 5})
            assert [] == [key for key in redis.keys("*") if b".DQ" in key and b".bell" not in key]
            redis.flushdb()

            def swept() -> bool:
                application.sweep().run_once()
                return states(application) == {"succeeded": 5}

            until(swept)
    assert set(ids) == set(arrived(receiver))


@contextmanager
def away(url: str) -> Iterator[None]:
    """Cut every connection to a database and refuse new ones while the block runs."""
    target = make_url(url)
    admin = create_engine(
        target.set(database="postgres"), isolation_level="AUTOCOMMIT", poolclass=NullPool
    )
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {target.database} ALLOW_CONNECTIONS false"))
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(cut), {"name": target.database})
        try:
            yield
        finally:
            connection.execute(text(f"ALTER DATABASE {target.database} ALLOW_CONNECTIONS true"))
    admin.dispose()


def test_an_answer_that_came_while_the_database_was_away_is_kept(postgresql_url: str) -> None:
    """What could not be written down at once is written later, once (Convoy's lost retry, Svix).

    Three calls are out when the database goes; their answers come before it is back. Nothing is
    stuck, nothing is sent twice, and nobody moves them to a queue of the dead.
    """
    gate = threading.Event()
    with new_database(postgresql_url) as url, closing_database(Database(url)) as database:
        upgrade(database)
        with (
            installed(database, "memory://") as application,
            receiving(Receiver(statuses=(500, 200), gate=gate)) as receiver,
        ):
            tenant_id = subscribe(application, receiver.url)
            with dispatching(application), capture_logs() as logs:
                ids = publish(application, tenant_id, 3)
                until(lambda: receiver.in_flight == 3)
                with away(url):
                    gate.set()
                    until(lambda: any(line["event"] == "settle.retried" for line in logs))
                until(lambda: states(application) == {"retrying": 1, "succeeded": 2})
            with database.read() as connection:
                made = connection.execute(select(attempts.c.status_code)).scalars().all()
    assert dict.fromkeys(ids, 1) == arrived(receiver)
    assert [200, 200, 500] == sorted(made)


@contextmanager
def closing_database(database: Database) -> Iterator[Database]:
    """Close the connections of a database at the end, that it may be dropped."""
    yield database
    database.dispose()


def test_an_idle_worker_leaves_redis_alone(database: Database, own_redis: str) -> None:
    """It sleeps until it is rung instead of asking all day (Outpost #486: 129 M commands a month).

    Polling as quickly as a bell wakes took 540 commands a second, before and after any work.
    """

    def counted() -> tuple[int, int]:
        """Return how often somebody waited, and all commands but the test's own."""
        told: dict[str, dict[str, int]] = redis.info("commandstats")
        calls = {name: each["calls"] for name, each in told.items() if name != "cmdstat_info"}
        return calls.get("cmdstat_blpop", 0), sum(calls.values())

    with installed(database, own_redis) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        with closing(Redis.from_url(own_redis)) as redis, dispatching(application):
            publish(application, tenant_id, 5)
            until(lambda: states(application) == {"succeeded": 5})
            waits, commands = counted()
            until(lambda: counted()[0] >= waits + 4)
            waits_after, commands_after = counted()
    # Wait, ask, and what asking does inside Redis.
    assert commands_after - commands <= 6 * (waits_after - waits)
