"""A steady load on an installation, and what must hold of its callbacks afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from engine.database import Database
from tests.installations import publish, states, subscribe
from tests.processes import until
from tests.receivers import Receiver
from tests.server_kinds import new_database
from worker.bootstrap import Application
from worker.processes import dispatching, scheduling
from worker.schema import upgrade

TICK_SECONDS = 0.1
_PAUSE = threading.Event()


@contextmanager
def own_database(postgresql_url: str) -> Iterator[Database]:
    """Return a database of this test alone, with the schema that the migrations make."""
    with new_database(postgresql_url) as url:
        database = Database(url)
        upgrade(database)
        try:
            yield database
        finally:
            database.dispose()


@contextmanager
def at_work(application: Application) -> Iterator[None]:
    """Deliver, sweep and reconcile as the processes do, while the block runs."""
    with dispatching(application), scheduling(application):
        yield


def wait(seconds: float) -> None:
    """Let time pass: a fault lasts as long as it lasts."""
    _PAUSE.wait(seconds)


def resellers(application: Application, receiver: Receiver, count: int) -> list[str]:
    """Create tenants with an endpoint each and return the tenants' ids."""
    return [subscribe(application, receiver.url) for _ in range(count)]


def steadily(
    application: Application,
    tenant_ids: Sequence[str],
    *,
    events: int,
    seconds: float,
    meanwhile: Callable[[float], None] = lambda _: None,
) -> list[str]:
    """Publish so many events evenly over some seconds and return their ids.

    ``meanwhile`` is called each tick with the seconds passed: there faults are made.
    """
    ids: list[str] = []
    began = time.monotonic()
    ticks = max(1, round(seconds / TICK_SECONDS))
    for tick in range(1, ticks + 1):
        wanted = events * tick // ticks - len(ids)
        if wanted:
            ids += publish(application, tenant_ids[tick % len(tenant_ids)], wanted)
        meanwhile(time.monotonic() - began)
        wait(began + tick * TICK_SECONDS - time.monotonic())
    return ids


def everything_succeeded(application: Application, count: int, *, seconds: float = 60.0) -> float:
    """Wait until every delivery succeeded and return how many seconds that took."""
    began = time.monotonic()
    until(
        lambda: states(application) == {"succeeded": count},
        lambda: f"{count} events, but {states(application)}",
        seconds=seconds,
    )
    return time.monotonic() - began


def exactly_once(receiver: Receiver, ids: Sequence[str]) -> None:
    """Require that each event came once and nothing else came (I1, I2 and I4 without kills)."""
    with receiver.lock:
        found = Counter(each.headers["webhook-id"] for each in receiver.callbacks)
    assert dict.fromkeys(ids, 1) == found
