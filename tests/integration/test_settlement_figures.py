"""Settlement in figures: document 001's own numbers, and what counts in which period."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from config.clock import FixedClock
from engine import (
    ladder_settings,
    orders,
    remittance_views,
    remittances,
    settlement_views,
    tenants,
    wallets,
)
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from tests.conftest import START
from tests.trading import Trade, build_trade


@pytest.fixture
def trade(units: UnitsOfWork) -> Trade:
    """Return three levels that trade."""
    return build_trade(units)


def test_pending_shows_both_sides_and_what_is_left(trade: Trade, database: Database) -> None:
    """Document 001: 8500 owed, 12000 receivable, 3500 left."""
    order_id = trade.sell(cost=8500, price=12000)
    with database.read() as connection:
        found = remittance_views.pending(connection, trade.d)
    assert (850_000, 1_200_000, 350_000) == tuple(
        found["totals"][f"{name}_minor"] for name in ("owed", "receivable", "net_position")
    )
    for side, name in (("to_pay", "Super Admin"), ("to_receive", "Retailer XYZ")):
        assert [(name, order_id, "N1", "pending")] == [
            tuple(
                row[key]
                for key in ("counterparty_name", "chain_order_id", "origin_order_number", "status")
            )
            for row in found[side]
        ]


def test_the_summary_nets_what_was_received_and_paid(trade: Trade, database: Database) -> None:
    """Document 001: 92000 received less 85000 paid is 7000; the wallet says the same."""
    trade.pay(trade.sell(cost=850, price=920))
    trade.pay(trade.sell(cost=84150, price=91080))
    with database.read() as connection:
        found = settlement_views.summary(connection, trade.d, START)["summary"]
        seller = settlement_views.summary(connection, trade.r, START)["summary"]
    assert ("month", 9_200_000, 8_500_000, 700_000, 700_000) == (
        found["period"],
        found["remittances_received_minor"],
        found["remittances_paid_minor"],
        found["net_earnings_minor"],
        found["wallet_balance_minor"],
    )
    assert (0, 2, 94_000_00) == (
        found["collections_count"],
        seller["collections_count"],
        seller["collections_total_minor"],
    )


def test_processing_says_what_was_deducted(trade: Trade, units: UnitsOfWork) -> None:
    """Document 001: of 22000 in the wallet 4500 are deducted, 17500 are left."""
    order_id = trade.sell(cost=4000, price=4500)
    with units.begin(actor="test") as work:
        wallets.top_up(work, trade.r, 2_200_000)
        owed = remittances.listing(work.connection, order_id=order_id)[0]
        found = remittances.process(work, owed["id"], tenant_id=trade.r)
    assert "Remittance processed successfully" == found["message"]
    assert (1_750_000, 450_000) == (
        found["wallet"]["new_balance_minor"],
        found["wallet"]["deducted_minor"],
    )
    assert ("completed", START) == (
        found["remittance"]["status"],
        found["remittance"]["completed_at"],
    )


def test_a_period_counts_what_happened_in_it(
    trade: Trade, database: Database, clock: FixedClock
) -> None:
    """What was paid in February counts in the quarter, not in March; a return takes it back."""
    clock.set(datetime(2026, 2, 27, 12, tzinfo=UTC))
    returned = trade.sell(cost=100, price=150)
    trade.pay(returned)
    clock.set(START)
    trade.pay(trade.sell(cost=200, price=300))
    figures = {}
    for period in ("week", "month", "quarter", "year"):
        with database.read() as connection:
            found = settlement_views.summary(connection, trade.d, START, period=period)["summary"]
        figures[period] = (found["remittances_received_minor"], found["remittances_paid_minor"])
    assert {"month": (30_000, 20_000), "week": (30_000, 20_000)}.items() <= figures.items()
    assert {"quarter": (45_000, 30_000), "year": (45_000, 30_000)}.items() <= figures.items()
    with trade.units.begin(actor="test") as work:
        orders.return_(work, returned)
    with database.read() as connection:
        year = settlement_views.summary(connection, trade.r, START, period="year")["summary"]
    assert (1, 1300_00) == (year["collections_count"], year["collections_total_minor"])


def test_the_platform_sees_who_is_late_and_who_owes_most(
    trade: Trade, database: Database, clock: FixedClock
) -> None:
    """Totals of the period, overdue items oldest first, debtors by what they owe."""
    late = trade.sell(cost=100, price=300)
    clock.set(START + timedelta(days=20))
    trade.sell(cost=1000, price=1200)
    trade.pay(trade.sell(cost=10, price=20))
    with database.read() as connection:
        found = settlement_views.statistics(connection, trade.s, clock.now())
    assert ("month", "2026-03-01T00:00:00+00:00") == (
        found["period"],
        found["start_date"].isoformat(),
    )
    assert {
        "collections_minor": (1300 + 2200 + 1020) * 100,
        "pending_remittances_minor": (100 + 300 + 1000 + 1200) * 100,
        "completed_remittances_minor": 30 * 100,
    }.items() <= found["totals"].items()
    assert (2, 40_000) == (found["overdue"]["count"], found["overdue"]["total_amount_minor"])
    assert {late} == {row["chain_order_id"] for row in found["overdue"]["items"]}
    assert [("Retailer XYZ", 150_000), ("Distributor ABC", 110_000)] == [
        (row["tenant_name"], row["total_owed_minor"]) for row in found["top_debtors"]
    ]


def test_grace_puts_off_what_is_late(trade: Trade, database: Database, clock: FixedClock) -> None:
    """Of two remittances past their due moment the one still within its grace is not late."""
    with trade.units.begin(actor="test") as work:
        ladder_settings.set_ladder(
            work, trade.s, {"preset": "standard", "grace_hours": 48}, child_id=trade.d
        )
    trade.sell(cost=100, price=300)
    for day, expected in ((10, 1), (11, 1), (12, 1), (13, 2)):
        clock.set(datetime(2026, 3, day, 1, tzinfo=UTC))
        with database.read() as connection:
            found = settlement_views.statistics(connection, trade.s, clock.now())
        assert expected == found["overdue"]["count"], day


def test_a_platform_sees_no_other(trade: Trade, database: Database) -> None:
    """Two platforms on one installation, each in its currency, read their own figures only."""
    trade.sell(cost=100, price=300)
    with trade.units.begin(actor="test") as work:
        other = tenants.create(work, name="Other", currency="JPY")["id"]
    with database.read() as connection:
        found = settlement_views.statistics(connection, other, START)
        mine = settlement_views.statistics(connection, trade.s, START)
    assert ("JPY", 0, []) == (
        found["currency"],
        found["totals"]["pending_remittances_minor"],
        found["top_debtors"],
    )
    assert 40_000 == mine["totals"]["pending_remittances_minor"]
