"""Many failed deliveries at once, and replays of them, for tests that watch how they are armed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select

from dispatcher import endpoints, replay_jobs
from dispatcher.endpoints import EndpointGuard
from dispatcher.replay_selection import Selection
from dispatcher.tables import deliveries
from engine import tenants
from engine.database import Database
from engine.events import EventDraft, record
from engine.ids import new_id
from engine.sealing import KeyRing
from engine.unit_of_work import UnitsOfWork
from tests.dispatching import POLICY

FAILED = Selection(state="failed")


@dataclass(frozen=True, slots=True)
class Failures:
    """An endpoint whose deliveries all failed."""

    units: UnitsOfWork
    tenant_id: str
    endpoint_id: str

    def add(self, count: int) -> None:
        """Add failed deliveries, each of an event of its own."""
        with self.units.begin(actor="test") as work:
            drafts = [
                EventDraft(tenant_id=self.tenant_id, type="webhook.test", data={})
                for _ in range(count)
            ]
            record(work.connection, drafts, work.now, relayed=False)
            rows = [self._failed(draft.id, work.now) for draft in drafts]
            work.connection.execute(insert(deliveries), rows)

    def _failed(self, event_id: str, at: datetime) -> dict[str, Any]:
        return {
            "id": new_id(),
            "event_id": event_id,
            "endpoint_id": self.endpoint_id,
            "tenant_id": self.tenant_id,
            "event": "webhook.test",
            "state": "failed",
            "attempts": 3,
            "created_at": at,
            "settled_at": at,
        }


def failures_of(units: UnitsOfWork) -> Failures:
    """Create a tenant and an endpoint that may be called."""
    guard = EndpointGuard(POLICY, KeyRing([b"k" * 32]))
    with units.begin(actor="test") as work:
        tenant_id = tenants.create(work, name="Reseller")["id"]
        made = endpoints.create(work, guard, tenant_id=tenant_id, url="http://127.0.0.1:9/")
    return Failures(units, tenant_id, made["id"])


def start(units: UnitsOfWork, selection: Selection = FAILED, **options: Any) -> str:
    """Create a replay and return its id."""
    with units.begin(actor="ops") as work:
        return str(replay_jobs.create(work, selection, **options)["id"])


def look(database: Database, replay_id: str) -> dict[str, Any]:
    """Return how far a replay is."""
    with database.read() as connection:
        return replay_jobs.get(connection, replay_id)


def armed(database: Database) -> list[datetime]:
    """Return when each armed delivery became due."""
    query = select(deliveries.c.next_attempt_at).where(deliveries.c.next_attempt_at.is_not(None))
    with database.read() as connection:
        return sorted(connection.execute(query).scalars())
