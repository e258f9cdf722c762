"""F51: messages of another version in Redis: understood, or dropped and hinted anew."""

from __future__ import annotations

import dramatiq
import pytest
from dramatiq.brokers.redis import RedisBroker
from structlog.testing import capture_logs

from engine.database import Database
from tests.faults.load import everything_succeeded, exactly_once, wait
from tests.faults.plugin import Reached
from tests.installations import installed, publish, subscribe
from tests.processes import until
from tests.receivers import receiving
from worker.broker import DRAIN, QUEUE, RELAY, count_unread
from worker.processes import dispatching

#: What an older or a newer worker might have left: an actor that is gone, arguments that changed.
OTHERS: tuple[tuple[str, tuple[object, ...], dict[str, object]], ...] = (
    ("deliver_one", ("01a2",), {}),
    (RELAY, ("unexpected",), {}),
    (RELAY, (), {"since": 7}),
    (DRAIN, (), {}),
    (DRAIN, ([], "second"), {}),
    (DRAIN, (["no such mailbox"],), {}),
    (DRAIN, ({"ids": ["x"]},), {}),
    (DRAIN, (None,), {}),
)


@pytest.mark.fault("F51")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_messages_of_another_version_cost_nothing(
    database: Database, redis_url: str, reached: Reached
) -> None:
    """They wait in Redis when the worker comes: none ends it, and every event arrives once."""
    count = reached.times(40, 100)
    with installed(database, redis_url) as application, receiving() as receiver:
        tenant_id = subscribe(application, receiver.url)
        broker = application.broker
        assert isinstance(broker, RedisBroker)
        for number in range(count):
            actor, given, named = OTHERS[number % len(OTHERS)]
            broker.enqueue(
                dramatiq.Message(
                    queue_name=QUEUE, actor_name=actor, args=given, kwargs=named, options={}
                )
            )
        broker.client.rpush(f"{QUEUE}:{QUEUE}", b"no id of a message")
        ids = publish(application, tenant_id, 3)
        with capture_logs(), dispatching(application):
            ids += publish(application, tenant_id, 3)

            def swept() -> bool:
                application.sweep().run_once()
                wait(0.1)
                return len(receiver.callbacks) >= len(ids)

            until(swept)
            everything_succeeded(application, len(ids))
            until(lambda: count_unread(broker) == 0)
    exactly_once(receiver, ids)
    reached.says(
        "F51",
        f"{count} messages of {len(OTHERS)} kinds that no worker of this version sends: "
        "dropped, the worker went on, every event delivered once",
    )
