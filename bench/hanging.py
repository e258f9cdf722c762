"""One endpoint of ten never answers: what the other nine notice of it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from bench.ground import fresh_ground
from bench.lines import Figures, Scale, latencies_ms, module, percentiles
from bench.stand import fleet, kinds, running, standing

RATE = 200
#: A worker that ends waits for the calls that hang.
DEADLINE_SECONDS = 2


def hanging(scale: Scale) -> Figures:
    """Measure the nine with the tenth hanging, and again with it answering."""
    return {"with": _nine(scale, hangs=True), "without": _nine(scale, hangs=False)}


def _nine(scale: Scale, *, hangs: bool) -> Figures:
    with (
        fresh_ground() as (folder, settings),
        standing(folder, delivery_deadline_seconds=DEADLINE_SECONDS, **settings) as stand,
        fleet() as receivers,
        silent() as silent_port,
    ):
        stand.add_endpoints(receivers.port, 9)
        nine = set(stand.tenant_ids)
        stand.add_endpoints(silent_port if hangs else receivers.port, 1)
        [tenth] = set(stand.tenant_ids) - nine
        tenants = folder / "tenants.json"
        tenants.write_text(json.dumps(stand.tenant_ids))
        with running(stand.application, kinds(stand)):
            time.sleep(2.0)
            arguments = ("--rate", str(RATE), "--seconds", str(scale.latency_seconds))
            environment = stand.application.settings.as_environment()
            module(
                "bench.publisher", *arguments, "--tenants", str(tenants), environment=environment
            )
            time.sleep(1.0)
        waits = latencies_ms(stand, receivers.arrivals(), without_tenant=tenth)
        return {"events": len(waits), **percentiles(list(waits.values()))}


@contextmanager
def silent(host: str = "127.0.0.1") -> Iterator[int]:
    """Listen on a loopback port whose calls are taken and never answered."""
    with socket.create_server((host, 0), backlog=1024) as server:
        yield server.getsockname()[1]
