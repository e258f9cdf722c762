"""An installation whose processes are made to die, and receivers that remember what they heard."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from dispatcher import endpoints
from dispatcher.tables import deliveries, mailboxes
from engine import tenants
from engine.database import IDLE_IN_TRANSACTION_SECONDS, Database, wait_for_locks
from engine.tables import outbox
from tests.faults.oracle import Heard
from tests.installations import installed, publish
from tests.receivers import Callback, Receiver
from tests.server_kinds import new_database
from worker.bootstrap import Application
from worker.schema import upgrade

#: Quick enough to see a retry, long enough for a schedule that nothing here uses up.
SETTINGS: dict[str, Any] = {
    "delivery_deadline_seconds": 1.0,
    "retry_schedule": [0] + [1] * 30,
    "sweep_interval_seconds": 0.1,
    "product_window_seconds": 0,
    "circuit_failures": 1000,
}


@dataclass
class Listener(Receiver):
    """Hears for many endpoints, a path each; ``script`` says what a path answers in turn."""

    heard: list[Heard] = field(default_factory=list)
    endpoint_of: dict[str, str] = field(default_factory=dict)
    script: dict[str, Sequence[int]] = field(default_factory=dict)
    delay_seconds: float = 0.0

    def take(self, callback: Callback) -> int:
        """Remember who was called about what; each event has its own turn of the script."""
        event_id = callback.headers["webhook-id"]
        endpoint_id = self.endpoint_of[callback.path]
        if len(callback.body) < int(callback.headers["content-length"]):
            return 400  # whoever sent it is gone, and a part of a callback is none
        mine = (endpoint_id, event_id)
        script = self.script.get(callback.path)
        with self.lock:
            # Looked for only where it matters: the list grows long.
            earlier = sum(mine == each[:2] for each in self.heard) if script else 0
            self.heard.append(Heard(*mine, callback.body, time.monotonic()))
        if self.gate is not None:
            self.gate.wait(10)
        if self.delay_seconds:
            time.sleep(self.delay_seconds)
        return script[min(earlier, len(script) - 1)] if script else 200

    def everything(self) -> list[Heard]:
        """Return what was heard so far."""
        with self.lock:
            return list(self.heard)


@dataclass
class Stage:
    """One installation, and who listens to it."""

    application: Application
    listener: Listener

    @property
    def database(self) -> Database:
        """Its database."""
        return self.application.database

    def endpoint(
        self, tenant_id: str | None = None, *, statuses: Sequence[int] = (), **options: Any
    ) -> tuple[str, str]:
        """Let a tenant, a new one if none is named, hear; return its id and its endpoint's."""
        number = len(self.listener.endpoint_of)
        url = f"{self.listener.url}/{number}"
        path = f"/hook/{number}"
        with self.application.units.begin(actor="test") as work:
            tenant_id = tenant_id or str(tenants.create(work, name=f"Reseller {number}")["id"])
            guard = self.application.guard
            made = endpoints.create(work, guard, tenant_id=tenant_id, url=url, **options)
        self.listener.endpoint_of[path] = made["id"]
        if statuses:
            self.listener.script[path] = statuses
        return tenant_id, made["id"]

    def publish(self, tenant_id: str, count: int = 1) -> list[str]:
        """Commit events of a tenant and return their ids."""
        return publish(self.application, tenant_id, count)

    def settled(self) -> bool:
        """Tell whether everything that was committed has come to its end."""
        with self.database.read() as connection:
            waiting = select(func.count()).select_from(outbox)
            unsettled = select(func.count()).where(deliveries.c.next_attempt_at.is_not(None))
            # One view: the relay deletes the one as it inserts the other.
            both = select(waiting.scalar_subquery() + unsettled.scalar_subquery())
            return int(connection.execute(both).scalar_one()) == 0

    def held(self) -> int:
        """Return how many mailboxes somebody holds, or held when he died."""
        with self.database.read() as connection:
            held = select(func.count()).where(mailboxes.c.lease_until.is_not(None))
            return int(connection.execute(held).scalar_one())

    def let_leases_run_out(self, pid: int | None = None) -> int:
        """Do what waiting does for a process that is gone: its leases, or all, are over.

        Return how many it held.
        """
        past = self.database.now() - timedelta(seconds=1)
        held: ColumnElement[bool] = mailboxes.c.lease_until.is_not(None)
        if pid is not None:
            held &= mailboxes.c.leased_by == f"{socket.gethostname()}/{pid}"
        with self.database.write() as connection:
            # A process frozen inside a transaction keeps its locks until the server ends it.
            wait_for_locks(connection, 2 * IDLE_IN_TRANSACTION_SECONDS)
            aged = update(mailboxes).where(held).values(lease_until=past)
            return connection.execute(aged).rowcount

    def succeeded(self) -> set[tuple[str, str]]:
        """Return the endpoints and events whose delivery is recorded as succeeded."""
        done = select(deliveries.c.endpoint_id, deliveries.c.event_id)
        with self.database.read() as connection:
            rows = connection.execute(done.where(deliveries.c.state == "succeeded"))
            return {(row.endpoint_id, row.event_id) for row in rows}


@contextmanager
def production(
    postgresql_url: str, redis_url: str, folder: Path, **settings: Any
) -> Iterator[Application]:
    """Yield an installation on PostgreSQL and Redis, a database of its own."""
    with (
        new_database(postgresql_url) as url,
        _made(Database(url), redis_url, folder, settings) as application,
    ):
        yield application


@contextmanager
def embedded(folder: Path, **settings: Any) -> Iterator[Application]:
    """Yield an installation on SQLite, its hints inside one process."""
    database = Database(f"sqlite:///{folder / 'tillbell.db'}")
    with _made(database, "memory://", folder, settings) as application:
        yield application


@contextmanager
def _made(
    database: Database, broker_url: str, folder: Path, settings: dict[str, Any]
) -> Iterator[Application]:
    try:
        upgrade(database)
    finally:
        database.dispose()
    with installed(database, broker_url, data_dir=folder, **SETTINGS | settings) as application:
        yield application


def within(seconds: float, numbers: Sequence[int]) -> Iterator[int]:
    """Yield numbers until the time is up: what was reached is counted, and said."""
    ends_at = time.monotonic() + seconds
    for number in numbers:
        yield number
        if time.monotonic() > ends_at:
            return


def eventually(holds: Callable[[], bool], within_seconds: float = 60.0, what: str = "it") -> float:
    """Wait until something holds and return the seconds that took, or fail."""
    began = time.monotonic()
    while not holds():
        waited = time.monotonic() - began
        assert waited < within_seconds, f"{what} did not hold within {within_seconds:.0f} s"
        time.sleep(0.02)
    return time.monotonic() - began
