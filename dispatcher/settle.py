"""Settle: write attempts and what they led to, many in one transaction, fenced by the lease.

An attempt is always recorded, because it happened. The delivery changes only if the mailbox's lease
token is still the worker's and no other attempt was counted in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, TextClause, bindparam, exists, text, update

from config.crash_points import C12_ANSWERED, C14_RETRY_WRITTEN, C15_MARKED_DEAD, at
from dispatcher.endpoint_state import disable_once
from dispatcher.settlement import Deferral, Settlement
from dispatcher.states import DeliveryState
from dispatcher.tables import deliveries, mailboxes
from engine.database import Database
from engine.types import Bytes, Id, UtcTime

_CRASH_POINTS = {
    DeliveryState.RETRYING: C14_RETRY_WRITTEN,
    DeliveryState.FAILED: C15_MARKED_DEAD,
}

_ATTEMPT_COLUMNS = """delivery_id, number, lease_token, started_at, duration_ms, status_code,
    error, response_excerpt, trigger, decided"""

_POSTGRESQL = text(f"""
    WITH settled AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json))
        AS s(delivery_id uuid, endpoint_id uuid, lease_token bigint, number int,
             started_at timestamptz, duration_ms int, status_code int, error text, excerpt text,
             trigger text, state text, next_attempt_at timestamptz, settled_at timestamptz)),
    changed AS (
        UPDATE deliveries d
        SET state = s.state, attempts = s.number, next_attempt_at = s.next_attempt_at,
            last_status_code = s.status_code, last_error = s.error, settled_at = s.settled_at,
            trigger = 'scheduled'
        FROM settled s
        JOIN mailboxes m ON m.endpoint_id = s.endpoint_id
            AND m.lease_token = s.lease_token AND m.lease_until IS NOT NULL
        WHERE d.id = s.delivery_id AND d.attempts = s.number - 1
            AND d.next_attempt_at IS NOT NULL
        RETURNING d.id, s.lease_token, s.number)
    INSERT INTO attempts ({_ATTEMPT_COLUMNS})
    SELECT s.delivery_id, s.number, s.lease_token, s.started_at, s.duration_ms, s.status_code,
        s.error, s.excerpt, s.trigger, c.id IS NOT NULL
    FROM settled s LEFT JOIN changed c ON c.id = s.delivery_id
        AND c.lease_token = s.lease_token AND c.number = s.number
    ON CONFLICT DO NOTHING""")

#: One writer at a time: what holds before the insert still holds at the update behind it.
_HELD_SQLITE = """EXISTS (SELECT 1 FROM mailboxes m WHERE m.endpoint_id = :endpoint_id
        AND m.lease_token = :lease_token AND m.lease_until IS NOT NULL)"""

_OPEN_SQLITE = """id = :delivery_id AND attempts = :number - 1 AND next_attempt_at IS NOT NULL"""

_ATTEMPT_SQLITE = f"""
    INSERT INTO attempts ({_ATTEMPT_COLUMNS})
    VALUES (:delivery_id, :number, :lease_token, :started_at, :duration_ms, :status_code, :error,
        :excerpt, :trigger,
        {_HELD_SQLITE} AND EXISTS (SELECT 1 FROM deliveries WHERE {_OPEN_SQLITE}))
    ON CONFLICT DO NOTHING"""

_DELIVERY_SQLITE = f"""
    UPDATE deliveries
    SET state = :state, attempts = :number, next_attempt_at = :next_attempt_at,
        last_status_code = :status_code, last_error = :error, settled_at = :settled_at,
        trigger = 'scheduled'
    WHERE {_OPEN_SQLITE} AND {_HELD_SQLITE}"""

_KEEP_BODY = text("""
    INSERT INTO rendered_bodies (event_id, profile, body) VALUES (:event_id, :profile, :body)
    ON CONFLICT DO NOTHING""").bindparams(
    bindparam("event_id", type_=Id), bindparam("body", type_=Bytes)
)


def _typed(statement: str) -> TextClause:
    instants = ("started_at", "next_attempt_at", "settled_at")
    present = [name for name in instants if f":{name}" in statement]
    return text(statement).bindparams(*(bindparam(name, type_=UtcTime()) for name in present))


_SQLITE = (_typed(_ATTEMPT_SQLITE), _typed(_DELIVERY_SQLITE))


def settle(
    connection: Connection, settlements: Sequence[Settlement], now: datetime
) -> list[tuple[str, str]]:
    """Record attempts and move their deliveries, in the caller's transaction (1,000 at most).

    An endpoint whose receiver asked for it is disabled with its notice, once; return those that
    were, each with the reason.
    """
    disabled: list[tuple[str, str]] = []
    if not settlements:
        return disabled
    rows = [_row(each) for each in settlements]
    if connection.dialect.name == "sqlite":
        for statement in _SQLITE:
            connection.execute(statement, rows)
    else:
        # One JSON text costs a tenth of what the driver takes to write thirteen arrays.
        connection.execute(_POSTGRESQL, {"rows": orjson.dumps(rows).decode()})
    at(C12_ANSWERED)
    for each in settlements:
        if each.state is not DeliveryState.SUCCEEDED:
            at(_CRASH_POINTS[each.state])
        reason = each.outcome.disable
        if reason is not None and disable_once(connection, each.endpoint_id, reason, now):
            disabled.append((each.endpoint_id, reason))
        if each.holds_line is not None:
            _mark_head(connection, each)
    return disabled


def defer(connection: Connection, deferrals: Sequence[Deferral]) -> None:
    """Move deliveries without an attempt: behind their head, or to its end when given up."""
    for each in deferrals:
        held = exists().where(
            mailboxes.c.endpoint_id == each.endpoint_id,
            mailboxes.c.lease_token == each.lease_token,
            mailboxes.c.lease_until.is_not(None),
        )
        values: dict[str, Any] = {"next_attempt_at": each.next_attempt_at}
        if each.next_attempt_at is None:
            values |= {"state": each.ends_as, "last_error": each.error, "settled_at": each.at}
        connection.execute(
            update(deliveries)
            .where(deliveries.c.id == each.delivery_id, deliveries.c.attempts == each.attempts)
            .where(deliveries.c.next_attempt_at.is_not(None), held)
            .values(values)
        )


def _mark_head(connection: Connection, each: Settlement) -> None:
    """Say, in the transaction that settles it, which delivery an ordered mailbox waits for."""
    connection.execute(
        update(mailboxes)
        .where(mailboxes.c.endpoint_id == each.endpoint_id)
        .where(mailboxes.c.lease_token == each.lease_token)
        .values(head_delivery_id=each.delivery_id if each.holds_line else None)
    )


def keep_bodies(connection: Connection, bodies: Sequence[dict[str, Any]]) -> None:
    """Keep rendered bodies, so that every later attempt sends the same bytes."""
    if bodies:
        connection.execute(_KEEP_BODY, list(bodies))


def settle_now(database: Database, settlements: Sequence[Settlement], now: datetime) -> None:
    """Settle in a transaction of its own."""
    with database.write() as connection:
        settle(connection, settlements, now)


def _row(each: Settlement) -> dict[str, Any]:
    return {
        "delivery_id": each.delivery_id,
        "endpoint_id": each.endpoint_id,
        "lease_token": each.lease_token,
        "number": each.number,
        "started_at": each.started_at,
        "duration_ms": each.duration_ms,
        "status_code": each.outcome.status_code,
        "error": each.outcome.error,
        "excerpt": each.outcome.excerpt,
        "trigger": each.trigger,
        "state": each.state,
        "next_attempt_at": each.next_attempt_at,
        "settled_at": each.settled_at,
    }
