"""Checkout against expiry on both databases: exactly one wins, and the loser leaves no trace."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from engine import draft_expiry, drafts
from engine.database import Database
from engine.draft_tables import draft_orders
from engine.errors import DraftExpired
from engine.order_tables import chain_orders
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, raised
from tests.drafting import make_draft
from tests.faults.plugin import Reached

WEEK = timedelta(hours=168)
PAIRS = 60


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


@pytest.mark.fault("F24")
def test_checkout_and_expiry_have_one_winner(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock, reached: Reached
) -> None:
    """Pairs at the same moment, one a microsecond early by its clock, the other in time (F24)."""
    pairs = reached.times(PAIRS, 1000)
    ids = [make_draft(units, chain) for _ in range(pairs)]
    clock.advance(WEEK)
    early = UnitsOfWork(database, FixedClock(clock.now() - timedelta(microseconds=1)))
    ended = race(early, units, ids)
    with database.read() as connection:
        statuses = dict(connection.execute(select(draft_orders.c.id, draft_orders.c.status)).all())
        placed = set(connection.execute(select(chain_orders.c.id)).scalars())
        told = raised(connection, chain.r, "draft_order.expired")
        created = raised(connection, chain.r, "chain_order.created")
    for draft_id, (checkout, expiry) in ended.items():
        won = checkout == "placed"
        assert (("placed", 0) if won else ("DRAFT_EXPIRED", 1)) == (checkout, expiry)
        assert ("checked_out" if won else "expired") == statuses[draft_id]
        assert won == (draft_id in placed)
    assert sorted(placed) == sorted(event["chain_order_id"] for event in created)
    assert sorted(set(ids) - placed) == sorted(event["order_id"] for event in told)
    kind = database.engine.dialect.name
    reached.says("F24", f"{pairs:,} pairs: {len(placed):,} placed, {len(told):,} expired ({kind})")


def race(early: UnitsOfWork, late: UnitsOfWork, ids: list[str]) -> dict[str, tuple[str, int]]:
    """Check each draft out and expire it at once; return how each pair ended."""
    together = threading.Barrier(2)

    def checkout(draft_id: str) -> str:
        together.wait(30)
        try:
            with early.begin(actor="client") as work:
                drafts.checkout(work, draft_id)
        except TillbellError as refusal:
            return refusal.code
        return "placed"

    def expire(draft_id: str) -> int:
        together.wait(30)
        with late.begin(actor="reconciler") as work:
            return len(draft_expiry.expire(work, [draft_id]))

    outcomes = {}
    with ThreadPoolExecutor(2) as pool:
        for number, draft_id in enumerate(ids):
            # Who arrives last goes first: each does in half of the pairs.
            if number % 2:
                second, first = pool.submit(expire, draft_id), pool.submit(checkout, draft_id)
            else:
                first, second = pool.submit(checkout, draft_id), pool.submit(expire, draft_id)
            outcomes[draft_id] = (first.result(60), second.result(60))
    return outcomes


def test_sweeps_and_checkouts_together_decide_each_draft_once(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Three sweeps over everything while clients check out and change: no deadlock, one fate."""
    ids = [make_draft(units, chain) for _ in range(40)]
    clock.advance(WEEK)
    early = UnitsOfWork(database, FixedClock(clock.now() - timedelta(microseconds=1)))

    def client(draft_id: str) -> str:
        try:
            with early.begin(actor="client") as work:
                drafts.add_item(work, draft_id, {"sku": "PROD-001", "quantity": 1})
                drafts.checkout(work, draft_id)
        except DraftExpired:
            return "expired"
        return "checked_out"

    def expire(order: int) -> int:
        with units.begin(actor="reconciler") as work:
            return len(draft_expiry.expire(work, ids[::order]))

    with ThreadPoolExecutor(6) as pool:
        swept = [pool.submit(expire, order) for order in (1, -1, 1)]
        ended = Counter(pool.map(client, reversed(ids)))
        assert ended["expired"] == sum(each.result(60) for each in swept)
    with database.read() as connection:
        stored = Counter(connection.execute(select(draft_orders.c.status)).scalars())
        assert ended == stored
        assert ended["expired"] == len(raised(connection, chain.r, "draft_order.expired"))
