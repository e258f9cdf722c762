"""Tell one endpoint the present state of a subject it missed, marked ``resync: true``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import orjson
from sqlalchemy import insert

from dispatcher.mailboxes import feed
from dispatcher.states import DeliveryState, Trigger
from dispatcher.tables import deliveries
from engine.events import EventDraft, copy_of, record
from engine.ids import new_id
from engine.unit_of_work import UnitOfWork

PREFIX = "resync:"


def key_of(endpoint_id: str, subject_id: str, sequence: int) -> str:
    """Return the ``dedupe_key`` of telling an endpoint of a subject in one version of it."""
    return f"{PREFIX}{endpoint_id}:{subject_id}:{sequence}"


def repeated(event: Mapping[str, Any], *, raised_by: str) -> EventDraft:
    """Return a draft that says what a row of ``events`` said, byte for byte, and ``resync``."""
    draft = copy_of(event, raised_by=raised_by)
    return replace(draft, data=marked(orjson.dumps(draft.data)))


def marked(data: bytes) -> Mapping[str, Any]:
    """Return an event's ``data`` with ``resync: true`` before everything else; nothing is parsed.

    Decimals so keep their digits.
    """
    rest = data.removeprefix(b"{").lstrip()
    joined = b'{"resync":true' + (b"" if rest == b"}" else b",") + rest
    return cast("Mapping[str, Any]", orjson.Fragment(joined))


def send(work: UnitOfWork, endpoint_id: str, draft: EventDraft) -> str | None:
    """Raise an event for one endpoint alone and return its id; None where it was raised before."""
    key = key_of(endpoint_id, draft.subject_id, draft.sequence)
    draft = replace(draft, dedupe_key=key)
    (event_id,) = record(work.connection, [draft], work.now, relayed=False)
    if event_id != draft.id:
        return None
    work.connection.execute(
        insert(deliveries).values(
            id=new_id(),
            event_id=event_id,
            endpoint_id=endpoint_id,
            tenant_id=draft.tenant_id,
            event=draft.type,
            state=DeliveryState.PENDING,
            trigger=Trigger.MANUAL,
            next_attempt_at=work.now,
            created_at=work.now,
        )
    )
    feed(work.connection, [endpoint_id], work.now)
    return event_id
