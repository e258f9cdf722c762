"""What each step costs and writes: the figures that ``bench.growth`` grows a fleet from.

``python -m bench.costs --deliveries 20000`` publishes, relays and drains, once with everything for
two hundred endpoints and once with one delivery for each, and prints for each step the processor
time of the database and of this process, and the bytes of the write-ahead log. The database's
server should have nothing else to do: its log and its processes are counted whole.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

from sqlalchemy import text

from bench.crowd import add_endpoints
from bench.ground import fresh_ground
from bench.lines import Figures
from bench.stand import Stand, cpu_seconds, fleet, processes_named, standing

BUSY_ENDPOINTS = 200
_LOG_BYTES = text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")


def costs(deliveries: int, *, one_each: bool) -> Figures:
    """Return microseconds and log bytes a delivery of each step."""
    with (
        fresh_ground() as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
    ):
        if one_each:
            add_endpoints(stand, deliveries, [f"127.0.0.1:{receivers.port}"])
        else:
            stand.add_endpoints(receivers.port, BUSY_ENDPOINTS)
        events = len(stand.tenant_ids) if one_each else deliveries
        drainer = stand.application.drainer()
        drainer.start()
        found = {
            "publish": _step(stand, lambda: stand.publish(events), events),
            "relay": _step(stand, stand.relay, deliveries),
            "drain": _step(stand, drainer.run_once, deliveries),
        }
        drainer.stop()
        assert deliveries == receivers.counts()[0]
        return found


def _step(stand: Stand, step: Callable[[], object], count: int) -> Figures:
    before = _used(stand)
    step()
    used = [(b - a) / count for a, b in zip(before, _used(stand), strict=True)]
    return {
        "database_microseconds": used[0] * 1e6,
        "own_microseconds": used[1] * 1e6,
        "log_bytes": used[2],
    }


def _used(stand: Stand) -> tuple[float, float, float]:
    with stand.application.database.read() as connection:
        written = 0.0
        if not stand.application.database.sqlite:
            written = float(connection.execute(_LOG_BYTES).scalar_one())
    return cpu_seconds(processes_named("postgres")), time.process_time(), written


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.costs", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000)
    count = parser.parse_args().deliveries
    found = {
        "to_few": costs(count, one_each=False),
        "one_each": costs(count // 3, one_each=True),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
