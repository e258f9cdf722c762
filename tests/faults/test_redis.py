"""Redis emptied, stopped, full and slow under load: it holds hints only, so nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing

import pytest
from redis import Redis
from structlog.testing import capture_logs

from engine.database import Database
from tests.faults.load import (
    at_work,
    everything_succeeded,
    exactly_once,
    own_database,
    resellers,
    steadily,
    wait,
)
from tests.faults.plugin import Reached
from tests.faults.proxy import proxied, through
from tests.installations import installed, publish, states
from tests.own_redis import redis_at
from tests.processes import until
from tests.receivers import receiving
from tests.servers import free_port

ENDPOINTS = 10


@pytest.fixture
def served(postgresql_url: str) -> Iterator[Database]:
    """Return a PostgreSQL database of this test alone."""
    with own_database(postgresql_url) as database:
        yield database


@pytest.mark.fault("F06")
def test_redis_emptied_again_and_again_loses_nothing(served: Database, reached: Reached) -> None:
    """FLUSHALL under load, every few seconds: all arrive once, soon after the last."""
    events, seconds, apart = (10_000, 60.0, 5.0) if reached.full else (400, 2.0, 0.4)
    flushes = 0
    with (
        redis_at(free_port()) as url,
        installed(served, url) as application,
        receiving() as receiver,
        closing(Redis.from_url(url)) as redis,
        at_work(application),
    ):

        def flush(passed_seconds: float) -> None:
            nonlocal flushes
            if passed_seconds >= apart * (flushes + 1):
                redis.flushall()
                flushes += 1

        tenants = resellers(application, receiver, ENDPOINTS)
        ids = steadily(application, tenants, events=events, seconds=seconds, meanwhile=flush)
        redis.flushall()
        took = everything_succeeded(application, events)
    exactly_once(receiver, ids)
    assert flushes >= 4
    reached.says(
        "F06",
        f"{flushes + 1} flushes, one each {apart:g} s, {events} events: lost 0, sent twice 0, "
        f"all delivered {took:.1f} s after the last",
    )


def hints_sent(url: str) -> int:
    """Return how often a hint was put into this Redis since it started, or a bell rung for one."""
    with closing(Redis.from_url(url)) as redis:
        told: dict[str, dict[str, int]] = redis.info("commandstats")
    return told.get("cmdstat_rpush", {"calls": 0})["calls"]


@pytest.mark.fault("F07")
def test_redis_may_be_away_for_long_and_come_back_empty(served: Database, reached: Reached) -> None:
    """Writes go on as quickly as before, the backlog drains, and nobody storms the newcomer."""
    stops, away, events = (5, 300.0, 2000) if reached.full else (1, 1.5, 100)
    slowest = drained = storm = 0.0
    meanwhile = 1.0
    port, ids = free_port(), list[str]()
    with ExitStack() as standing, receiving() as receiver:
        url = standing.enter_context(redis_at(port))
        application = standing.enter_context(installed(served, url))
        tenants = resellers(application, receiver, ENDPOINTS)
        with at_work(application):
            for _ in range(stops):
                with closing(Redis.from_url(url)) as redis:
                    redis.shutdown(nosave=True)
                gone_until = time.monotonic() + away
                for number in range(10):
                    began = time.monotonic()
                    ids += publish(application, tenants[number], events // 10)
                    slowest = max(slowest, time.monotonic() - began)
                wait(gone_until - time.monotonic())
                meanwhile = min(meanwhile, states(application).get("succeeded", 0) / len(ids))
                standing.enter_context(redis_at(port))
                drained = max(drained, everything_succeeded(application, len(ids)))
                storm = max(storm, hints_sent(url) / events)
    exactly_once(receiver, ids)
    assert slowest < 2
    # Drained within ten seconds, or within as many hints for each row.
    assert storm <= max(1.0, drained / 10)
    reached.says(
        "F07",
        f"{stops} stops of {away:g} s, {events} events written during each: slowest write of "
        f"{events // 10} took {slowest:.2f} s; {meanwhile:.0%} delivered before Redis was back, "
        f"all {drained:.1f} s after; at most {storm:.2f} hints for each row; lost 0, sent twice 0",
    )


@pytest.mark.fault("F08")
def test_redis_at_its_memory_limit_loses_nothing(served: Database, reached: Reached) -> None:
    """It refuses every hint under load (noeviction): all arrive once all the same."""
    events, seconds = reached.times(200, 10_000), reached.times(1, 30)
    with (
        redis_at(free_port()) as url,
        installed(served, url) as application,
        receiving() as receiver,
        closing(Redis.from_url(url)) as redis,
        capture_logs() as logs,
        at_work(application),
    ):
        tenants = resellers(application, receiver, ENDPOINTS)
        redis.config_set("maxmemory", 1)
        ids = steadily(application, tenants, events=events, seconds=seconds)
        until(lambda: any(line["event"] == "hint.lost" for line in logs))
        refused = states(application).get("succeeded", 0)
        redis.config_set("maxmemory", 0)
        took = everything_succeeded(application, events)
    exactly_once(receiver, ids)
    reached.says(
        "F08",
        f"noeviction at its limit for {seconds} s: {events} events written, {refused} delivered "
        f"meanwhile, all {took:.1f} s after it had room, lost 0, sent twice 0",
    )


@pytest.mark.fault("F09")
def test_a_slow_redis_that_resets_connections_halves_nothing(
    served: Database, reached: Reached
) -> None:
    """Latency with jitter and resets for one connection in five: at least half the throughput."""
    seconds, latency, rate = (300, 2.0, 100) if reached.full else (5, 0.2, 60)
    delivered, seed = {}, 9
    with redis_at(free_port()) as direct, proxied("127.0.0.1", 0, seed=seed) as proxy:
        url = through(proxy, direct)
        for disturbed in (False, True):
            with installed(served, url) as application, receiving() as receiver:
                tenants = resellers(application, receiver, ENDPOINTS)
                before = states(application).get("succeeded", 0)
                with at_work(application):
                    if disturbed:
                        proxy.reset_share, proxy.reset_within_seconds = 0.2, 5.0
                        proxy.there.latency_seconds = latency
                        proxy.there.jitter_seconds = latency / 2
                        proxy.reset_all()  # those that stand already were not drawn
                    events = rate * (seconds if disturbed else min(seconds, 30))
                    ids = steadily(application, tenants, events=events, seconds=events / rate)
                    now = states(application).get("succeeded", 0) - before
                    delivered[disturbed] = now / (events / rate)
                    took = everything_succeeded(application, before + events)
            exactly_once(receiver, ids)
    assert delivered[True] >= delivered[False] / 2
    reached.says(
        "F09",
        f"latency {latency:g} s ± {latency / 2:g}, 1 in 5 connections reset, {seconds} s: "
        f"{delivered[True]:.0f} of {delivered[False]:.0f} callbacks a second, {proxy.counts.cut} "
        f"connections cut, the last {took:.1f} s after the load ended, lost 0, sent twice 0",
        seed=seed,
    )
