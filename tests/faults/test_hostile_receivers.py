"""Hostile receivers against a whole dispatcher: every attempt ends, in time and within bounds."""

from __future__ import annotations

import asyncio
import math
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.http_connection import BODY_BYTES_MAX
from dispatcher.tables import attempts, deliveries, endpoints, mailboxes
from dispatcher.transport import CallbackTransport
from engine.database import Database
from tests.dispatching import POLICY, Dispatching, dispatching
from tests.faults.hostile import hostile
from tests.faults.measured import Cost, cost_of_calls, outcome
from tests.faults.misdeeds import MISDEEDS
from tests.faults.plugin import Reached

#: What a head may add to what is read of a body.
HEAD_BYTES = 4096
RSS_KILOBYTES_PER_CALL = 1024
#: How long the whole endpoint waits after an answer (design 3: clamped to 24 hours).
PAUSES = {
    "429 for 1 s": timedelta(seconds=1),
    "429 for 1 h": timedelta(hours=1),
    "429 for 10 years": timedelta(hours=24),
}
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
        assert {(misdeed.error, misdeed.status, misdeed.state)} == {
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


@pytest.mark.fault("F30")
def test_an_answer_means_what_the_table_says(
    database: Database, clock: FixedClock, ports: Mapping[str, int], reached: Reached
) -> None:
    """2xx is success, 410 disables, Retry-After pauses the endpoint for a day at most."""
    times, names = reached.times(5, 100), list(MISDEEDS["F30"])
    with dispatching(database, clock) as dispatch:
        found, _ = attempted(dispatch, ports, names, times)
    judge("F30", found)
    named = {each.endpoint_id: name for name, rows in found.items() for each in rows}
    standing = select(endpoints.c.id, endpoints.c.state, mailboxes.c.blocked_until).join(mailboxes)
    with database.read() as connection:
        for row in connection.execute(standing):
            name, until = named[row.id], row.blocked_until
            assert ("disabled" if name == "410" else "active") == row.state
            waits = None if until is None or until <= clock.now() else until - clock.now()
            assert PAUSES.get(name) == waits, name
    reached.says(
        "F30",
        f"{len(names)} kinds x {times}: each as the table says, 10 years clamped to 24 h"
        f" ({database.engine.dialect.name})",
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


@pytest.mark.fault("F31")
def test_a_receiver_that_never_accepts_ends_too(reached: Reached) -> None:
    """Its queue is full and it drops our SYNs: the call ends at the bound of connecting."""
    times, bound = reached.times(10, 50), 5.0 if reached.full else 0.5

    async def story(port: int) -> list[tuple[str, float]]:
        transport = CallbackTransport(POLICY, connect_seconds=bound)
        calls = [outcome(transport, f"http://127.0.0.1:{port}/") for _ in range(times)]
        ended = await asyncio.gather(*calls)
        await transport.aclose()
        return ended

    with closing(socket.socket()) as full, ExitStack() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            caller = waiting.enter_context(closing(socket.socket()))
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        ended = asyncio.run(story(full.getsockname()[1]))
    assert {"connect"} == {kind for kind, _ in ended}
    slowest = max(took for _, took in ended)
    assert bound - 0.1 <= slowest <= bound + 1.0
    reached.says("F31", f"never accepts x {times}: ended after {slowest:.2f} s at most")


@pytest.mark.fault("F31")
def test_healthy_calls_are_as_quick_beside_hanging_ones(
    ports: Mapping[str, int], reached: Reached
) -> None:
    """The 99th percentile of a healthy receiver, alone and beside calls that hang."""
    hanging, rounds = reached.times(50, 300), reached.times(3, 10)
    alone, beside = asyncio.run(percentiles(ports, hanging, rounds))
    # The quickest round of each: other programs of this machine only ever add.
    assert beside <= alone * (1.1 if reached.full else 5) + (0.001 if reached.full else 0.02)
    reached.says(
        "F31",
        f"p99 of a healthy receiver {alone * 1000:.2f} ms alone, {beside * 1000:.2f} ms beside"
        f" {hanging} hanging calls",
    )


async def percentiles(ports: Mapping[str, int], hanging: int, rounds: int) -> tuple[float, float]:
    """Return the best 99th percentile of several rounds of 200 calls, alone and beside hanging."""
    healthy = f"http://127.0.0.1:{ports['healthy']}/"
    transport = CallbackTransport(POLICY, deadline_seconds=15)
    best = {False: math.inf, True: math.inf}
    for crowded in (False, True) * rounds:
        url = f"http://127.0.0.1:{ports['never answers']}/"
        stuck = [asyncio.create_task(outcome(transport, url)) for _ in range(hanging * crowded)]
        await asyncio.sleep(0.3 * crowded)  # they have connected
        took = sorted([(await outcome(transport, healthy))[1] for _ in range(200)])
        best[crowded] = min(best[crowded], took[-2])
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)
    await transport.aclose()
    return best[False], best[True]
