"""Check K25 on both databases: stock purchases nobody paid are closed once, and only when due."""

from __future__ import annotations

from datetime import timedelta

from config.clock import FixedClock
from engine import stock_purchases, stock_transfers
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.chains import dump, raised
from tests.reselling import build_shop, purchase

WEEK = timedelta(days=7)


def test_what_was_not_paid_is_closed_once(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """Two of three are past their week: found, closed and told; a second run finds nothing."""
    shop = build_shop(units)
    for _ in range(2):
        purchase(units, shop, 1)
    clock.advance(timedelta(hours=1))
    late = purchase(units, shop, 1)["id"]
    clock.advance(WEEK - timedelta(hours=1))
    runner = Runner(units)
    found = [
        (row["found"], row["healed"]) for _ in range(2) for row in runner.run(["K25"], actor="test")
    ]
    assert [(2, 2), (0, 0)] == found
    with database.read() as connection:
        assert [late] == [
            row["id"] for row in stock_transfers.listing(connection, status="requested")
        ]
        assert 2 == len(raised(connection, shop.reseller, "stock_transfer.expired"))


def test_asked_about_next_week_nothing_expires_today(
    units: UnitsOfWork, database: Database
) -> None:
    """``--as-of`` moves the question, not the purchases."""
    shop = build_shop(units)
    purchase(units, shop, 1)
    before = dump(database)["stock_transfers"]
    with database.read() as connection:
        as_of = stock_transfers.listing(connection)[0]["created_at"] + WEEK
        assert 1 == len(stock_purchases.due(connection, as_of, 10))
    [row] = Runner(units).run(["K25"], actor="test", as_of=as_of)
    assert (1, 0) == (row["found"], row["healed"])
    assert before == dump(database)["stock_transfers"]
