"""Manifests of a dispatcher under test: made, listed, and what their hashes should be."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select

from dispatcher import manifest_views, manifests
from engine.tables import events
from tests.dispatching import Dispatching


def make(dispatch: Dispatching, **options: Any) -> int:
    """Close what can be closed and return how many lines were made."""
    keyring, now = dispatch.guard.keyring, dispatch.clock.now()
    return manifests.close_days(dispatch.database, keyring, now, **options)[0]


def listed(dispatch: Dispatching, **options: Any) -> list[dict[str, Any]]:
    """Return the manifests of a listing."""
    with dispatch.database.read() as connection:
        found: list[dict[str, Any]] = manifest_views.listing(connection, **options)["data"]
    return found


def due(dispatch: Dispatching, tenant_id: str, count: int = 1) -> list[str]:
    """Publish events, fan them out and return their ids, sorted."""
    ids = dispatch.publish(tenant_id, count)
    dispatch.relay.run_until_empty()
    return sorted(ids)


def body_hashes(dispatch: Dispatching, event_ids: list[str]) -> dict[str, str]:
    """Return the SHA-256 of each event's stored body."""
    with dispatch.database.read() as connection:
        query = select(events.c.id, events.c.body).where(events.c.id.in_(event_ids))
        return {row.id: hashlib.sha256(row.body).hexdigest() for row in connection.execute(query)}
