"""Drain of a backlog: so many deliveries wait, workers start, and the last one is settled."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select

from bench.stand import (
    Stand,
    cpu_seconds,
    fleet,
    kinds,
    memory_peak_megabytes,
    processes_named,
    running,
    standing,
)
from dispatcher.tables import attempts, deliveries

WAIT_SECONDS = 300.0


def drain(stand: Stand, count: int, workers: int, receiver_pid: int) -> dict[str, float]:
    """Start workers on a waiting backlog and return what its drain took and cost."""
    servers = processes_named("postgres")
    with running(stand.application, kinds(stand, workers)) as processes:
        pids = [each.pid for each in processes]
        while attempted(stand) == 0:
            time.sleep(0.02)
        before = [
            cpu_seconds(pids),
            cpu_seconds(processes_named("postgres") or servers),
            cpu_seconds([receiver_pid]),
        ]
        deadline = time.monotonic() + WAIT_SECONDS
        while waiting(stand) and time.monotonic() < deadline:
            time.sleep(0.25)
        after = [
            cpu_seconds(pids),
            cpu_seconds(processes_named("postgres")),
            cpu_seconds([receiver_pid]),
        ]
        peak = memory_peak_megabytes(pids)
    first, last, made = span(stand)
    seconds = (last - first).total_seconds()
    worker, server, receiver = ((b - a) / count * 1e6 for a, b in zip(before, after, strict=True))
    return {
        "deliveries": made,
        "seconds": seconds,
        "per_second": made / seconds,
        "worker_cpu_microseconds": worker,
        "database_cpu_microseconds": server,
        "receiver_cpu_microseconds": receiver,
        "memory_megabytes": peak,
    }


def attempted(stand: Stand) -> int:
    """Return whether anything was attempted yet."""
    with stand.application.database.read() as connection:
        return len(connection.execute(select(attempts.c.number).limit(1)).all())


def waiting(stand: Stand) -> bool:
    """Tell whether anything is still open."""
    open_ = select(deliveries.c.id).where(deliveries.c.next_attempt_at.is_not(None)).limit(1)
    with stand.application.database.read() as connection:
        return connection.execute(open_).first() is not None


def span(stand: Stand) -> tuple[datetime, datetime, int]:
    """Return the first attempt's start, the last settle, and how many succeeded."""
    with stand.application.database.read() as connection:
        first = connection.execute(select(func.min(attempts.c.started_at))).scalar_one()
        last, made = connection.execute(
            select(func.max(deliveries.c.settled_at), func.count()).where(
                deliveries.c.state == "succeeded"
            )
        ).one()
    return first, last, made


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.drain", description=__doc__)
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--endpoints", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tillbell-bench-") as name,
        standing(Path(name)) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, given.endpoints)
        published = stand.publish(given.events)
        relayed = stand.relay()
        print(f"publish {given.events / published:,.0f}/s relay {given.events / relayed:,.0f}/s")
        print(
            json.dumps(drain(stand, given.events, given.workers, receivers.process.pid), indent=1)
        )
        print(receivers.counts())


if __name__ == "__main__":
    main()
