"""The lines of the table: each makes its own ground, measures one thing and returns its figures."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from bench.drain import drain, waiting
from bench.ground import fresh_ground
from bench.stand import Stand, fleet, kinds, memory_peak_megabytes, running, standing
from engine.tables import events, outbox

Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything is measured."""

    ceiling_calls: int
    backlog: int
    embedded_backlog: int
    endpoints: int
    sustained_per_second: int
    sustained_seconds: float
    latency_seconds: float
    latency_rates: tuple[int, ...]
    usual_deliveries: int
    settled_rows: int = 0
    open_rows: int = 0
    reconciled_rows: int = 0
    deep_rows: int = 0
    crowd_endpoints: int = 0
    retries: int = 0
    more_workers: tuple[int, ...] = ()
    workers: int = 1


QUICK = Scale(15_000, 10_000, 5_000, 100, 1_000, 2, 1.5, (500,), 100)
FULL = Scale(
    *(100_000, 300_000, 100_000, 200, 10_000, 60, 10, (50, 500, 2000), 1_000),
    settled_rows=10_000_000,
    open_rows=1_000_000,
    reconciled_rows=1_000_000,
    deep_rows=1_000_000,
    crowd_endpoints=100_000,
    retries=10_000,
    more_workers=(2, 4),
)
#: What the reconciliation of many rows is held against.
FEW_ROWS = 20_000


def module(name: str, *arguments: str, environment: dict[str, str] | None = None) -> Figures:
    """Run one of our modules as a process of its own and return the JSON it prints last."""
    command = [sys.executable, "-m", name, *arguments]
    done = subprocess.run(  # noqa: S603  # our own module, our arguments
        command, env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def ceiling(scale: Scale) -> Figures:
    """Call with the same signing, transport and receivers as a drain, and no database."""
    with fleet() as receivers:
        arguments = ("--port", str(receivers.port), "--calls", str(scale.ceiling_calls))
        return module("bench.ceiling", *arguments, "--endpoints", str(scale.endpoints))


def drained(scale: Scale, *, embedded: bool = False) -> Figures:
    """Drain a backlog."""
    count = scale.embedded_backlog if embedded else scale.backlog
    with (
        fresh_ground(embedded=embedded) as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, scale.endpoints)
        publish_seconds, relay_seconds = stand.publish(count), stand.relay()
        found = drain(stand, count, scale.workers, receivers.process.pid)
        received, distinct = receivers.counts()
        return {
            **found,
            "publish_per_second": count / publish_seconds,
            "relay_per_second": count / relay_seconds,
            "received_again": received - distinct,
            "missing": count - distinct,
        }


def killed(scale: Scale) -> Figures:
    """Kill a worker with SIGKILL half-way through a backlog and start another."""
    count = scale.embedded_backlog
    with (
        fresh_ground() as (folder, settings),
        standing(folder, delivery_deadline_seconds=1, **settings) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, scale.endpoints)
        stand.publish(count)
        stand.relay()
        with running(stand.application, kinds(stand, scale.workers)) as [worker, *_]:
            while receivers.counts()[0] < count // 2:
                time.sleep(0.005)
            worker.kill()
            worker.wait()
        with running(stand.application, kinds(stand, scale.workers)):
            wait_until_settled(stand, 60)
        received, distinct = receivers.counts()
        return {"missing": count - distinct, "received_again": received - distinct}


def sustained(scale: Scale, *, rate: float, seconds: float, hints: bool = True) -> Figures:
    """Publish at a steady rate until all has arrived; the latency is from commit to arrival."""
    with (
        fresh_ground() as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, scale.endpoints)
        tenants = folder / "tenants.json"
        tenants.write_text(json.dumps(stand.tenant_ids))
        with running(stand.application, kinds(stand, scale.workers)) as started:
            time.sleep(2.0)
            told = _publish(stand, tenants, rate, seconds, hints=hints)
            caught_up_seconds = wait_until_settled(stand, 60)
            peak = memory_peak_megabytes([each.pid for each in started])
        arrived = receivers.arrivals()
        waits = latencies_ms(stand, arrived)
    return {
        "asked_per_second": rate,
        "published_per_second": told["published"] / told["seconds"],
        "seconds_to_catch_up": caught_up_seconds,
        "missing": told["published"] - len(waits),
        "received_again": len(arrived) - len(waits),
        "memory_megabytes": peak,
        **percentiles(list(waits.values())),
    }


def _publish(
    stand: Stand, tenants: Path, rate: float, seconds: float, *, hints: bool
) -> dict[str, float]:
    arguments = ["--rate", str(rate), "--seconds", str(seconds), "--tenants", str(tenants)]
    return module(
        "bench.publisher",
        *arguments,
        *([] if hints else ["--no-hints"]),
        environment=stand.application.settings.as_environment(),
    )


def wait_until_settled(stand: Stand, seconds: float) -> float:
    """Return how long it took until nothing waits, at most ``seconds``."""
    began = time.monotonic()
    while (waiting(stand) or _unrelayed(stand)) and time.monotonic() < began + seconds:
        time.sleep(0.1)
    return time.monotonic() - began


def _unrelayed(stand: Stand) -> bool:
    with stand.application.database.read() as connection:
        return connection.execute(select(outbox.c.event_id).limit(1)).first() is not None


def latencies_ms(
    stand: Stand, arrived: Sequence[tuple[str, int]], *, without_tenant: str = ""
) -> dict[str, float]:
    """Return for each event, but one tenant's, how long after its commit it first arrived."""
    columns = (events.c.id, events.c.tenant_id, events.c.created_at)
    with stand.application.database.read() as connection:
        rows = connection.execute(select(*columns)).all()
    committed = {row.id: row.created_at.timestamp() for row in rows if row[1] != without_tenant}
    first: dict[str, float] = {}
    for identifier, nanoseconds in arrived:
        if identifier in committed and identifier not in first:
            first[identifier] = (nanoseconds / 1e9 - committed[identifier]) * 1000
    return first


def percentiles(values: Sequence[float]) -> Figures:
    """Return p50, p95, p99 and the largest, in milliseconds."""
    if len(values) < 2:
        return {}
    cuts = statistics.quantiles(values, n=100)
    return {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98], "max_ms": max(values)}


def with_workers(scale: Scale) -> Figures:
    """Drain the backlog with more worker processes."""
    return {
        str(workers): drained(replace(scale, workers=workers)) for workers in scale.more_workers
    }


def claimed(scale: Scale) -> Figures:
    """Time relay, claim and settle with rows behind and in front, in a process of its own."""
    arguments = ("--settled", str(scale.settled_rows), "--open", str(scale.open_rows))
    return module("bench.claim", *arguments)


def reconciled(scale: Scale) -> Figures:
    """Run every check over few rows and over many, in a process of its own."""
    return module("bench.reconcile", "--rows", str(FEW_ROWS), str(scale.reconciled_rows))


def usual(scale: Scale) -> Figures:
    """Deliver the usual way, on the same servers."""
    with fresh_ground() as (folder, settings), fleet() as receivers:
        with standing(folder, **settings) as stand:
            environment = stand.application.settings.as_environment()
        environment["TILLBELL_DATABASE_URL"] = _driver(settings["database_url"])
        url = f"http://127.0.0.1:{receivers.port}/usual"
        return module(
            "bench.usual",
            *("--url", url, "--deliveries", str(scale.usual_deliveries)),
            environment=environment,
        )


def _driver(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")
