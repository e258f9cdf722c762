"""F50: the schema grows while workers run: additive steps, under load, old code among new."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from engine.database import Database, wait_for_locks
from engine.errors import DatabaseUnavailable
from tests.faults.load import everything_succeeded, exactly_once, own_database, resellers, steadily
from tests.faults.plugin import Reached
from tests.installations import installed
from tests.receivers import receiving
from worker.processes import dispatching, scheduling
from worker.schema import require_newest

#: What an additive revision may do: nobody who does not know of it is disturbed.
STEPS = (
    "ALTER TABLE {table} ADD COLUMN grown_{number} text",
    "ALTER TABLE {table} ADD COLUMN counted_{number} integer NOT NULL DEFAULT 0",
    "CREATE TABLE beside_{table}_{number} (id uuid PRIMARY KEY)",
)
TABLES = ("events", "outbox", "deliveries", "attempts", "mailboxes", "endpoints", "subscriptions")


@pytest.fixture
def served(postgresql_url: str) -> Iterator[Database]:
    """Return a PostgreSQL database of this test alone."""
    with own_database(postgresql_url) as database:
        yield database


@pytest.mark.fault("F50")
def test_workers_do_not_mind_what_is_added_under_them(
    served: Database, redis_url: str, reached: Reached
) -> None:
    """Columns and tables are added while two workers deliver: nothing is lost, nothing repeated."""
    rounds, events = reached.times(1, 5), reached.times(200, 5000)
    made: list[str] = []

    def grow(passed_seconds: float) -> None:
        steps = [
            step.format(table=table, number=number)
            for number in range(rounds)
            for table in TABLES
            for step in STEPS
        ]
        for step in steps[len(made) : int(len(steps) * passed_seconds / (2 * rounds)) + 1]:
            with served.write() as connection:
                wait_for_locks(connection, 5)
                connection.execute(text(step))
            made.append(step)

    with (
        installed(served, redis_url) as old,
        installed(served, redis_url) as other,
        receiving() as receiver,
        dispatching(old),
        dispatching(other),
        scheduling(old),
    ):
        tenants = resellers(old, receiver, 5)
        seconds = 2.0 * rounds
        ids = steadily(old, tenants, events=events, seconds=seconds, meanwhile=grow)
        took = everything_succeeded(old, events)
    exactly_once(receiver, ids)
    assert len(made) >= 2 * len(TABLES)
    reached.says(
        "F50",
        f"{len(made)} additive steps under two workers and {events} events: lost 0, sent twice 0, "
        f"all {took:.1f} s after the load",
    )


@pytest.mark.fault("F50")
def test_a_process_of_the_older_version_starts_on_the_newer_schema(served: Database) -> None:
    """While processes are replaced one by one, one that is restarted is not shut out."""
    revise = text("UPDATE alembic_version SET version_num = :revision")
    with served.write() as connection:
        connection.execute(revise, {"revision": "9999"})
    require_newest(served)
    with served.write() as connection:
        connection.execute(revise, {"revision": "0001"})
    with pytest.raises(DatabaseUnavailable, match="tillbell init"):
        require_newest(served)
