"""Hostile receivers against a whole dispatcher: every attempt ends, in time and within bounds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.http_connection import BODY_BYTES_MAX
from dispatcher.tables import attempts, deliveries
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.faults.hostile import hostile
from tests.faults.measured import Cost, cost_of_calls
from tests.faults.misdeeds import MISDEEDS
from tests.faults.plugin import Reached

#: What a head may add to what is read of a body.
HEAD_BYTES = 4096
RSS_KILOBYTES_PER_CALL = 1024
ROWS = {"F32": (5, 20), "F33": (5, 20), "F34": (5, 20), "F37": (5, 20), "F40": (10, 200)}


@pytest.fixture(scope="module")
def ports() -> Iterator[Mapping[str, int]]:
    """Return the port of each misdeed."""
    with hostile() as found:
        yield found


def attempted(
    dispatch: Dispatching, ports: Mapping[str, int], names: Sequence[str], times: int
) -> tuple[dict[str, list[Any]], Cost]:
    """Send one event to ``times`` endpoints per misdeed; return the attempts and their cost."""
    tenant_id = dispatch.tenant()
    misdeeds = {
        dispatch.endpoint(tenant_id, f"http://127.0.0.1:{ports[name]}/{number}")["id"]: name
        for name in names
        for number in range(times)
    }
    dispatch.publish(tenant_id)
    dispatch.relay.run_until_empty()
    with cost_of_calls() as cost:
        assert len(misdeeds) == dispatch.drainer.run_once()
    query = select(attempts, deliveries.c.endpoint_id, deliveries.c.state).join(
        deliveries, deliveries.c.id == attempts.c.delivery_id
    )
    found: dict[str, list[Any]] = {name: [] for name in names}
    with dispatch.database.read() as connection:
        for row in connection.execute(query):
            found[misdeeds[row.endpoint_id]].append(row)
    assert dict.fromkeys(names, times) == {name: len(rows) for name, rows in found.items()}
    return found, cost


def judge(row: str, found: Mapping[str, Sequence[Any]]) -> None:
    """Require of every attempt the outcome of its misdeed, and an excerpt that is clean."""
    for name, rows in found.items():
        misdeed = MISDEEDS[row][name]
        state = "succeeded" if misdeed.error is None else "retrying"
        assert {(misdeed.error, misdeed.status, state)} == {
            (each.error, each.status_code, each.state) for each in rows
        }, name
        for each in rows:
            excerpt = each.response_excerpt or ""
            assert len(excerpt) <= 1024
            assert excerpt.isascii()
            assert excerpt.isprintable()


def ports_of(sockets: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Return where this machine's receivers were called; servers of the test are no callbacks."""
    return {(host, port) for host, port in sockets if port not in {5432, 6379}}


@pytest.mark.fault(*ROWS)
@pytest.mark.parametrize("row", ROWS)
def test_a_hostile_answer_costs_little_and_is_judged(
    row: str, database: Database, clock: FixedClock, ports: Mapping[str, int], reached: Reached
) -> None:
    """Floods, bombs, bad heads, redirects, resets: bounded bytes and memory, each its own class."""
    times, names = reached.times(*ROWS[row]), list(MISDEEDS[row])
    with dispatching(database, clock) as dispatch:
        found, cost = attempted(dispatch, ports, names, times)
    judge(row, found)
    calls = times * len(names)
    assert cost.parsed_bytes_max <= BODY_BYTES_MAX + HEAD_BYTES
    assert cost.rss_kilobytes <= calls * RSS_KILOBYTES_PER_CALL
    assert {("127.0.0.1", ports[name]) for name in names} == ports_of(cost.sockets)
    reached.says(
        row,
        f"{len(names)} kinds x {times}: {cost.parsed_bytes_max:,} bytes read at most,"
        f" RSS +{cost.rss_kilobytes / calls:.0f} KB a call ({database.engine.dialect.name})",
    )


@pytest.mark.fault("F31")
def test_a_receiver_that_stalls_ends_with_the_deadline(
    database: Database, clock: FixedClock, ports: Mapping[str, int], reached: Reached
) -> None:
    """However a receiver stalls, its call ends at the one deadline and holds little memory."""
    times, names = reached.times(5, 50), list(MISDEEDS["F31"])
    deadline = 15.0 if reached.full else 0.5
    with dispatching(database, clock, deadline_seconds=deadline) as dispatch:
        began = time.monotonic()
        found, cost = attempted(dispatch, ports, names, times)
        took = time.monotonic() - began
    judge("F31", found)
    slowest = max(each.duration_ms for rows in found.values() for each in rows) / 1000
    quickest = min(each.duration_ms for rows in found.values() for each in rows) / 1000
    assert deadline - 0.1 <= quickest <= slowest <= deadline + 1.0
    assert cost.rss_kilobytes <= times * len(names) * RSS_KILOBYTES_PER_CALL
    reached.says(
        "F31",
        f"{len(names)} kinds x {times} at once, deadline {deadline:g} s: ended after"
        f" {quickest:.2f} to {slowest:.2f} s, the run after {took:.1f} s,"
        f" RSS +{cost.rss_kilobytes / times / len(names):.0f} KB a call"
        f" ({database.engine.dialect.name})",
    )
