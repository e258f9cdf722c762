"""The wallet's statement on both databases: what each line says, filters, pages and totals."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import update

from config.clock import FixedClock
from config.errors import TillbellError
from engine import (
    ledger_checks,
    orders,
    payouts,
    remittances,
    statement_checks,
    wallet_transactions,
    wallets,
)
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from engine.wallet_summary import summary
from engine.wallet_tables import wallet_transactions as lines
from engine.wallet_transactions import Filters
from tests.chains import accept_at_top, build_chain, deliver, place, top_up
from tests.conftest import START
from tests.statements import write_long_statement
from tests.tampering import tampering

PREPAID = {"method": "prepaid"}


def statement(database: Database, tenant_id: str, **given: Any) -> list[dict[str, Any]]:
    """Return a wallet's lines, oldest first."""
    with database.read() as connection:
        found = wallet_transactions.listing(connection, tenant_id, Filters(**given), limit=1000)
    lines: list[dict[str, Any]] = found["data"][::-1]
    return lines


def shape(line: dict[str, Any]) -> tuple[str, int, str, int, int]:
    """Return what a line is about, and the wallet after it."""
    return (
        line["type"],
        line["amount_minor"],
        line["reference_type"],
        line["balance_after_minor"],
        line["available_after_minor"],
    )


def test_a_prepaid_order_reads_as_hold_release_and_debit(
    units: UnitsOfWork, database: Database
) -> None:
    """Each line names the order and shows the wallet after it; the reversal is a credit."""
    chain = build_chain(units)
    top_up(units, chain.r, 20000)
    order_id = place(units, chain, payment=PREPAID)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
        orders.return_(work, order_id, reason="refused")
    found = statement(database, chain.r)
    assert [
        ("credit", 20000, "top_up", 20000, 20000),
        ("hold", 13800, "chain_order", 20000, 6200),
        ("release", 13800, "chain_order", 20000, 20000),
        ("debit", 13800, "chain_order", 6200, 6200),
        ("credit", 13800, "chain_order", 20000, 20000),
    ] == [shape(line) for line in found]
    assert [order_id] * 4 == [line["reference_id"] for line in found[1:]]
    assert "reversal" == found[-1]["kind"]
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


def test_an_obligation_is_held_from_the_payer_only(units: UnitsOfWork, database: Database) -> None:
    """A COD order holds what R owes; D, who only expects money, reads nothing until it is paid."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    assert [("hold", 13800, "remittance", 0, -13800)] == [
        shape(line) for line in statement(database, chain.r)
    ]
    top_up(units, chain.r, 13800)
    with units.begin(actor="test") as work:
        owed = remittances.listing(work.connection)
        remittances.process(work, owed[0]["id"])
    assert [
        ("hold", 12000, "remittance", 0, -12000),
        ("credit", 13800, "remittance", 13800, 1800),
    ] == [shape(line) for line in statement(database, chain.d)]


@pytest.mark.parametrize(
    ("given", "places"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"type": "credit"}, [1, 6]),
        ({"type": "hold"}, [2, 3]),
        ({"reference_type": "payout"}, [3, 4, 5]),
        ({"type": "release", "reference_type": "payout"}, [4]),
        ({"type": "release", "reference_type": "top_up"}, []),
        ({"from_date": date(2026, 3, 3)}, [3, 4, 5, 6]),
        ({"to_date": date(2026, 3, 2)}, [1, 2]),
        ({"from_date": date(2026, 3, 3), "to_date": date(2026, 3, 3)}, [3, 4, 5]),
        ({"type": "credit", "from_date": date(2026, 3, 3)}, [6]),
        ({"from_date": date(2027, 1, 1)}, []),
    ],
)
def test_filters_and_pages_agree(
    units: UnitsOfWork,
    clock: FixedClock,
    database: Database,
    given: dict[str, Any],
    places: list[int],
) -> None:
    """By type, reference and days of the tenant's zone; cursor, page and count say the same."""
    # START is 15:00 in Kolkata: nine and a half hours later the next day has begun there.
    chain = build_chain(units, timezone="Asia/Kolkata")
    top_up(units, chain.r, 20000)
    place(units, chain, payment=PREPAID)
    clock.advance(timedelta(hours=9, minutes=30))
    with units.begin(actor="test") as work:
        payout = payouts.request(work, chain.r, 1000)
        payouts.approve(work, payout["id"])
        payouts.complete(work, payout["id"], reference="UTR")
    clock.advance(timedelta(days=1))
    top_up(units, chain.r, 500)
    filters = Filters(**given)
    with database.read() as connection:
        by_cursor, cursor = [], None
        while True:
            found = wallet_transactions.listing(connection, chain.r, filters, limit=2, after=cursor)
            by_cursor += found["data"]
            cursor = found["next_cursor"]
            if cursor is None:
                break
        by_page = [
            line
            for number in (1, 2, 3)
            for line in wallet_transactions.page(
                connection, chain.r, filters, per_page=2, number=number
            )["transactions"]
        ]
        pagination = wallet_transactions.page(connection, chain.r, filters, per_page=2)[
            "pagination"
        ]
    assert places[::-1] == [line["seq"] for line in by_cursor]
    assert [line["id"] for line in by_cursor] == [line["id"] for line in by_page]
    assert {
        "current_page": 1,
        "last_page": max(-(-len(places) // 2), 1),
        "per_page": 2,
        "total": len(places),
    } == pagination


def test_a_line_is_its_owners_only(units: UnitsOfWork, database: Database) -> None:
    """Found by its id, shown as the list shows it, and nobody else's to see."""
    chain = build_chain(units)
    top_up(units, chain.r, 100)
    line = statement(database, chain.r)[0]
    with database.read() as connection:
        same = wallet_transactions.get(connection, line["id"], tenant_id=chain.r)
        assert orjson.dumps(line) == orjson.dumps(same)
        for line_id, tenant_id in ((line["id"], chain.d), (chain.r, None), ("x", None)):
            with pytest.raises(TillbellError) as refused:
                wallet_transactions.get(connection, line_id, tenant_id=tenant_id)
            assert "NOT_FOUND" == refused.value.code


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("week", (21500, 500, 0, 22000)),
        ("month", (20500, 1500, 0, 22000)),
        ("quarter", (1000, 21500, 500, 22000)),
        ("year", (0, 22500, 500, 22000)),
    ],
)
def test_a_period_comes_to_what_its_lines_say(
    units: UnitsOfWork,
    clock: FixedClock,
    database: Database,
    period: str,
    expected: tuple[int, ...],
) -> None:
    """Opening balance, credits, debits and closing balance, whatever the period begins with."""
    moments = [
        (datetime(2026, 1, 5, tzinfo=UTC), 1000),
        (datetime(2026, 4, 1, tzinfo=UTC), 20000),
        (datetime(2026, 4, 20, tzinfo=UTC), -500),
        (datetime(2026, 5, 1, tzinfo=UTC), 1000),
        (datetime(2026, 5, 11, tzinfo=UTC), 500),
    ]
    clock.advance(moments[0][0] - clock.now())
    chain = build_chain(units)
    for at, amount_minor in moments:
        clock.advance(at - clock.now())
        if amount_minor > 0:
            top_up(units, chain.r, amount_minor)
            continue
        with units.begin(actor="test") as work:
            payout = payouts.request(work, chain.r, -amount_minor)
            payouts.approve(work, payout["id"])
            payouts.complete(work, payout["id"], reference="UTR")
    with database.read() as connection:
        found = summary(connection, chain.r, period, now=clock.now())["summary"]
        assert (
            found["closing_balance_minor"] == (wallets.show(connection, chain.r)["balance_minor"])
        )
    names = ("opening_balance", "total_credits", "total_debits", "closing_balance")
    assert expected == tuple(found[f"{name}_minor"] for name in names)


def test_totals_of_a_long_statement(units: UnitsOfWork, database: Database) -> None:
    """Of 30,000 lines an hour apart, those of the running quarter are counted exactly."""
    chain = build_chain(units)
    since, step = datetime(2023, 1, 1, tzinfo=UTC), timedelta(hours=1)
    write_long_statement(database, chain.r, 30_000, since=since, step=step)
    now = since + 30_000 * step
    with database.read() as connection:
        assert [] == [
            each
            for each in statement_checks.verify(connection)
            if "statement of" not in each["subject"]
        ]
        found = summary(connection, chain.r, "quarter", now=now)["summary"]
        deep = wallet_transactions.page(
            connection, chain.r, Filters(type="debit"), per_page=20, number=1000
        )
    begun = datetime(2026, 4, 1, tzinfo=UTC)
    places = [place for place in range(30_000) if since + place * step >= begun]
    credits_count = sum(place % 10 == 0 for place in places)
    assert [
        {"type": "credit", "reference_type": "top_up", "count": credits_count},
        {"type": "debit", "reference_type": "chain_order", "count": len(places) - credits_count},
    ] == [
        {name: row[name] for name in ("type", "reference_type", "count")}
        for row in found["by_type"]
    ]
    assert credits_count * 900 == found["total_credits_minor"]
    assert (27_000, 20) == (deep["pagination"]["total"], len(deep["transactions"]))


def test_time_never_runs_back_in_a_wallet(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """A transaction that began earlier and came later is dated with the line before it."""
    chain = build_chain(units)
    clock.advance(timedelta(hours=1))
    top_up(units, chain.r, 100)
    clock.advance(timedelta(hours=-1))
    top_up(units, chain.r, 100)
    assert [START + timedelta(hours=1)] * 2 == [
        line["created_at"] for line in statement(database, chain.r)
    ]
    with database.read() as connection:
        assert [] == statement_checks.verify(connection)


@pytest.mark.parametrize(
    "defect",
    [
        {"amount_minor": 7},
        {"balance_minor": 7},
        {"available_minor": 7},
        {"seq": 9},
        {"number": 9},
        {"total_minor": 9},
        {"type": "hold"},
        {"created_at": START - timedelta(days=1)},
    ],
)
def test_a_changed_line_is_found(
    units: UnitsOfWork, database: Database, defect: dict[str, Any]
) -> None:
    """Whatever is changed in the last of three lines, the books name it (L7)."""
    chain = build_chain(units)
    for _ in range(3):
        top_up(units, chain.r, 100)
    last = statement(database, chain.r)[-1]["id"]
    with tampering(database) as connection:
        assert [] == statement_checks.verify(connection)
        connection.execute(update(lines).where(lines.c.id == last).values(defect))
        found = statement_checks.verify(connection)
    assert {"L7"} == {finding["check"] for finding in found}
