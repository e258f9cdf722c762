"""Dramatiq's Redis broker with a bell: an idle worker sleeps in Redis instead of asking again.

Dramatiq's consumer polls. Often enough to be quick, it asks an idle Redis 180 times a second, which
costs 540 commands (measured); seldom enough to be cheap, a hint waits for most of a second. So who
enqueues rings, and who finds nothing waits for the bell. One that is lost costs a wait's length.
"""

from __future__ import annotations

from typing import Any

from dramatiq import Consumer, Message, MessageProxy
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.errors import ConnectionClosed
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

#: How often an idle worker asks all the same.
WAIT_SECONDS = 1
#: How long an idle consumer sleeps before it waits for the bell.
SLEEP_MILLISECONDS = 5
#: Bells kept while everybody is busy: so many workers are woken at once.
BELLS_MAX = 16


class BellBroker(RedisBroker):
    """A Redis broker whose consumers wait for the bell of their queue."""

    @property
    def consumer_class(self) -> type[_RedisConsumer]:
        """Return the kind of consumer that waits."""
        return _BellConsumer

    def consume(
        self, queue_name: str, prefetch: int = 1, timeout: int = SLEEP_MILLISECONDS
    ) -> Consumer:
        """Return a consumer that hardly sleeps before it waits for the bell, whatever is asked."""
        del timeout
        return super().consume(queue_name, prefetch, SLEEP_MILLISECONDS)

    def enqueue(self, message: Message[Any], *, delay: int | None = None) -> Message[Any]:
        """Enqueue a message and wake one who waits for its queue."""
        enqueued = super().enqueue(message, delay=delay)
        bell = self.bell_of(enqueued.queue_name)
        with self.client.pipeline(transaction=False) as pipeline:
            pipeline.rpush(bell, b"")
            pipeline.ltrim(bell, -BELLS_MAX, -1)
            pipeline.execute()
        return enqueued

    def bell_of(self, queue_name: str) -> str:
        """Return the key of a queue's bell."""
        return f"{self.namespace}:{queue_name}.bell"


class _BellConsumer(_RedisConsumer):
    def __next__(self) -> MessageProxy | None:
        """Return the next message, or None once the bell rang or the wait was over."""
        found: MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]  # dramatiq's
        if found is None and self.outstanding_message_count < self.prefetch:
            try:
                self.broker.client.blpop(self.broker.bell_of(self.queue_name), WAIT_SECONDS)
            except (RedisConnectionError, RedisTimeoutError) as error:
                raise ConnectionClosed(error) from None  # type: ignore[no-untyped-call]  # dramatiq's
        return found
