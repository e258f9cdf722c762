"""A hundred thousand endpoints of which a tenth is dead: what the healthy ones notice of it.

``python -m bench.crowd --endpoints 100000``. One event a tenant fans out to a thousand endpoints.
Of the dead ones half refuse the connection and half take it and never answer.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from sqlalchemy import func, insert, select

from bench.drain import attempted, span
from bench.ground import fresh_ground
from bench.hanging import silent
from bench.lines import Figures, percentiles
from bench.stand import (
    EVENT,
    Stand,
    cpu_seconds,
    fleet,
    kinds,
    memory_peak_megabytes,
    processes_named,
    running,
    standing,
)
from dispatcher import endpoints as engine_endpoints
from dispatcher.endpoint_secrets import Kind
from dispatcher.tables import endpoint_secrets, endpoints, mailboxes
from dispatcher.tables import subscriptions as subscribed
from engine import tenants
from engine.ids import new_id
from engine.sealing import bound_to
from engine.unit_of_work import UnitOfWork
from worker.demo.stage import free_port

PER_TENANT = 1_000
DEAD_HOST = "127.0.0.2"
WAIT_SECONDS = 300.0


def crowd(count: int) -> Figures:
    """Send one event to each of ``count`` endpoints, all healthy and then a tenth of them dead."""
    healthy = _run(count, dead=False)
    dead = _run(count, dead=True)
    return {
        "endpoints": count,
        "all_healthy": healthy,
        "tenth_dead": dead,
        "ratio": dead["per_second"] / healthy["per_second"],
    }


def _run(count: int, *, dead: bool) -> Figures:
    with (
        fresh_ground() as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
        silent(DEAD_HOST) as hanging_port,
    ):
        alive = f"127.0.0.1:{receivers.port}"
        # The dead have a host of their own: one host's cap would be everybody's.
        gone = [f"{DEAD_HOST}:{hanging_port}", f"{DEAD_HOST}:{free_port()}"]
        places = [alive] * 18 + (gone if dead else [alive, alive])
        add_endpoints(stand, count, places)
        healthy = sum(places[number % len(places)] == alive for number in range(count))
        stand.publish(len(stand.tenant_ids))
        stand.relay()
        began = time.monotonic()
        with running(stand.application, kinds(stand)) as processes:
            pids = [each.pid for each in processes]
            while not attempted(stand):
                time.sleep(0.02)
            before = cpu_seconds(pids), cpu_seconds(processes_named("postgres"))
            while receivers.counts()[0] < healthy and time.monotonic() < began + WAIT_SECONDS:
                time.sleep(0.1)
            after = cpu_seconds(pids), cpu_seconds(processes_named("postgres"))
            peak = memory_peak_megabytes(pids)
        first, arrived = span(stand)[0].timestamp(), receivers.instants()
        waits = [instant - first for instant in arrived]
        seconds = sorted(waits)[int(len(waits) * 0.999) - 1]
        return {
            "healthy": healthy,
            "arrived": len(arrived),
            "per_second": len(arrived) * 0.999 / seconds,
            "seconds_to_99_9_percent": seconds,
            "worker_cpu_microseconds": (after[0] - before[0]) / len(arrived) * 1e6,
            "database_cpu_microseconds": (after[1] - before[1]) / len(arrived) * 1e6,
            "memory_megabytes": peak,
            **percentiles([each * 1000 for each in waits]),
        }


def add_endpoints(stand: Stand, count: int, places: list[str]) -> None:
    """Make ``count`` endpoints, a thousand a tenant, in turn on each of ``places``.

    The first one is made by the product, the others are copies of its rows with secrets of their
    own: one at a time would take minutes.
    """
    application = stand.application
    for start in range(0, count, PER_TENANT):
        with application.units.begin(actor="bench") as work:
            tenant_id = tenants.create(work, name=f"crowd {start}")["id"]
            stand.tenant_ids.append(tenant_id)
            model = engine_endpoints.create(
                work,
                application.guard,
                tenant_id=tenant_id,
                url=_url(start, places),
                events=[EVENT],
            )
            row = dict(
                work.connection.execute(select(endpoints).where(endpoints.c.id == model["id"]))
                .mappings()
                .one()
            )
            numbers = range(start + 1, min(start + PER_TENANT, count))
            _copy(stand, work, row, [_url(number, places) for number in numbers])
    with application.database.read() as connection:
        assert count == connection.execute(select(func.count()).select_from(mailboxes)).scalar_one()


def _url(number: int, places: list[str]) -> str:
    return f"http://{places[number % len(places)]}/hook/{number}"


def _copy(stand: Stand, work: UnitOfWork, model: dict[str, Any], urls: list[str]) -> None:
    """Insert copies of one endpoint with its subscription, its mailbox and a secret each."""
    keyring, tenant_id = stand.application.guard.keyring, model["tenant_id"]
    rows = [model | {"id": new_id(), "url": url} for url in urls]
    if not rows:
        return
    secrets = []
    for row in rows:
        bound = bound_to(tenant_id, row["id"], Kind.SIGNING)
        key_id, sealed = keyring.seal(b"s" * 32, bound_to=bound)
        secrets.append(
            {
                "id": new_id(),
                "endpoint_id": row["id"],
                "kind": Kind.SIGNING,
                "key_id": key_id,
                "ciphertext": sealed,
                "created_at": work.now,
            }
        )
    connection = work.connection
    connection.execute(insert(endpoints), rows)
    connection.execute(insert(mailboxes), [{"endpoint_id": row["id"]} for row in rows])
    connection.execute(
        insert(subscribed),
        [
            {
                "tenant_id": tenant_id,
                "event_type": EVENT,
                "endpoint_id": row["id"],
                "since": work.now,
            }
            for row in rows
        ],
    )
    connection.execute(insert(endpoint_secrets), secrets)


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.crowd", description=__doc__)
    parser.add_argument("--endpoints", type=int, default=100_000)
    print(json.dumps(crowd(parser.parse_args().endpoints)))


if __name__ == "__main__":
    main()
