"""Bytes per delivery: what event, delivery and attempt take in the database, indexes included.

``python -m bench.storage --deliveries 10000`` fills the environment's database (an empty one) by
the real relay and the real settle, without HTTP, and prints how much each table grew.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from bench.stand import Stand, bench_settings
from dispatcher.mailboxes import lease
from dispatcher.outcome import Outcome, Verdict
from dispatcher.settle import settle_now
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState
from dispatcher.tables import deliveries
from engine.database import Database
from engine.events import EventDraft, publish_many
from engine.tables import events
from worker.bootstrap import Application, build
from worker.initialise import initialise

ENDPOINTS = 20
BATCH = 500
#: About as much as an event of an order says.
DATA = {
    "chain_order_id": "01900000-0000-7000-8000-00000000000a",
    "origin_order_number": "ORD-2024-0001",
    "status": "delivered",
    "items": [{"sku": "PROD-001", "quantity": 2, "cost": "540.00", "margin": "60.00"}],
    "shipping": {"courier": "Delhivery", "awb": "AWB123456789", "city": "Jaipur"},
}
TABLES = ("events", "deliveries", "attempts", "outbox")

_POSTGRESQL = text("""
    SELECT relname AS name, pg_table_size(oid) AS rows, pg_indexes_size(oid) AS indexes
    FROM pg_class WHERE relkind = 'r' AND relname IN ('events', 'deliveries', 'attempts', 'outbox')
    """)
_SQLITE = text("""
    SELECT s.tbl_name AS name, sum(CASE WHEN s.type = 'table' THEN d.pgsize ELSE 0 END) AS rows,
        sum(CASE WHEN s.type = 'index' THEN d.pgsize ELSE 0 END) AS indexes
    FROM dbstat d JOIN sqlite_master s ON s.name = d.name
    WHERE s.tbl_name IN ('events', 'deliveries', 'attempts', 'outbox')
    GROUP BY s.tbl_name""")


def sizes(database: Database) -> dict[str, tuple[int, int]]:
    """Return the bytes of rows and of indexes of each table."""
    with database.read() as connection:
        rows = connection.execute(_SQLITE if database.sqlite else _POSTGRESQL)
        return {row.name: (int(row.rows), int(row.indexes)) for row in rows}


def fill(application: Application, count: int) -> None:
    """Publish, fan out and settle ``count`` deliveries, each at its first attempt."""
    stand = Stand(application)
    stand.add_endpoints(9, ENDPOINTS)
    tenant_ids = stand.tenant_ids
    relay = application.relay()
    for start in range(0, count, BATCH):
        drafts = [
            EventDraft(
                tenant_id=tenant_ids[number % ENDPOINTS],
                type="webhook.test",
                data=DATA,
                subject_type="chain_order",
                subject_id=f"01900000-0000-7000-8000-{number:012d}",
            )
            for number in range(start, min(start + BATCH, count))
        ]
        with application.database.write() as connection:
            publish_many(connection, drafts)
        relay.run_until_empty()
        settle_open(application)


def settle_open(application: Application) -> None:
    """Settle every open delivery as delivered, under a lease."""
    now = application.clock.now()
    outcome = Outcome(Verdict.SUCCEEDED, 200, None, '{"success":true}')
    with application.database.write() as connection:
        held = lease(
            connection, worker="bench", now=now, duration=timedelta(minutes=5), limit=ENDPOINTS
        )
        tokens = {each.endpoint_id: each.token for each in held}
        waiting = select(deliveries).where(deliveries.c.next_attempt_at.is_not(None))
        rows = connection.execute(waiting).all()
    settle_now(application.database, [_settled(row, tokens, outcome, now) for row in rows], now)
    with application.database.write() as connection:
        connection.execute(text("UPDATE mailboxes SET lease_until = NULL, leased_by = NULL"))


def _settled(row: Any, tokens: dict[str, int], outcome: Outcome, now: Any) -> Settlement:
    return Settlement(
        delivery_id=row.id,
        endpoint_id=row.endpoint_id,
        lease_token=tokens[row.endpoint_id],
        number=1,
        trigger="scheduled",
        started_at=now,
        duration_ms=12,
        outcome=outcome,
        state=DeliveryState.SUCCEEDED,
        next_attempt_at=None,
        settled_at=now,
    )


def report(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]], count: int
) -> None:
    """Print the growth of each table, in bytes per delivery."""
    total = 0.0
    print(f"{'table':<12}{'rows':>8}{'indexes':>9}{'bytes per delivery':>20}")
    for name in TABLES:
        rows, indexes = ((after[name][part] - before[name][part]) / count for part in (0, 1))
        total += rows + indexes
        print(f"{name:<12}{rows:>8.0f}{indexes:>9.0f}{rows + indexes:>20.0f}")
    print(f"{'all':<12}{total:>37.0f}")


def body_bytes(database: Database) -> float:
    """Return how long a body is on average: what retention frees first."""
    with database.read() as connection:
        return float(connection.execute(select(func.avg(func.length(events.c.body)))).scalar_one())


def main() -> None:
    """Fill, measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.storage", description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tillbell-storage-") as name:
        settings = bench_settings(Path(name))
        initialise(settings)
        application = build(settings)
        before = sizes(application.database)
        fill(application, given.deliveries)
        vacuum(application.database)
        report(before, sizes(application.database), given.deliveries)
        print(f"of which the body: {body_bytes(application.database):.0f}")
        application.close()


def vacuum(database: Database) -> None:
    """Free what deleted and changed rows left behind, as the database does by itself in time."""
    if not database.sqlite:
        with database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("VACUUM"))


if __name__ == "__main__":
    main()
