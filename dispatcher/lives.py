"""Read everything that is known of one delivery: what an explanation needs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, Table, func, select

from dispatcher.deliveries import show
from dispatcher.life import Life, Row
from dispatcher.policies import worth
from dispatcher.retry import RetryPolicy
from dispatcher.subscriptions import EVERYTHING, matches
from dispatcher.tables import deliveries, delivery_policies, endpoints, mailboxes, replays
from engine.tables import events

#: Replays looked at, newest first: one that armed this delivery is hardly ever older.
REPLAYS_MAX = 200
#: A backlog is not counted further than this.
AHEAD_MAX = 100_000


def read(connection: Connection, delivery_id: str, default: RetryPolicy, now: datetime) -> Life:
    """Read the life of one delivery, or raise NotFound; ``default`` is the usual schedule."""
    shown = show(connection, delivery_id)
    delivery = dict(_row(connection, deliveries, "id", shown["id"]) or shown)
    endpoint = _row(connection, endpoints, "id", delivery["endpoint_id"])
    worthy = worth(
        default,
        endpoint_schedule=endpoint["retry_schedule"] if endpoint else None,
        endpoint_within_seconds=endpoint["deliver_within_seconds"] if endpoint else None,
        event_policy=_row(connection, delivery_policies, "event_type", delivery["event"]),
    )
    return Life(
        now=now,
        delivery=delivery,
        attempts=shown["history"],
        event=_event(connection, delivery["event_id"]),
        endpoint=endpoint,
        mailbox=_row(connection, mailboxes, "endpoint_id", delivery["endpoint_id"]),
        replays=_replays(connection, delivery),
        pattern=_pattern(endpoint, delivery["event"]),
        ahead=_ahead(connection, delivery),
        schedule_seconds=worthy.policy.schedule_seconds,
        give_up_at=worthy.give_up_at(delivery["created_at"]),
    )


def covers(selection: Row, delivery: Row) -> bool:
    """Tell whether a replay's selection, as it was recorded, means this delivery.

    The state it had then is not known any more, so a selection by state covers it.
    """
    ids = selection.get("ids")
    if ids is not None and delivery["id"] not in ids:
        return False
    since, until = (_instant(selection, name) for name in ("since", "until"))
    if since is not None and delivery["created_at"] < since:
        return False
    if until is not None and delivery["created_at"] >= until:
        return False
    if not matches(selection.get("event") or EVERYTHING, delivery["event"]):
        return False
    return all(
        selection.get(name) in {None, delivery[name]} for name in ("endpoint_id", "tenant_id")
    )


def _instant(selection: Row, name: str) -> datetime | None:
    written = selection.get(name)
    return None if written is None else datetime.fromisoformat(written)


def _row(connection: Connection, table: Table, key: str, value: str) -> Row | None:
    query = select(table).where(table.c[key] == value)
    found = connection.execute(query).mappings().first()
    return None if found is None else dict(found)


def _event(connection: Connection, event_id: str) -> Row | None:
    """Return the event without its body, but with that body's size."""
    columns = [column for column in events.c if column.name != "body"]
    size = func.length(events.c.body).label("body_bytes")
    query = select(*columns, size).where(events.c.id == event_id)
    found = connection.execute(query).mappings().first()
    return None if found is None else dict(found)


def _replays(connection: Connection, delivery: Row) -> list[Row]:
    made_after = replays.c.created_at >= delivery["created_at"]
    query = select(replays).where(made_after).order_by(replays.c.id.desc()).limit(REPLAYS_MAX)
    found = [dict(row) for row in connection.execute(query).mappings()]
    return [row for row in reversed(found) if covers(row["selection"], delivery)]


def _pattern(endpoint: Row | None, event_type: str) -> str | None:
    patterns = endpoint["events"] if endpoint else ()
    return next((pattern for pattern in patterns if matches(pattern, event_type)), None)


def _ahead(connection: Connection, delivery: Row) -> int:
    """Count the open deliveries that come before, as far as ``AHEAD_MAX``."""
    if delivery["next_attempt_at"] is None:
        return 0
    earlier = (
        select(deliveries.c.id)
        .where(deliveries.c.endpoint_id == delivery["endpoint_id"])
        .where(deliveries.c.next_attempt_at < delivery["next_attempt_at"])
        .limit(AHEAD_MAX)
    )
    return connection.execute(select(func.count()).select_from(earlier.subquery())).scalar_one()
