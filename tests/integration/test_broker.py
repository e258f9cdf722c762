"""Hints over both brokers: they arrive, they may be lost, and nobody need read them."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing

import pytest
from redis import Redis
from structlog.testing import capture_logs

from engine.database import Database
from tests.faults.proxy import proxied, through
from tests.installations import installed, publish, states, subscribe
from tests.processes import until
from tests.receivers import Receiver, receiving
from worker import broker as broker_module
from worker.broker import (
    DRAIN,
    QUEUE,
    RELAY,
    BrokerHints,
    count_unread,
    create_broker,
)
from worker.processes import dispatching


@pytest.fixture(params=["memory", "redis"])
def broker_url(request: pytest.FixtureRequest) -> str:
    """Return the address of each kind of broker."""
    if request.param == "memory":
        return "memory://"
    return str(request.getfixturevalue("redis_url"))


def test_a_commit_reaches_its_receiver_by_hints_alone(database: Database, broker_url: str) -> None:
    """Relay hint, drain hint, delivery: nobody sweeps, and nothing is left unread."""
    with installed(database, broker_url) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        ids: list[str] = []
        with dispatching(application):
            for _ in range(10):
                ids += publish(application, tenant_id, 10)
                until(lambda: states(application) == {"succeeded": len(ids)})  # noqa: B023  # called at once
        found = Counter(each.headers["webhook-id"] for each in receiver.callbacks)
        assert dict.fromkeys(ids, 1) == found
        assert 0 == count_unread(application.broker)


def test_what_is_fed_while_a_mailbox_drains_needs_no_sweep(
    database: Database, broker_url: str
) -> None:
    """The hint comes while the mailbox is leased: who gives it back takes it again."""
    gate = threading.Event()
    with (
        installed(database, broker_url) as application,
        receiving(Receiver(gate=gate)) as receiver,
    ):
        tenant_id = subscribe(application, receiver.url)
        with dispatching(application):
            publish(application, tenant_id)
            until(lambda: len(receiver.callbacks) == 1)
            publish(application, tenant_id, 3)
            until(lambda: states(application) == {"pending": 4})
            until(lambda: count_unread(application.broker) == 0)
            gate.set()
            until(lambda: states(application) == {"succeeded": 4})


def test_a_hint_from_another_process_arrives_over_redis(database: Database, redis_url: str) -> None:
    """Who publishes need not be who delivers."""
    with (
        installed(database, redis_url) as publisher,
        installed(database, redis_url) as worker,
        receiving() as receiver,
    ):
        tenant_id = subscribe(publisher, receiver.url)
        with dispatching(worker):
            publish(publisher, tenant_id, 3)
            until(lambda: states(publisher) == {"succeeded": 3})


@pytest.mark.fault("F63")
def test_hints_carry_ids_only(database: Database, redis_url: str) -> None:
    """Nothing of an event, a URL or a secret is ever in Redis (F63)."""
    with installed(database, redis_url) as application:
        tenant_id = subscribe(application, "http://127.0.0.1:9/canary")
        publish(application, tenant_id)
        application.relay().run_until_empty()
        until(lambda: count_unread(application.broker) == 2)
        with closing(Redis.from_url(redis_url)) as redis:
            kept = redis.hgetall(f"{QUEUE}:{QUEUE}.msgs")
    text = repr(kept)
    assert RELAY in text
    assert DRAIN in text
    assert "canary" not in text
    assert "whsec" not in text
    assert "number" not in text


def test_flushing_redis_loses_nothing(database: Database, redis_url: str) -> None:
    """200 events, everything in Redis gone every 50: the sweep finds what no hint said (F06)."""
    with installed(database, redis_url) as application, receiving() as receiver:
        tenant_id, sweep = subscribe(application, receiver.url), application.sweep()
        ids: list[str] = []
        with closing(Redis.from_url(redis_url)) as redis, dispatching(application):
            for _ in range(4):
                ids += publish(application, tenant_id, 50)
                redis.flushdb()

            def swept() -> bool:
                sweep.run_once()
                return states(application) == {"succeeded": 200}

            until(swept)
    found = Counter(each.headers["webhook-id"] for each in receiver.callbacks)
    assert dict.fromkeys(ids, 1) == found


@pytest.mark.fault("F06")
def test_hints_flushed_before_anybody_read_them_are_given_again(
    database: Database, redis_url: str
) -> None:
    """Published and relayed with no worker there, then flushed: the next worker still delivers."""
    with installed(database, redis_url) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        publish(application, tenant_id, 2)
        application.relay().run_until_empty()
        publish(application, tenant_id, 2)
        until(lambda: count_unread(application.broker) >= 2)
        with closing(Redis.from_url(redis_url)) as redis:
            redis.flushdb()
        with dispatching(application):

            def swept() -> bool:
                application.sweep().run_once()
                return states(application) == {"succeeded": 4}

            until(swept)


@pytest.mark.fault("F07")
def test_hints_that_nobody_reads_do_not_pile_up(
    broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a worker the broker is not filled: what is dropped the sweep says again (F07)."""
    monkeypatch.setattr(broker_module, "HINTS_UNREAD_MAX", 15)
    monkeypatch.setattr(broker_module, "SILENCE_SECONDS", 0.01)
    broker = create_broker(broker_url)
    hints = BrokerHints(broker)
    with capture_logs() as logs:
        for _ in range(40):
            hints.drain(["m"])
            threading.Event().wait(0.01)
        hints.close()
    assert 15 <= count_unread(broker) < 40
    assert any("is a worker running?" in line.get("reason", "") for line in logs)
    broker.close()


def test_many_relay_hints_are_sent_as_one(broker_url: str) -> None:
    """A burst of commits is a few messages; every mailbox named is in one."""
    broker = create_broker(broker_url)
    hints = BrokerHints(broker)
    for _ in range(2000):
        hints.relay()
    hints.drain(["a", "b"])
    hints.close()
    assert 2 <= count_unread(broker) < 500
    broker.close()


@pytest.mark.fault("F07")
def test_a_mailbox_named_again_and_again_is_one_hint(own_redis: str) -> None:
    """While Redis is slow nothing piles up before it: what is said again meanwhile is said once."""
    with proxied("127.0.0.1", 0) as proxy:
        broker = create_broker(through(proxy, own_redis))
        hints = BrokerHints(broker)
        proxy.back.frozen = True
        hints.drain(["first"])
        until(lambda: proxy.counts.connections > 0)
        for _ in range(1000):
            hints.drain(["a", "b"])
        proxy.back.frozen = False
        hints.close(10)
        assert 2 == count_unread(broker)
        broker.close()
