"""What depth costs: one endpoint with everything, retries due at once, a snapshot held open.

``python -m bench.depths --rows 100000`` prints each; ``tillbell bench`` holds them against a plain
drain.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import text, update

from bench.drain import drain
from bench.ground import fresh_ground
from bench.lines import Figures, percentiles, wait_until_settled
from bench.stand import fleet, kinds, running, standing
from dispatcher.states import DeliveryState
from dispatcher.tables import deliveries, mailboxes
from engine.database import Database

ENDPOINTS = 200
#: So long after everything is prepared the retries fall due, when workers idle already.
DUE_IN = timedelta(seconds=6)


def deep(rows: int) -> Figures:
    """Drain everything to one endpoint."""
    return {"rows": rows, "per_second": _drained(rows, endpoints=1, max_in_flight=100)}


def snapshot(rows: int) -> Figures:
    """Drain while another session holds a snapshot from before."""
    return {"rows": rows, "per_second": _drained(rows, endpoints=ENDPOINTS, holding=True)}


def _drained(rows: int, *, endpoints: int, holding: bool = False, **options: object) -> float:
    """Return deliveries a second."""
    with (
        fresh_ground() as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, endpoints, **options)
        stand.publish(rows)
        stand.relay()
        with _snapshot(stand.application.database, holding=holding):
            return drain(stand, rows, 1, receivers.process.pid)["per_second"]


@contextmanager
def _snapshot(database: Database, *, holding: bool) -> Iterator[None]:
    """Hold a snapshot open while the block runs."""
    if not holding:
        yield
        return
    with database.engine.connect() as connection:
        if not database.sqlite:
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        connection.execute(text("SELECT count(*) FROM outbox"))
        yield


def retries(count: int, due_in: timedelta = DUE_IN) -> Figures:
    """Let so many retries fall due in the same instant; the wait is from there to the receiver."""
    with (
        fresh_ground() as (folder, settings),
        standing(folder, **settings) as stand,
        fleet() as receivers,
    ):
        stand.add_endpoints(receivers.port, ENDPOINTS)
        stand.publish(count)
        stand.relay()
        due_at = stand.application.clock.now() + due_in
        with stand.application.database.write() as connection:
            connection.execute(
                update(deliveries).values(
                    state=DeliveryState.RETRYING, attempts=1, next_attempt_at=due_at
                )
            )
            connection.execute(update(mailboxes).values(due_at=due_at))
        with running(stand.application, kinds(stand)):
            time.sleep(due_in.total_seconds())
            wait_until_settled(stand, 60)
        waits = [(instant - due_at.timestamp()) * 1000 for instant in receivers.instants()]
        return {"retries": count, "arrived": len(waits), **percentiles(waits)}


def main() -> None:
    """Measure and print one JSON document."""
    parser = argparse.ArgumentParser(prog="python -m bench.depths", description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    given = parser.parse_args()
    found = {
        "deep": deep(given.rows),
        "snapshot": snapshot(given.rows),
        "retries": retries(min(given.rows, 10_000)),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
