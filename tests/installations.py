"""Installations as the processes build them, on a test's database and a broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config.settings import Settings
from dispatcher import deliveries, endpoints
from engine import tenants
from engine.database import Database
from engine.events import EventDraft
from tests.integration.conftest import KEY
from worker.bootstrap import Application, build


@contextmanager
def installed(database: Database, broker_url: str, **settings: Any) -> Iterator[Application]:
    """Put an installation together that may call loopback."""
    application = build(
        Settings(
            database_url=database.url.render_as_string(hide_password=False),
            broker_url=broker_url,
            secret_keys=[KEY],
            egress_allow=["127.0.0.0/8"],
            allow_http=True,
            **settings,
        )
    )
    try:
        yield application
    finally:
        application.close()


def subscribe(application: Application, url: str) -> str:
    """Create a tenant with an endpoint and return the tenant's id."""
    with application.units.begin(actor="test") as work:
        tenant_id = str(tenants.create(work, name="Reseller")["id"])
        endpoints.create(work, application.guard, tenant_id=tenant_id, url=url)
    return tenant_id


def publish(application: Application, tenant_id: str, count: int = 1) -> list[str]:
    """Publish events in one transaction and return their ids."""
    drafts = [
        EventDraft(tenant_id=tenant_id, type="webhook.test", data={"number": number})
        for number in range(count)
    ]
    with application.units.begin(actor="test") as work:
        for draft in drafts:
            work.raise_event(draft)
    return [draft.id for draft in drafts]


def states(application: Application) -> dict[str, int]:
    """Return how many deliveries are in each state."""
    with application.database.read() as connection:
        return deliveries.counts_by_state(connection)
