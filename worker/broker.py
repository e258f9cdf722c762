"""The Dramatiq broker: it carries hints, ids only, and may lose any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Retries
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from config.crash_points import C04_PUSHED, C06_DEQUEUED, C13_UNACKNOWLEDGED, at
from config.errors import TillbellError
from config.log import get_logger
from dispatcher.drain import Drainer
from dispatcher.facts import Emit, Fact, HintLost, line_of
from dispatcher.hints import Hints, in_batches
from dispatcher.relay import Relay
from engine.errors import DatabaseUnavailable
from worker.redis_broker import BellBroker

log = get_logger("broker")

QUEUE = "tillbell"
RELAY = "relay_outbox"
DRAIN = "drain_mailboxes"
#: Relay hints closer together than this are one hint.
COALESCE_SECONDS = 0.005
#: After a failure hints are dropped this long: the sweep finds what they would have said.
SILENCE_SECONDS = 1.0
#: How often an idle thread looks whether it shall end; a hint wakes it at once.
WORKER_TIMEOUT_MILLISECONDS = 250
HEARTBEAT_TIMEOUT_MILLISECONDS = 15_000
MAINTENANCE_CHANCE = 10_000
#: A hint that failed is of no use to anybody; Dramatiq would keep it for a week.
DEAD_MESSAGE_MILLISECONDS = 60_000
#: With so many hints unread nobody reads them: more would fill the broker and storm who comes back.
HINTS_UNREAD_MAX = 5_000


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
        broker = BellBroker(  # type: ignore[no-untyped-call]  # dramatiq leaves it untyped
            # Given a URL, Dramatiq would drop the timeouts.
            client=Redis.from_url(url, socket_connect_timeout=1, socket_timeout=10),
            middleware=middleware,
            namespace=QUEUE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT_MILLISECONDS,
            maintenance_chance=MAINTENANCE_CHANCE,
            dead_message_ttl=DEAD_MESSAGE_MILLISECONDS,
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


def declare_actors(
    broker: dramatiq.Broker,
    relay: Relay,
    drainer: Drainer,
    heard: Callable[[], None] = lambda: None,
) -> None:
    """Say what each hint does in a process that works; ``heard`` is told of each."""

    def relay_outbox() -> None:
        heard()
        with database_may_be_away(RELAY):
            relay.run_until_empty()

    def drain_mailboxes(endpoint_ids: list[str]) -> None:
        heard()
        with database_may_be_away(DRAIN):
            drainer.take(endpoint_ids)

    dramatiq.actor(actor_name=RELAY, queue_name=QUEUE, broker=broker)(relay_outbox)
    dramatiq.actor(actor_name=DRAIN, queue_name=QUEUE, broker=broker)(drain_mailboxes)


class DrainHere:
    """Drains in this process what its relay feeds: another way through the broker would cost time.

    A drainer that is half full passes it on, so that other workers have their share.
    """

    def __init__(self, drainer: Drainer, others: Hints) -> None:
        self._drainer = drainer
        self._others = others

    def relay(self) -> None:
        """Say that the outbox holds something."""
        self._others.relay()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Lease these mailboxes soon, here or elsewhere."""
        if not self._drainer.take_soon(endpoint_ids):
            self._others.drain(endpoint_ids)


def create_worker(broker: dramatiq.Broker, *, threads: int) -> dramatiq.Worker:
    """Return the consumer of hints, not yet started."""
    return dramatiq.Worker(
        broker, worker_threads=threads, worker_timeout=WORKER_TIMEOUT_MILLISECONDS
    )


def stop_worker(worker: dramatiq.Worker, timeout_milliseconds: int) -> None:
    """Stop consuming; hints that cannot be given back to an absent broker are lost, as any may."""
    try:
        worker.stop(timeout=timeout_milliseconds)
    except (BrokerConnectionError, RedisError) as error:
        log.warning("hints.lost", reason=str(error)[:200])


class BrokerHints:
    """Sends hints from a thread of its own: a slow or absent broker never holds up a commit."""

    def __init__(self, broker: dramatiq.Broker) -> None:
        self._broker = broker
        self._broker.declare_queue(QUEUE)
        #: Who is told of a lost hint.
        self.emit: Emit = _warn
        self._relay_wanted = False
        #: In the order they were named; one that is named again before it is sent is one.
        self._drains: dict[str, None] = {}
        self._wake = threading.Event()
        self._closing = False
        self._silent_until = 0.0
        self._counted_at = -SILENCE_SECONDS
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def relay(self) -> None:
        """Say that the outbox holds something; many in a row are sent as one."""
        with self._lock:
            self._relay_wanted = True
        self._wake.set()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Say that these mailboxes are due."""
        with self._lock:
            self._drains.update(dict.fromkeys(endpoint_ids))
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
                self._send_all()  # what came while the first were being sent
                return
            time.sleep(COALESCE_SECONDS)

    def _send_all(self) -> None:
        with self._lock:
            due, self._drains = list(self._drains), {}
            relay, self._relay_wanted = self._relay_wanted, False
        if relay:
            self._send(RELAY)
        for endpoint_ids in in_batches(due):
            self._send(DRAIN, list(endpoint_ids))

    def _send(self, actor_name: str, *arguments: list[str]) -> None:
        if self._is_silent():
            return
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=QUEUE, actor_name=actor_name, args=arguments, kwargs={}, options={}
        )
        try:
            self._broker.enqueue(message)
            at(C04_PUSHED)
        except (BrokerConnectionError, RedisError) as error:
            self._be_silent(str(error)[:200])

    def _is_silent(self) -> bool:
        """Tell whether hints are dropped now; how many are unread is asked once a second."""
        now = time.monotonic()
        if now >= self._silent_until and now >= self._counted_at + SILENCE_SECONDS:
            self._counted_at = now
            try:
                unread = count_unread(self._broker)
            except RedisError as error:
                self._be_silent(str(error)[:200])
            else:
                if unread > HINTS_UNREAD_MAX:
                    self._be_silent(f"{unread} hints are unread: is a worker running?")
        return now < self._silent_until

    def _be_silent(self, reason: str) -> None:
        self._silent_until = time.monotonic() + SILENCE_SECONDS
        self.emit(HintLost(reason=reason))


def _warn(fact: Fact) -> None:
    log.warning(fact.name, **line_of(fact))


def count_unread(broker: dramatiq.Broker) -> int:
    """Return how many hints wait in the broker; raises RedisError."""
    if isinstance(broker, StubBroker):
        return int(broker.queues[QUEUE].qsize())
    assert isinstance(broker, RedisBroker)
    return int(broker.client.llen(f"{QUEUE}:{QUEUE}"))


@contextmanager
def database_may_be_away(hint: str) -> Iterator[None]:
    """Let a hint come to nothing while the database is away: the sweep gives it again."""
    at(C06_DEQUEUED)
    try:
        yield
        at(C13_UNACKNOWLEDGED)
    except (DatabaseUnavailable, DBAPIError) as error:
        log.warning("hint.failed", hint=hint, reason=str(error)[:200])


def _without_password(url: str) -> str:
    """Return the address without user and query: both may hold a password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
