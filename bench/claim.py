"""What history costs: leasing mailboxes and reading their deliveries with settled rows behind."""

from __future__ import annotations

import statistics
import time
from datetime import timedelta

from sqlalchemy import select, text

from bench.ground import fresh_ground
from bench.lines import Figures, Scale
from bench.stand import Stand, standing
from dispatcher.due import first_slices
from dispatcher.mailboxes import lease, release
from dispatcher.tables import mailboxes

ROUNDS = 30
OPEN_ROWS = 2_000
COPIED = 250_000

#: Settled rows like those a drain leaves, made by the server from the open ones.
_SETTLED = """
    INSERT INTO deliveries (id, event_id, endpoint_id, tenant_id, event, state, attempts,
        next_attempt_at, created_at, settled_at)
    SELECT {new_id}, {new_id}, d.endpoint_id, d.tenant_id, d.event, 'succeeded', 1, NULL,
        d.created_at, d.created_at
    FROM deliveries d {copies} WHERE d.next_attempt_at IS NOT NULL"""
_POSTGRESQL = _SETTLED.format(
    new_id="gen_random_uuid()",
    copies="CROSS JOIN generate_series(1, :copies)",
)
_SQLITE = _SETTLED.format(
    new_id="tillbell_uuid7()",
    copies="CROSS JOIN (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
    " WHERE i < :copies) SELECT i FROM n)",
)


def claim(scale: Scale) -> Figures:
    """Time it with nothing settled, then with so many rows settled."""
    with fresh_ground() as (folder, settings), standing(folder, **settings) as stand:
        stand.add_endpoints(9, 20)
        stand.publish(OPEN_ROWS)
        stand.relay()
        empty_ms = _round_ms(stand)
        _settle_rows(stand, scale.settled_rows)
        return {
            "settled_rows": scale.settled_rows,
            "empty_ms": empty_ms,
            "behind_ms": _round_ms(stand),
        }


def _settle_rows(stand: Stand, rows: int) -> None:
    database = stand.application.database
    statement = text(_SQLITE if database.sqlite else _POSTGRESQL)
    while rows > 0:
        copies = min(rows, COPIED) // OPEN_ROWS
        with database.write() as connection:
            connection.execute(statement, {"copies": copies})
        rows -= copies * OPEN_ROWS
    if not database.sqlite:
        with database.engine.connect().execution_options(
            isolation_level="AUTOCOMMIT"
        ) as connection:
            connection.execute(text("VACUUM ANALYZE deliveries"))


def _round_ms(stand: Stand) -> float:
    """Return the median of leasing every mailbox, reading its first slice, and giving it back."""
    database, took = stand.application.database, []
    now = database.now() + timedelta(seconds=1)
    for _ in range(ROUNDS):
        began = time.perf_counter()
        with database.write() as connection:
            held = lease(
                connection, worker="bench", now=now, duration=timedelta(seconds=60), limit=100
            )
        ids = [each.endpoint_id for each in held]
        with database.read() as connection:
            found = first_slices(connection, ids, now=now, rows=50)
        assert sum(map(len, found.values())) == 50 * len(ids)
        with database.write() as connection:
            release(connection, [(each.endpoint_id, each.token) for each in held])
        took.append((time.perf_counter() - began) * 1000)
        now += timedelta(seconds=1)
    with database.read() as connection:
        assert connection.execute(select(mailboxes.c.endpoint_id)).first() is not None
    return statistics.median(took)
