"""Real processes told to stop, and killed, with callbacks in the air: nothing is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import func, select

from dispatcher.tables import attempts, deliveries, mailboxes
from tests.installations import publish, states, subscribe
from tests.processes import Running, running, until
from tests.receivers import Callback, Receiver, receiving
from worker.bootstrap import Application

IN_FLIGHT = 10
STOP_SECONDS = 30
#: Calls of one endpoint that may have no settlement at a kill: those in the air, and those whose
#: answer came since the last group commit, which a loaded machine can hold up.
UNSETTLED_MAX = 4 * IN_FLIGHT


class Slow(Receiver):
    """A receiver that takes its time over each callback, so that some are always in the air."""

    def take(self, callback: Callback) -> int:
        """Answer after 50 ms."""
        status = super().take(callback)
        time.sleep(0.05)
        return status


@contextmanager
def processes(application: Application, *verbs: str) -> Iterator[list[Running]]:
    """Run ``tillbell`` processes of one installation while the block runs."""
    environment = application.settings.as_environment() | {"TILLBELL_API_PORT": "0"}
    with ExitStack() as stack:
        started = [stack.enter_context(running([verb], environment)) for verb in verbs]
        for process in started:
            process.said(".started")
        yield started


def arrived(receiver: Receiver) -> Counter[str]:
    """Return how often each event arrived; repetitions carry identical bytes (I4)."""
    with receiver.lock:
        callbacks = list(receiver.callbacks)
    bodies = {each.headers["webhook-id"]: each.body for each in callbacks}
    assert all(bodies[each.headers["webhook-id"]] == each.body for each in callbacks)
    return Counter(each.headers["webhook-id"] for each in callbacks)


def settled(application: Application) -> set[str]:
    """Return the events whose delivery was recorded as succeeded."""
    with application.database.read() as connection:
        done = select(deliveries.c.event_id).where(deliveries.c.state == "succeeded")
        return set(connection.execute(done).scalars())


def leased(application: Application) -> int:
    """Return how many mailboxes somebody holds."""
    with application.database.read() as connection:
        held = select(func.count()).where(mailboxes.c.lease_until.is_not(None))
        return connection.execute(held).scalar_one()


def stopped(process: Running) -> float:
    """Tell a process to end, require that it does so in order, and return how long it took."""
    began = time.monotonic()
    assert 0 == process.stop(signal.SIGTERM), process.err
    assert "Traceback" not in "".join(process.err)
    return time.monotonic() - began


@pytest.mark.fault("F03")
def test_a_stopped_process_finishes_what_it_began(embedded: Application) -> None:
    """SIGTERM under load (F03): zero within 30 s, nothing held, the rest delivered later."""
    with receiving(Slow()) as receiver:
        tenant_id = subscribe(embedded, receiver.url)
        ids = publish(embedded, tenant_id, 400)
        with processes(embedded, "serve") as [serve]:
            until(lambda: len(receiver.callbacks) >= 60)
            assert stopped(serve) < STOP_SECONDS
        found = arrived(receiver)
        assert len(found) < len(ids)
        # What was in the air was finished and settled: nobody must wait for a lease to run out.
        assert {"succeeded": found.total()} == {
            name: count for name, count in states(embedded).items() if name != "pending"
        }
        assert 0 == leased(embedded)
        with processes(embedded, "serve") as [serve]:
            until(lambda: states(embedded) == {"succeeded": len(ids)})
            stopped(serve)
    found = arrived(receiver)
    assert set(ids) == set(found)
    assert found.total() - len(ids) <= IN_FLIGHT


@pytest.mark.fault("F03")
def test_a_receiver_that_never_answers_holds_up_no_stop(embedded: Application) -> None:
    """What hangs at SIGTERM ends with its deadline, is recorded, and is retried after a restart."""
    gate = threading.Event()
    with receiving(Receiver(gate=gate)) as receiver:
        tenant_id = subscribe(embedded, receiver.url)
        publish(embedded, tenant_id, 3)
        with processes(embedded, "serve") as [serve]:
            until(lambda: len(receiver.callbacks) == 3)
            assert stopped(serve) < STOP_SECONDS
        assert {"retrying": 3} == states(embedded)
        assert 0 == leased(embedded)
        with embedded.database.read() as connection:
            errors = connection.execute(select(attempts.c.error)).scalars().all()
        assert ["timeout"] * 3 == errors
        gate.set()
        with processes(embedded, "serve") as [serve]:
            until(lambda: states(embedded) == {"succeeded": 3})
            stopped(serve)


@pytest.mark.fault("F02")
@pytest.mark.parametrize(
    ("shape", "killed", "others"),
    [("embedded", "serve", []), ("production", "worker", ["scheduler"])],
)
def test_a_killed_process_loses_nothing(
    request: pytest.FixtureRequest, shape: str, killed: str, others: list[str]
) -> None:
    """SIGKILL in the middle of a drain (F02): after its lease another takes over, all arrive."""
    application: Application = request.getfixturevalue(shape)
    with receiving(Slow()) as one, receiving(Slow()) as two:
        ids = {
            receiver.url: publish(application, subscribe(application, receiver.url), 150)
            for receiver in (one, two)
        }
        with processes(application, *others):
            with processes(application, killed) as [victim]:
                until(lambda: min(len(one.callbacks), len(two.callbacks)) >= 40)
                victim.process.kill()
                victim.process.wait()
            assert leased(application)
            recorded = settled(application)
            with processes(application, killed) as [survivor]:
                until(everything_succeeded(application, 300))
                stopped(survivor)
    for receiver in (one, two):
        found = arrived(receiver)
        assert set(ids[receiver.url]) == set(found)
        twice = {event_id for event_id, count in found.items() if count > 1}
        assert set() == twice & recorded
        assert found.total() - len(found) <= UNSETTLED_MAX


def everything_succeeded(application: Application, count: int) -> Callable[[], bool]:
    """Return what tells whether every delivery arrived."""
    return lambda: states(application) == {"succeeded": count}
