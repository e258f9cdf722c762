"""The Dramatiq broker: it carries hints, ids only, and may lose any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Retries
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from config.errors import TillbellError
from config.log import get_logger
from dispatcher.drain import Drainer
from dispatcher.relay import Relay
from engine.errors import DatabaseUnavailable

log = get_logger("broker")

QUEUE = "tillbell"
RELAY = "relay_outbox"
DRAIN = "drain_mailboxes"
#: Relay hints closer together than this are one hint.
COALESCE_SECONDS = 0.005
#: After a failure hints are dropped this long: the sweep finds what they would have said.
SILENCE_SECONDS = 1.0
#: The consumer polls; these keep an idle queue's latency near 10 ms (ceilings E).
WORKER_TIMEOUT_MILLISECONDS = 15
HEARTBEAT_TIMEOUT_MILLISECONDS = 15_000
MAINTENANCE_CHANCE = 10_000


class BrokerUnavailable(TillbellError):
    """The broker cannot be reached, or would forget messages while it is up."""

    code = "BROKER_UNAVAILABLE"


def create_broker(url: str) -> dramatiq.Broker:
    """Return the in-process broker for ``memory://``, else one on Redis; nothing connects yet.

    Dramatiq's own retries stay off: back-off lives in ``deliveries.next_attempt_at``.
    """
    middleware: list[dramatiq.Middleware] = [Retries(max_retries=0)]
    if url == "memory://":
        broker: dramatiq.Broker = StubBroker(middleware=middleware)
    else:
        broker = RedisBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
            url=url,
            middleware=middleware,
            namespace=QUEUE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MILLISECONDS,
            maintenance_chance=MAINTENANCE_CHANCE,
            socket_connect_timeout=1,
            socket_timeout=10,
        )
    return broker


def check_broker(url: str) -> None:
    """Raise BrokerUnavailable unless Redis answers and keeps what it is given (F08)."""
    if url == "memory://":
        return
    client: Redis = Redis.from_url(url, socket_connect_timeout=2, socket_timeout=2)
    try:
        policy = client.info("memory").get("maxmemory_policy", "noeviction")
    except RedisError as error:
        raise BrokerUnavailable(
            f"the broker does not answer: {_without_password(url)} ({error})"
        ) from None
    finally:
        client.close()
    if policy.startswith("allkeys"):
        raise BrokerUnavailable(
            f"the broker evicts keys (maxmemory-policy {policy}); set it to noeviction"
        )


def declare_actors(broker: dramatiq.Broker, relay: Relay, drainer: Drainer) -> None:
    """Say what each hint does in a process that works."""

    def relay_outbox() -> None:
        with _database_may_be_away(RELAY):
            relay.run_until_empty()

    def drain_mailboxes(endpoint_ids: list[str]) -> None:
        with _database_may_be_away(DRAIN):
            drainer.take(endpoint_ids)

    dramatiq.actor(actor_name=RELAY, queue_name=QUEUE, broker=broker)(relay_outbox)
    dramatiq.actor(actor_name=DRAIN, queue_name=QUEUE, broker=broker)(drain_mailboxes)


def create_worker(broker: dramatiq.Broker, *, threads: int) -> dramatiq.Worker:
    """Return the consumer of hints, not yet started."""
    return dramatiq.Worker(
        broker, worker_threads=threads, worker_timeout=WORKER_TIMEOUT_MILLISECONDS
    )


class BrokerHints:
    """Sends hints from a thread of its own: a slow or absent broker never holds up a commit."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._broker.declare_queue(QUEUE)
        self._relay_wanted = False
        self._drains: list[list[str]] = []
        self._wake = threading.Event()
        self._closing = False
        self._silent_until = 0.0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def relay(self) -> None:
        """Say that the outbox holds something; many in a row are sent as one."""
        self._relay_wanted = True
        self._wake.set()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Say that these mailboxes are due."""
        with self._lock:
            self._drains.append(list(endpoint_ids))
        self._wake.set()

    def close(self, timeout_seconds: float = 2.0) -> None:
        """Send what is left and end."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            self._send_all()
            if self._closing:
                return
            time.sleep(COALESCE_SECONDS)

    def _send_all(self) -> None:
        with self._lock:
            drains, self._drains = self._drains, []
            relay, self._relay_wanted = self._relay_wanted, False
        if relay:
            self._send(RELAY)
        for endpoint_ids in drains:
            self._send(DRAIN, endpoint_ids)

    def _send(self, actor_name: str, *arguments: list[str]) -> None:
        if time.monotonic() < self._silent_until:
            return
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=actor_name, args=arguments, kwargs={}, options={}
        )
        try:
            self._broker.enqueue(message)
        except (BrokerConnectionError, RedisError) as error:
            self._silent_until = time.monotonic() + SILENCE_SECONDS
            log.warning("hint.lost", reason=str(error)[:200])


@contextmanager
def _database_may_be_away(hint: str) -> Iterator[None]:
    """Let a hint come to nothing while the database is away: the sweep gives it again."""
    try:
        yield
    except (DatabaseUnavailable, DBAPIError) as error:
        log.warning("hint.failed", hint=hint, reason=str(error)[:200])


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
