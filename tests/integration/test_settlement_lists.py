"""Lists of remittances and collections: document 001's filters, pages, and all by index."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from config.clock import FixedClock
from config.errors import TillbellError
from engine import cash_collections, paging, remittance_views, settlement_views
from engine.database import Database
from engine.errors import Forbidden, InvalidInput, NotFound
from engine.unit_of_work import UnitsOfWork
from tests.conftest import START
from tests.trading import Trade, build_trade


@pytest.fixture
def trade(units: UnitsOfWork) -> Trade:
    """Return three levels that trade."""
    return build_trade(units)


def history(database: Database, **filters: Any) -> list[str]:
    """Return the amounts a history shows, newest first, in rupees."""
    with database.read() as connection:
        found = remittance_views.history(connection, **filters)
    return [f"{row['direction'][:2]}{row['amount_minor'] // 100}" for row in found["data"]]


def test_the_history_has_document_001s_filters(
    trade: Trade, database: Database, clock: FixedClock
) -> None:
    """Status, direction and days of the tenant's zone, newest first."""
    trade.pay(trade.sell(cost=1, price=2))
    clock.set(START + timedelta(days=1))
    trade.sell(cost=3, price=4)
    for filters, expected in (
        ({}, {"ou3", "in4", "ou1", "in2"}),
        ({"status": "pending"}, {"ou3", "in4"}),
        ({"status": "completed"}, {"ou1", "in2"}),
        ({"status": "cancelled"}, set()),
        ({"direction": "incoming"}, {"in4", "in2"}),
        ({"direction": "outgoing", "status": "pending"}, {"ou3"}),
        ({"from_date": date(2026, 3, 3)}, {"ou3", "in4"}),
        ({"to_date": date(2026, 3, 2)}, {"ou1", "in2"}),
        (
            {"from_date": date(2026, 3, 2), "to_date": date(2026, 3, 3)},
            {"ou3", "in4", "ou1", "in2"},
        ),
        ({"overdue": True}, set()),
    ):
        assert expected == set(history(database, tenant_id=trade.d, **filters)), filters
    assert {"ou3", "ou4", "ou1", "ou2"} == set(history(database))
    assert [] == history(database, tenant_id=trade.s, direction="outgoing")


def test_pages_join_without_a_gap(trade: Trade, database: Database, clock: FixedClock) -> None:
    """Read three at a time, with three made in between, each is seen once, newest first."""
    for number in range(1, 6):
        clock.set(START + timedelta(minutes=number))
        trade.sell(cost=100 + number, price=200 + number)
    pages, after = [], None
    while True:
        with database.read() as connection:
            found = remittance_views.history(connection, tenant_id=trade.d, limit=3, after=after)
        pages.append([row["amount_minor"] // 100 for row in found["data"]])
        after = found["next_cursor"]
        trade.sell(cost=50, price=60)
        if after is None:
            break
    assert [3, 3, 3, 1] == [len(each) for each in pages]
    seen = [amount for each in pages for amount in each]
    assert sorted([*range(101, 106), *range(201, 206)]) == sorted(seen)
    assert seen == sorted(seen, key=lambda amount: amount % 100, reverse=True)


def test_collections_are_the_collectors_and_the_sellers(trade: Trade, database: Database) -> None:
    """The retailer sees both flows, once each; the platform what it collected; D nothing."""
    down = trade.sell(cost=10, price=20)
    up = trade.sell(cost=10, price=20, collector="fulfiller")

    def listed(tenant_id: str, **filters: Any) -> set[str]:
        with database.read() as connection:
            found = cash_collections.history(connection, tenant_id=tenant_id, **filters)
        return {row["chain_order_id"] for row in found["data"]}

    assert {down, up} == listed(trade.r)
    assert {down} == listed(trade.r, flow_type="downstream")
    assert {up} == listed(trade.r, flow_type="upstream", status="pending")
    assert {up} == listed(trade.s)
    assert set() == listed(trade.d)
    trade.pay(down)
    assert {down} == listed(trade.r, status="settled", from_date=START.date())
    assert set() == listed(trade.r, from_date=START.date() + timedelta(days=1))


def test_own_goods_sold_for_own_cash_are_listed_once(trade: Trade, database: Database) -> None:
    """A seller that is its own collector does not see its collection twice."""
    trade.sell(cost=10, price=20)
    with database.read() as connection:
        found = cash_collections.history(connection, tenant_id=trade.r)
        everything = cash_collections.history(connection)
    assert [1, 1] == [len(found["data"]), len(everything["data"])]


@pytest.mark.parametrize(
    ("refusal", "call"),
    [
        (NotFound, lambda c, _: remittance_views.pending(c, "7")),
        (NotFound, lambda c, _: settlement_views.summary(c, "7", START)),
        (InvalidInput, lambda c, t: settlement_views.summary(c, t.d, START, period="day")),
        (Forbidden, lambda c, t: settlement_views.statistics(c, t.d, START)),
        (InvalidInput, lambda c, t: settlement_views.statistics(c, t.s, START, period="")),
        (InvalidInput, lambda c, t: remittance_views.history(c, tenant_id=t.d, status="late")),
        (InvalidInput, lambda c, t: remittance_views.history(c, tenant_id=t.d, direction="up")),
        (InvalidInput, lambda c, _: remittance_views.history(c, direction="incoming")),
        (InvalidInput, lambda c, _: remittance_views.history(c, limit=0)),
        (InvalidInput, lambda c, _: remittance_views.history(c, limit=paging.LIMIT_MAX + 1)),
        (InvalidInput, lambda c, t: remittance_views.history(c, after=t.d)),
        (InvalidInput, lambda c, _: remittance_views.history(c, after="7")),
        (InvalidInput, lambda c, _: remittance_views.history(c, from_date=date.min)),
        (InvalidInput, lambda c, _: remittance_views.history(c, to_date=date.max)),
        (InvalidInput, lambda c, _: cash_collections.history(c, flow_type="sideways")),
        (InvalidInput, lambda c, _: cash_collections.history(c, status="gone")),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(
    trade: Trade,
    database: Database,
    refusal: type[TillbellError],
    call: Callable[[Connection, Trade], Any],
) -> None:
    """Unknown tenants, words, days, limits and cursors; other people's figures."""
    with database.read() as connection, pytest.raises(refusal):
        call(connection, trade)


@contextmanager
def statements(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect what a block asks the database."""
    asked: list[tuple[str, Any]] = []

    def keep(*call: Any) -> None:
        asked.append((call[2], call[3]))

    event.listen(database.engine, "before_cursor_execute", keep)
    try:
        yield asked
    finally:
        event.remove(database.engine, "before_cursor_execute", keep)


def test_every_list_is_read_by_index(trade: Trade) -> None:
    """No list scans a table of history, nor sorts more than the pages it merges."""
    database = trade.units.database
    with statements(database) as asked, database.read() as connection:
        remittance_views.history(connection, tenant_id=trade.d)
        remittance_views.history(connection, tenant_id=trade.d, from_date=START.date(), limit=5)
        remittance_views.history(connection)
        remittance_views.pending(connection, trade.d)
        cash_collections.history(connection, tenant_id=trade.r)
        settlement_views.summary(connection, trade.d, START)
        settlement_views.statistics(connection, trade.s, START)
    # In a transaction, for what is set for its length.
    with database.write() as connection:
        for statement, values in asked:
            check_plan(connection, statement, values)


def check_plan(connection: Connection, statement: str, values: Any) -> None:
    """Check the plan of one statement; an empty PostgreSQL plans as if sequences were dear."""
    if not statement.startswith("SELECT"):
        return
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
    plan = [str(row[-1]) for row in connection.exec_driver_sql(explain + statement, values)]
    for line in plan:
        for table in ("remittances", "cod_collections"):
            scanned = line.startswith(f"SCAN {table}") or f"Seq Scan on {table}" in line
            assert not scanned, (statement, plan)
