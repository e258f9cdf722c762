"""What the demo proves: what was committed against what the receivers say they got."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, func, select

from dispatcher.tables import deliveries, subscriptions
from engine import ledger_checks
from engine.tables import events


@dataclass(slots=True)
class Received:
    """One receiver's own log, read back."""

    accepted: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    verified: int = 0
    unverified: int = 0
    altered: int = 0
    first_at: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Proof:
    """The findings; ``problems`` is empty when all is as it must be."""

    events: dict[str, int]
    states: dict[str, dict[str, int]]
    received: dict[str, Received]
    latencies_ms: list[float]
    missing: int
    ledger: Sequence[Mapping[str, Any]]
    problems: list[str]

    @property
    def duplicates(self) -> int:
        """How often a receiver accepted an event it had accepted before."""
        return sum(count - 1 for each in self.received.values() for count in each.accepted.values())

    def latency_ms(self, percent: int) -> float:
        """Return a percentile of commit to first byte in the healthy receiver's hands."""
        if len(self.latencies_ms) < 2:
            return 0.0
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


def gather(
    connection: Connection, logs: Mapping[str, Path], endpoint_ids: Mapping[str, str]
) -> Proof:
    """Compare what the database says was committed with what each receiver logged."""
    received = {name: read_log(path) for name, path in logs.items()}
    states = {name: _states(connection, each) for name, each in endpoint_ids.items()}
    missing, problems = 0, []
    for name, endpoint_id in endpoint_ids.items():
        lost = _expected(connection, endpoint_id) - set(received[name].accepted)
        if lost:
            missing += len(lost)
            problems.append(f"{len(lost)} committed events did not reach the {name} receiver")
    for name, each in received.items():
        if each.unverified:
            problems.append(f"{each.unverified} signatures failed at the {name} receiver")
        if each.altered:
            problems.append(f"{each.altered} callbacks to {name} came again with other bytes")
    ledger = ledger_checks.verify(connection)
    if ledger:
        problems.append(f"the books do not balance: {len(ledger)} findings")
    return Proof(
        events=_by_type(connection, endpoint_ids),
        states=states,
        received=received,
        latencies_ms=_latencies(connection, received["healthy"], endpoint_ids["healthy"]),
        missing=missing,
        ledger=ledger,
        problems=problems,
    )


def read_log(path: Path) -> Received:
    """Read a receiver's log: one JSON object per callback."""
    found = Received()
    digests: dict[str, str] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        callback = orjson.loads(line)
        message_id = callback["id"]
        if digests.setdefault(message_id, callback["body_sha256"]) != callback["body_sha256"]:
            found.altered += 1
        if callback["verified"]:
            found.verified += 1
        else:
            found.unverified += 1
        found.first_at.setdefault(message_id, callback["received_at"])
        if 200 <= callback["status"] < 300:
            found.accepted[message_id] += 1
        else:
            found.refused += 1
    return found


def open_deliveries(connection: Connection, endpoint_ids: Sequence[str]) -> int:
    """Return how many deliveries of these endpoints still wait."""
    waiting = select(func.count()).where(
        deliveries.c.endpoint_id.in_(endpoint_ids), deliveries.c.next_attempt_at.is_not(None)
    )
    return int(connection.execute(waiting).scalar_one())


def _expected(connection: Connection, endpoint_id: str) -> set[str]:
    """Return the events this endpoint must have heard: by what it subscribed, not by deliveries."""
    heard = select(events.c.id).join(
        subscriptions,
        (subscriptions.c.tenant_id == events.c.tenant_id)
        & (subscriptions.c.event_type == events.c.type),
    )
    return set(
        connection.execute(heard.where(subscriptions.c.endpoint_id == endpoint_id)).scalars()
    )


def _by_type(connection: Connection, endpoint_ids: Mapping[str, str]) -> dict[str, int]:
    tenant_ids = (
        select(subscriptions.c.tenant_id)
        .where(subscriptions.c.endpoint_id.in_(endpoint_ids.values()))
        .distinct()
    )
    query = (
        select(events.c.type, func.count())
        .where(events.c.tenant_id.in_(tenant_ids))
        .group_by(events.c.type)
        .order_by(events.c.type)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _states(connection: Connection, endpoint_id: str) -> dict[str, int]:
    query = (
        select(deliveries.c.state, func.count())
        .where(deliveries.c.endpoint_id == endpoint_id)
        .group_by(deliveries.c.state)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def _latencies(connection: Connection, received: Received, endpoint_id: str) -> list[float]:
    """Return milliseconds from commit to arrival of each event at one receiver, sorted."""
    query = (
        select(events.c.id, events.c.created_at)
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .where(deliveries.c.endpoint_id == endpoint_id)
    )
    return sorted(
        (received.first_at[row.id] - row.created_at.timestamp()) * 1000
        for row in connection.execute(query)
        if row.id in received.first_at
    )
