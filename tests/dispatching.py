"""A whole dispatcher on a test's database and clock, driven by ``run_once``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from config.clock import FixedClock
from dispatcher import endpoints
from dispatcher.drain import Drainer
from dispatcher.egress import EgressPolicy
from dispatcher.endpoints import EndpointGuard
from dispatcher.facts import UNWATCHED, Watch
from dispatcher.hints import NoHints
from dispatcher.leasing import DrainSettings
from dispatcher.relay import Relay
from dispatcher.retry import RetryPolicy
from dispatcher.tables import deliveries
from dispatcher.transport import CallbackTransport
from engine import tenants
from engine.database import Database
from engine.events import EventDraft
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork

POLICY = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=True)
SCHEDULE = RetryPolicy((0, 5, 30), jitter=0)


@dataclass
class Dispatching:
    """Everything a dispatcher test needs at hand."""

    database: Database
    clock: FixedClock
    units: UnitsOfWork
    guard: EndpointGuard
    relay: Relay
    drainer: Drainer

    def tenant(self, name: str = "Reseller") -> str:
        """Create a tenant and return its id."""
        with self.units.begin(actor="test") as work:
            return str(tenants.create(work, name=name)["id"])

    def endpoint(self, tenant_id: str, url: str, **options: Any) -> dict[str, Any]:
        """Create an endpoint and return it with its secret."""
        with self.units.begin(actor="test") as work:
            return endpoints.create(work, self.guard, tenant_id=tenant_id, url=url, **options)

    def publish(self, tenant_id: str, count: int = 1) -> list[str]:
        """Publish test events at the test's time and return their ids."""
        drafts = [
            EventDraft(
                tenant_id=tenant_id,
                type="webhook.test",
                data={"number": number},
                occurred_at=self.clock.now(),
            )
            for number in range(count)
        ]
        with self.units.begin(actor="test") as work:
            for draft in drafts:
                work.raise_event(draft)
        return [draft.id for draft in drafts]

    def run_once(self) -> int:
        """Relay everything and drain what is due; return the attempts settled."""
        self.relay.run_until_empty()
        return self.drainer.run_once()

    def rows(self) -> Sequence[Any]:
        """Return all deliveries in the order they were made."""
        with self.database.read() as connection:
            return connection.execute(select(deliveries).order_by(deliveries.c.id)).all()


def make_drainer(
    database: Database,
    keyring: KeyRing,
    clock: FixedClock,
    watch: Watch = UNWATCHED,
    egress: EgressPolicy = POLICY,
    **settings: Any,
) -> Drainer:
    """Return a started drainer that may call where ``egress`` says; ``watch`` is told of it."""
    drainer = Drainer(
        database,
        keyring,
        transport=lambda: CallbackTransport(egress, deadline_seconds=5),
        settings=DrainSettings(
            **{"worker": "test", "policy": SCHEDULE, "deadline_seconds": 5.0, **settings}
        ),
        clock=clock,
        watch=watch,
    )
    drainer.start()
    return drainer


@contextmanager
def dispatching(
    database: Database,
    clock: FixedClock,
    watch: Watch = UNWATCHED,
    egress: EgressPolicy = POLICY,
    **settings: Any,
) -> Iterator[Dispatching]:
    """Put a dispatcher together that may call loopback, and stop it when the block ends."""
    keyring = KeyRing([b"k" * 32])
    drainer = make_drainer(database, keyring, clock, watch, egress, **settings)
    try:
        yield Dispatching(
            database,
            clock,
            UnitsOfWork(database, clock),
            EndpointGuard(egress, keyring),
            Relay(database, clock, NoHints(), watch),
            drainer,
        )
    finally:
        drainer.stop(5)
