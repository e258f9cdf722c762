"""A first measurement: bulk-publish events to healthy endpoints, on the environment's settings.

``python -m bench.first --events 20000 --endpoints 20`` times the way from the first commit to the
last settle; ``--kill`` kills the worker half-way with SIGKILL, starts another and counts what was
lost.
"""

from __future__ import annotations

import argparse
import base64
import os
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, select

from config.settings import Settings, load_settings
from dispatcher import endpoints
from dispatcher.tables import deliveries
from engine import tenants
from engine.events import EventDraft, publish_many
from engine.tables import events
from worker.bootstrap import Application, build
from worker.demo.stage import ReceiverProcess, free_port, start_python, stop_process
from worker.initialise import initialise

WAIT_SECONDS = 180.0
BATCH = 1000
BODY = {"note": "x" * 400, "amount": 138.0, "items": [{"sku": "PROD-001", "quantity": 2}]}


def bench_settings(folder: Path) -> Settings:
    """Return the environment's settings with loopback allowed and keys at hand."""
    given = load_settings()
    return load_settings(
        data_dir=folder,
        secret_keys=given.secret_keys or [base64.b64encode(os.urandom(32)).decode()],
        egress_allow=["127.0.0.0/8"],
        allow_http=True,
        log_level="error",
    )


def prepare(application: Application, url: str, count: int) -> list[str]:
    """Make ``count`` tenants with an endpoint each and return the tenants' ids."""
    ids = []
    with application.units.begin(actor="bench") as work:
        for number in range(count):
            tenant_id = tenants.create(work, name=f"bench {number}")["id"]
            guard = application.guard
            endpoints.create(work, guard, tenant_id=tenant_id, url=url, events=["webhook.test"])
            ids.append(tenant_id)
    return ids


def publish(application: Application, tenant_ids: list[str], count: int) -> float:
    """Publish events round-robin in transactions of a thousand; return the seconds it took."""
    began = time.monotonic()
    for start in range(0, count, BATCH):
        drafts = [
            EventDraft(
                tenant_id=tenant_ids[number % len(tenant_ids)], type="webhook.test", data=BODY
            )
            for number in range(start, min(start + BATCH, count))
        ]
        with application.database.write() as connection:
            publish_many(connection, drafts)
        application.hints.relay()
    return time.monotonic() - began


def settled(application: Application, tenant_ids: list[str]) -> tuple[int, Any, Any]:
    """Return how many deliveries are settled, the first commit and the last settle."""
    mine = deliveries.c.tenant_id.in_(tenant_ids)
    with application.database.read() as connection:
        done = connection.execute(
            select(func.count(), func.max(deliveries.c.settled_at)).where(
                mine, deliveries.c.state == "succeeded"
            )
        ).one()
        first = connection.execute(
            select(func.min(events.c.created_at)).where(events.c.tenant_id.in_(tenant_ids))
        ).scalar_one()
    return done[0], first, done[1]


def wait_for(application: Application, tenant_ids: list[str], count: int) -> None:
    """Wait until ``count`` deliveries are settled, or give up."""
    deadline = time.monotonic() + WAIT_SECONDS
    while settled(application, tenant_ids)[0] < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {settled(application, tenant_ids)[0]} of {count} settled")
        time.sleep(0.2)


def main() -> None:
    """Run the measurement and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m bench.first", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--kill", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillbell-bench-") as name:
        folder = Path(name)
        settings = bench_settings(folder)
        initialise(settings)
        application = build(settings)
        run(application, folder, given)
        application.close()


def run(application: Application, folder: Path, given: argparse.Namespace) -> None:
    """Start what is needed, publish, wait, and print."""
    receiver = ReceiverProcess("healthy", folder, free_port())
    receiver.start()
    environment = application.settings.as_environment()
    kinds = ["worker"] * given.workers + ["scheduler"]
    processes = [start_python("worker", [kind], environment) for kind in kinds]
    try:
        tenant_ids = prepare(application, receiver.url, given.endpoints)
        time.sleep(2)
        seconds = publish(application, tenant_ids, given.events)
        print(f"published {given.events:,} events in {seconds:.2f} s")
        if given.kill:
            wait_for(application, tenant_ids, given.events // 2)
            processes[0].send_signal(signal.SIGKILL)
            processes[0].wait()
            print(f"killed the worker with {settled(application, tenant_ids)[0]:,} settled")
            processes[0] = start_python("worker", ["worker"], environment)
        wait_for(application, tenant_ids, given.events)
        count, first, last = settled(application, tenant_ids)
        elapsed = (last - first).total_seconds()
        print(f"{count:,} deliveries in {elapsed:.2f} s: {count / elapsed:,.0f} per second")
        report_received(receiver.log, given.events)
    finally:
        for process in processes:
            stop_process(process)
        receiver.stop()


def report_received(log: Path, expected: int) -> None:
    """Print what the receiver itself counted."""
    ids = Counter(orjson.loads(line)["id"] for line in log.read_bytes().splitlines())
    duplicates = sum(ids.values()) - len(ids)
    print(f"the receiver got {len(ids):,} of {expected:,} events, {duplicates} of them again")


if __name__ == "__main__":
    main()
