"""A broker that is away, full or forgetful: named where it matters, and no commit waits for it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import dramatiq
import pytest
from redis import Redis
from structlog.testing import capture_logs

from dispatcher.hints import MAILBOXES_PER_HINT
from engine.database import Database
from tests.installations import installed, publish, states, subscribe
from tests.processes import until
from tests.receivers import Receiver, receiving
from tests.servers import free_port
from worker.broker import (
    DRAIN,
    QUEUE,
    BrokerHints,
    BrokerUnavailable,
    check_broker,
    create_broker,
    create_worker,
    stop_worker,
)
from worker.processes import dispatching


@contextmanager
def silent_server() -> Iterator[str]:
    """Yield the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def no_server() -> Iterator[str]:
    """Yield an address where nobody listens."""
    yield f"redis://127.0.0.1:{free_port()}"


@pytest.mark.parametrize("away", [silent_server, no_server])
def test_an_absent_broker_holds_up_no_commit(
    database: Database, away: Callable[[], AbstractContextManager[str]]
) -> None:
    """Commits are as fast as ever, a warning is logged, and what was committed stands."""
    with away() as url, installed(database, url) as application:
        tenant_id = subscribe(application, "http://127.0.0.1:9/hook")
        with capture_logs() as logs:
            for _ in range(5):
                began = time.monotonic()
                publish(application, tenant_id)
                assert time.monotonic() - began < 0.5
            if away is no_server:
                until(lambda: any(line["event"] == "hint.lost" for line in logs))
        assert 5 == application.relay().run_until_empty()
        if away is no_server:
            [line, *_] = [each for each in logs if each["event"] == "hint.lost"]
            assert "warning" == line["log_level"]


def test_a_worker_leaves_in_order_although_its_broker_is_gone(
    database: Database, own_redis: str
) -> None:
    """Redis dies under load: what is in flight is settled, and nothing is raised at the end."""
    gate = threading.Event()
    with installed(database, own_redis) as application, receiving(Receiver(gate=gate)) as receiver:
        tenant_id = subscribe(application, receiver.url)
        with dispatching(application):
            publish(application, tenant_id, 3)
            until(lambda: len(receiver.callbacks) == 3)
            with closing(Redis.from_url(own_redis)) as redis:
                redis.shutdown(nosave=True)
            gate.set()
        assert {"succeeded": 3} == states(application)


def test_hints_in_hand_are_lost_with_their_broker(own_redis: str) -> None:
    """What was fetched and cannot be given back is dropped with a warning, not raised."""
    busy, gate = threading.Event(), threading.Event()

    def drain_mailboxes(_: list[str]) -> None:
        busy.set()
        gate.wait()  # for ever: what it would do next is try to reach a Redis that is gone

    broker = create_broker(own_redis)
    dramatiq.actor(actor_name=DRAIN, queue_name=QUEUE, broker=broker)(drain_mailboxes)
    worker, hints = create_worker(broker, threads=1), BrokerHints(broker)
    worker.start()
    hints.drain([f"mailbox {number}" for number in range(3 * MAILBOXES_PER_HINT)])
    assert busy.wait(10)
    until(lambda: not worker.work_queue.empty())
    with closing(Redis.from_url(own_redis)) as redis:
        redis.shutdown(nosave=True)
    with capture_logs() as logs:
        stop_worker(worker, 500)
    assert ["hints.lost"] == [line["event"] for line in logs]
    hints.close()
    broker.close()


def test_a_broker_that_is_slow_is_waited_for_a_moment_only() -> None:
    """Connections to Redis time out: neither hints nor the consumer hang for ever."""
    with closing(create_broker("redis://127.0.0.1:6379/0")) as broker:
        given = broker.client.connection_pool.connection_kwargs  # type: ignore[attr-defined]  # of Redis
    assert (1, 10) == (given["socket_connect_timeout"], given["socket_timeout"])


@pytest.mark.fault("F08")
@pytest.mark.parametrize(
    ("policy", "accepted"),
    [
        ("noeviction", True),
        ("volatile-lru", True),
        ("allkeys-lru", False),
        ("allkeys-lfu", False),
        ("allkeys-random", False),
    ],
)
def test_a_broker_that_would_forget_is_refused(
    own_redis: str, policy: str, *, accepted: bool
) -> None:
    """Policies that evict any key are refused by name (F08); those for keys that expire are not."""
    with closing(Redis.from_url(own_redis)) as redis:
        redis.config_set("maxmemory-policy", policy)
    if accepted:
        check_broker(own_redis)
        return
    with pytest.raises(BrokerUnavailable, match=policy) as refusal:
        check_broker(own_redis)
    assert "noeviction" in refusal.value.message


def test_an_absent_broker_is_named_without_its_password() -> None:
    """The refusal says where it looked; user, password and options stay out of it."""
    url = f"redis://user:hush@127.0.0.1:{free_port()}/3?password=hush"
    with pytest.raises(BrokerUnavailable) as refusal:
        check_broker(url)
    assert "redis://127.0.0.1:" in refusal.value.message
    assert "/3" in refusal.value.message
    assert "hush" not in refusal.value.message
    check_broker("memory://")


def test_a_full_broker_costs_hints_and_nothing_else(database: Database, own_redis: str) -> None:
    """Redis at its memory limit refuses writes (F08): commits go on, the sweep delivers."""
    with closing(Redis.from_url(own_redis)) as redis:
        redis.config_set("maxmemory", 1)
    with installed(database, own_redis) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        with capture_logs() as logs:
            publish(application, tenant_id, 2)
            until(lambda: any(line["event"] == "hint.lost" for line in logs))
        drainer = application.drainer()
        drainer.start()
        application.relay().run_until_empty()
        assert 2 == drainer.run_once()
        drainer.stop()
