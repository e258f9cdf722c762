"""Notices about endpoints: one per transition, to the owner's other endpoints."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, update

from dispatcher.endpoint_state import disable_once
from dispatcher.health import Failing, Notice
from dispatcher.tables import endpoints
from engine.events import EventDraft, iso_seconds, record


def tell(
    connection: Connection, endpoint_id: str, failing: Failing, told: Notice, now: datetime
) -> Notice | None:
    """Remember for how long an endpoint has only failed, and tell its owner what is new.

    Return the notice that was given, None where there is none to give.
    The guard on ``failing_notices`` makes it one notice per transition, however many workers look.
    """
    notice = failing.notice(now)
    changed = connection.execute(
        update(endpoints)
        .where(endpoints.c.id == endpoint_id, endpoints.c.failing_notices == told)
        .values(
            failing_since=failing.since,
            failing_attempts=failing.attempts,
            failing_notices=min(notice, Notice.STILL_FAILING),
        )
        .returning(endpoints.c.tenant_id)
    ).first()
    if changed is None or notice == told:
        return None
    if notice is Notice.DISABLED:
        return notice if disable_once(connection, endpoint_id, "failing", now) else None
    since = None if failing.since is None else iso_seconds(failing.since)
    draft = EventDraft(
        tenant_id=changed.tenant_id,
        type="endpoint.failing" if notice > told else "endpoint.recovered",
        data={"endpoint_id": endpoint_id, "since": since, "attempts": failing.attempts},
        raised_by="dispatcher",
    )
    record(connection, [draft], now)
    return notice
