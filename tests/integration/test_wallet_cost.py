"""What reading a statement costs, counted in steps of the database's machine, not in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from config.clock import FixedClock
from engine import wallet_holds, wallet_transactions, wallets
from engine.database import Database, metadata
from engine.unit_of_work import UnitsOfWork
from engine.wallet_summary import summary
from engine.wallet_transactions import Filters
from tests.chains import Chain, build_chain
from tests.conftest import START
from tests.statements import write_long_statement

SINCE, STEP = datetime(2025, 1, 1, tzinfo=UTC), timedelta(minutes=20)
STEPS_BETWEEN_CALLS = 10


@pytest.fixture(scope="module")
def short_and_long(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Database, Chain]]:
    """Return two wallets: D's has 300 lines, R's 30,000.

    In a file, as in life: SQLite prefers other indexes of a schema that it has read from one.
    """
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('cost')}/statements.db")
    metadata.create_all(database.engine)
    chain = build_chain(UnitsOfWork(database, FixedClock(START)))
    for tenant_id, lines in ((chain.d, 300), (chain.r, 30_000)):
        write_long_statement(database, tenant_id, lines, since=SINCE, step=STEP)
    yield database, chain
    database.dispose()


def steps(connection: Connection, act: Callable[[Connection], Any]) -> int:
    """Return about how many instructions SQLite runs for what is done on a connection."""
    count = 0

    def counting() -> None:
        nonlocal count
        count += STEPS_BETWEEN_CALLS

    driver: Any = connection.connection.driver_connection
    driver.set_progress_handler(counting, STEPS_BETWEEN_CALLS)
    try:
        act(connection)
    finally:
        driver.set_progress_handler(None, 0)
    return count


def steps_of_reading(database: Database, read: Callable[[Connection], Any]) -> int:
    """Return what a read costs."""
    with database.read() as connection:
        return steps(connection, read)


@pytest.mark.parametrize(
    "read",
    [
        lambda c, t, _: wallet_transactions.listing(c, t, limit=50),
        lambda c, t, n: wallet_transactions.listing(c, t, limit=50, after=str(n // 2)),
        lambda c, t, _: wallet_transactions.listing(c, t, Filters(type="credit"), limit=20),
        lambda c, t, n: wallet_transactions.listing(
            c, t, Filters(reference_type="chain_order"), limit=20, after=str(n // 2)
        ),
        lambda c, t, _: wallet_transactions.page(c, t),
        lambda c, t, _: wallet_transactions.page(
            c, t, Filters(type="debit", from_date=date(2025, 1, 2), to_date=date(2025, 1, 3))
        ),
        lambda c, t, n: summary(c, t, "year", now=SINCE + n * STEP),
    ],
)
def test_a_hundred_times_the_lines_cost_the_same(
    short_and_long: tuple[Database, Chain], read: Callable[[Connection, str, int], Any]
) -> None:
    """Pages, filters, counts and a year's totals cost what they show, not what the wallet holds."""
    database, chain = short_and_long
    short = steps_of_reading(database, lambda connection: read(connection, chain.d, 300))
    long = steps_of_reading(database, lambda connection: read(connection, chain.r, 30_000))
    assert long < 1.5 * short + 500


def test_a_long_statement_is_not_slower_to_write(
    short_and_long: tuple[Database, Chain],
) -> None:
    """A posting finds the line before it, and the last of its kind, without a search."""
    database, chain = short_and_long
    units = UnitsOfWork(database, FixedClock(START))
    costs = []
    for tenant_id in (chain.s, chain.d, chain.r):
        with units.begin(actor="test") as work:
            wallets.top_up(work, tenant_id, 1)
            costs.append(steps(work.connection, lambda _: wallets.top_up(work, tenant_id, 1)))  # noqa: B023  # run at once
    assert max(costs) < 1.5 * min(costs)


def test_a_sweep_costs_what_has_expired(tmp_path: Path) -> None:
    """Two hundred holds that do not end add nothing to the search for one that does."""
    found = []
    for standing in (2, 200):
        database = Database(f"sqlite:///{tmp_path}/{standing}.db")
        metadata.create_all(database.engine)
        units = UnitsOfWork(database, FixedClock(START))
        chain = build_chain(units)
        with units.begin(actor="test") as work:
            wallets.set_credit_limit(work, chain.r, 10**6)
            for ends in (*[None] * standing, START + timedelta(hours=1)):
                wallet_holds.hold(work, chain.r, 1, reason="deposit", expires_at=ends)
        later = START + timedelta(hours=2)
        found.append(
            steps_of_reading(database, lambda connection: wallet_holds.due(connection, later))  # noqa: B023  # run at once
        )
        database.dispose()
    assert found[1] < found[0] + 100
