"""Relay: expand committed events into deliveries, wake their mailboxes, forget the outbox rows."""

from __future__ import annotations

import time
from datetime import datetime
from functools import partial

from sqlalchemy import Connection, TextClause, bindparam, delete, select, text
from sqlalchemy.exc import OperationalError

from config.clock import Clock
from config.crash_points import C03_CLAIMED, C05_FED, at
from config.log import get_logger
from dispatcher.facts import UNWATCHED, RelayExpanded, Watch
from dispatcher.hints import Hints, in_batches
from dispatcher.mailboxes import feed
from dispatcher.states import DeliveryState
from engine.again import again
from engine.database import Database, held_up
from engine.tables import outbox
from engine.types import Id, UtcTime

log = get_logger("relay")

EVENTS_PER_TRANSACTION = 500
#: Who holds a mailbox longer than this is gone around.
LOCK_MILLISECONDS = 1000

#: A time-ordered identifier made by the server: the rows of a fan-out never pass through Python.
_UUID7_POSTGRESQL = """encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    placing substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
    FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid"""

#: Deliveries of a disabled endpoint are born cancelled, so that a replay can find them.
_FAN_OUT = """
    INSERT INTO deliveries
        (id, event_id, endpoint_id, tenant_id, event, state, next_attempt_at, last_error,
         created_at, settled_at)
    SELECT {uuid7}, o.event_id, e.id, o.tenant_id, o.event_type,
        CASE WHEN e.state = 'disabled' THEN 'cancelled' ELSE 'pending' END,
        CASE WHEN e.state = 'disabled' THEN NULL ELSE o.created_at END,
        CASE WHEN e.state = 'disabled' THEN 'endpoint_disabled' END,
        {now},
        CASE WHEN e.state = 'disabled' THEN {now} END
    FROM {source} o
    JOIN subscriptions s ON s.tenant_id = o.tenant_id AND s.event_type = o.event_type
    JOIN endpoints e ON e.id = s.endpoint_id
    WHERE true
    ON CONFLICT (event_id, endpoint_id) DO NOTHING
    RETURNING endpoint_id, state"""

_FAN_OUT_POSTGRESQL = _FAN_OUT.format(
    uuid7=_UUID7_POSTGRESQL, source="claimed", now="CAST(:now AS timestamptz)"
)
_FAN_OUT_SQLITE = _FAN_OUT.format(
    uuid7="tillbell_uuid7()",
    source="(SELECT * FROM outbox WHERE event_id IN :event_ids)",
    now=":now",
)


def _relay_postgresql(whose: str) -> TextClause:
    statement = f"""
    WITH claimed AS (
        DELETE FROM outbox WHERE event_id IN (
            SELECT event_id FROM outbox {whose} ORDER BY event_id LIMIT :limit
            FOR UPDATE SKIP LOCKED)
        RETURNING event_id, tenant_id, event_type, created_at),
    inserted AS ({_FAN_OUT_POSTGRESQL})
    SELECT (SELECT count(*) FROM claimed) AS claimed,
        ARRAY(SELECT DISTINCT endpoint_id::text FROM inserted WHERE state = 'pending')
            AS endpoint_ids,
        set_config('lock_timeout', '{LOCK_MILLISECONDS}', true)"""
    return text(statement).bindparams(bindparam("now", type_=UtcTime()))


_RELAY_POSTGRESQL = _relay_postgresql("")
_RELAY_ONE_POSTGRESQL = _relay_postgresql("WHERE tenant_id = CAST(:tenant_id AS uuid)")

_RELAY_SQLITE = text(_FAN_OUT_SQLITE).bindparams(
    bindparam("now", type_=UtcTime()), bindparam("event_ids", expanding=True, type_=Id)
)


class Relay:
    """Moves events from the outbox to the mailboxes."""

    def __init__(
        self, database: Database, clock: Clock, hints: Hints, watch: Watch = UNWATCHED
    ) -> None:
        self._database = database
        self._clock = clock
        self._hints = hints
        self._watch = watch

    def run_once(self, limit: int = EVENTS_PER_TRANSACTION) -> int:
        """Expand up to ``limit`` events in one transaction and return how many there were."""
        self._clock.sync()
        now, began = self._clock.now(), time.monotonic()
        try:
            claimed, endpoint_ids = again(partial(self._expand, limit, now))
        except OperationalError as error:
            if not held_up(error):
                raise
            claimed, endpoint_ids = self._expand_around(limit, now)
        if claimed:
            self._watch.emit(
                RelayExpanded(
                    events=claimed,
                    mailboxes=len(endpoint_ids),
                    duration_seconds=time.monotonic() - began,
                )
            )
        for batch in in_batches(endpoint_ids):
            self._hints.drain(batch)
        return claimed

    def _expand_around(self, limit: int, now: datetime) -> tuple[int, list[str]]:
        """Expand one tenant after the other: whoever's rows are locked waits, and nobody else."""
        with self._database.read() as connection:
            waiting = connection.execute(select(outbox.c.tenant_id).distinct()).scalars().all()
        claimed, endpoint_ids = 0, list[str]()
        for tenant_id in waiting:
            try:
                found = again(partial(self._expand, limit, now, tenant_id))
            except OperationalError as error:
                if not held_up(error):
                    raise
                log.warning("relay.locked", tenant_id=tenant_id)
                continue
            claimed += found[0]
            endpoint_ids += found[1]
        return claimed, endpoint_ids

    def _expand(
        self, limit: int, now: datetime, tenant_id: str | None = None
    ) -> tuple[int, list[str]]:
        with self._database.write() as connection:
            if self._database.sqlite:
                claimed, endpoint_ids = _expand_sqlite(connection, limit, now)
            else:
                claimed, endpoint_ids = _expand_postgresql(connection, limit, now, tenant_id)
            at(C03_CLAIMED)
            feed(connection, endpoint_ids, now)
            at(C05_FED)
        return claimed, endpoint_ids

    def run_until_empty(self) -> int:
        """Expand everything that is waiting and return how many events that were."""
        total = 0
        while True:
            found = self.run_once()
            total += found
            if found < EVENTS_PER_TRANSACTION:  # whoever commits now sends a hint of its own
                return total


def _expand_postgresql(
    connection: Connection, limit: int, now: datetime, tenant_id: str | None
) -> tuple[int, list[str]]:
    values = {"limit": limit, "now": now}
    if tenant_id is None:
        row = connection.execute(_RELAY_POSTGRESQL, values).one()
    else:
        row = connection.execute(_RELAY_ONE_POSTGRESQL, values | {"tenant_id": tenant_id}).one()
    return row.claimed, sorted(row.endpoint_ids)


def _expand_sqlite(connection: Connection, limit: int, now: datetime) -> tuple[int, list[str]]:
    oldest = select(outbox.c.event_id).order_by(outbox.c.event_id).limit(limit)
    event_ids = list(connection.execute(oldest).scalars())
    if not event_ids:
        return 0, []
    rows = connection.execute(_RELAY_SQLITE, {"event_ids": event_ids, "now": now}).all()
    connection.execute(delete(outbox).where(outbox.c.event_id.in_(event_ids)))
    return len(event_ids), sorted(
        {row.endpoint_id for row in rows if row.state == DeliveryState.PENDING}
    )
