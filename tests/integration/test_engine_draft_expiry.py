"""Draft orders and time on both databases: 168 hours exactly, and told once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from config.clock import FixedClock
from engine import draft_expiry, draft_views, drafts, stages
from engine.database import Database
from engine.draft_tables import draft_items, draft_orders, order_fields
from engine.errors import DraftExpired, NotFound
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.chains import Chain, build_chain, dump, raised
from tests.conftest import START
from tests.drafting import make_draft
from tests.faults.plugin import Reached
from tests.reconciling import OWN_TABLES

WEEK = timedelta(hours=168)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def sweep(units: UnitsOfWork) -> dict[str, int]:
    """Do what is due by now, as K21 does, and return how many drafts each step took."""
    done = {}
    with units.begin(actor="reconciler", source="reconciler") as work:
        for step, act in draft_expiry.STEPS.items():
            rows = draft_expiry.due(work.connection, step, work.now)
            if rows:
                done[step] = len(act(work, [row["id"] for row in rows]))
    return done


@pytest.mark.fault("F23")
@pytest.mark.parametrize(
    ("age", "over"),
    [
        (MINUTE, False),
        (timedelta(hours=23, minutes=59), False),
        (timedelta(hours=24), False),
        (timedelta(days=6, hours=23, minutes=59), False),
        (timedelta(days=7) - timedelta(microseconds=1), False),
        (timedelta(days=7), True),
        (timedelta(days=7, seconds=1), True),
        (timedelta(days=30), True),
        (timedelta(days=400), True),
    ],
)
def test_a_draft_expires_exactly_from_its_168th_hour(
    units: UnitsOfWork,
    chain: Chain,
    clock: FixedClock,
    *,
    age: timedelta,
    over: bool,
    reached: Reached,
) -> None:
    """Fifty drafts of each age (F23): all of them, or none; a client sees it before the sweep."""
    ids = [make_draft(units, chain) for _ in range(50)]
    clock.advance(age)
    database = units.database
    with database.read() as connection:
        listed, total = stages.listing(connection, clock.now(), tenant_id=chain.r, stage="Draft")
        assert (0 if over else 50) == total == len(listed)
        for draft_id in ids if over else ():
            with pytest.raises(DraftExpired):
                draft_views.show(connection, draft_id, clock.now(), tenant_id=chain.r)
    assert (50 if over else 0) == sweep(units).get("expire", 0)
    with database.read() as connection:
        told = raised(connection, chain.r, "draft_order.expired")
        statuses = set(connection.execute(select(draft_orders.c.status)).scalars())
    assert ({"expired"} if over else {"draft"}) == statuses
    assert (sorted(ids) if over else []) == sorted(event["order_id"] for event in told)
    reached.says("F23", "9 ages x 50 on each database: expired from 168 h on")


def test_an_expired_draft_is_gone_for_its_client(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Every verb says DRAFT_EXPIRED, swept or not, and nothing changes."""
    draft_id = make_draft(units, chain, external_order_id="PO-1")
    clock.advance(WEEK)
    for _ in range(2):
        before = dump(database)
        for call in (
            lambda work: drafts.checkout(work, draft_id, tenant_id=chain.r),
            lambda work: drafts.add_item(work, draft_id, {"sku": "PROD-001", "quantity": 1}),
            lambda work: draft_views.put_fields(work, draft_id, {"a": 1}),
            lambda work: draft_views.items(work.connection, draft_id, work.now),
            lambda work: draft_views.execute_status(work.connection, draft_id, work.now),
        ):
            with pytest.raises(DraftExpired) as refusal, units.begin(actor="test") as work:
                call(work)
            assert ("DRAFT_EXPIRED", "PO-1") == (
                refusal.value.code,
                refusal.value.details["external_order_id"],
            )
        assert before == dump(database)
        sweep(units)


def test_the_owner_is_told_a_day_before_and_at_the_end(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Once each, however often the sweep looks."""
    draft_id = make_draft(units, chain, external_order_id="PO-1")
    clock.advance(WEEK - timedelta(hours=24, microseconds=1))
    assert {} == sweep(units)
    for step, moved in (("warn", timedelta(microseconds=1)), ("expire", timedelta(hours=24))):
        clock.advance(moved)
        assert {step: 1} == sweep(units)
        before = dump(database)
        assert {} == sweep(units)
        assert before == dump(database)
    fact = {
        "order_id": draft_id,
        "external_order_id": "PO-1",
        "expires_at": "2026-03-09T09:30:00Z",
        "items_count": 1,
    }
    with database.read() as connection:
        for name in ("expiring", "expired"):
            assert [fact] == raised(connection, chain.r, f"draft_order.{name}")
        assert [] == raised(connection, chain.d, "draft_order.expired")


def test_a_missed_notice_is_not_sent_stale(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Nobody looked for the last day: the draft is expired, and only that is told."""
    make_draft(units, chain)
    clock.advance(WEEK)
    assert {"expire": 1} == sweep(units)
    with database.read() as connection:
        assert [] == raised(connection, chain.r, "draft_order.expiring")


def test_what_was_checked_out_does_not_expire(
    units: UnitsOfWork, chain: Chain, clock: FixedClock
) -> None:
    """At the last microsecond it can be placed; after that nothing happens to it."""
    draft_id = make_draft(units, chain)
    clock.advance(WEEK - timedelta(microseconds=1))
    with units.begin(actor="test") as work:
        drafts.checkout(work, draft_id)
    clock.advance(timedelta(days=400))
    assert {} == sweep(units)


def test_thirty_days_later_it_is_forgotten(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Row, items and fields go without an event; its external id is free again."""
    draft_id = make_draft(units, chain, external_order_id="PO-1", custom_fields={"a": 1})
    with units.begin(actor="test") as work:
        [item] = draft_views.items(work.connection, draft_id, work.now)
        draft_views.put_fields(work, draft_id, {"colour": "red"}, item_id=item["id"])
    clock.advance(WEEK)
    sweep(units)
    clock.advance(timedelta(days=30) - timedelta(microseconds=1))
    assert {} == sweep(units)
    clock.advance(timedelta(microseconds=1))
    with units.begin(actor="test") as work:
        assert [draft_id] == draft_expiry.remove(work, [draft_id])
        assert [] == work.drafts
        assert [] == draft_expiry.remove(work, [draft_id])
    with database.read() as connection:
        for table in (draft_orders, draft_items, order_fields):
            assert 0 == connection.execute(select(func.count()).select_from(table)).scalar_one()
        with pytest.raises(NotFound):
            draft_views.show(connection, draft_id, clock.now())
    make_draft(units, chain, external_order_id="PO-1")


def test_the_check_does_it_all_and_is_then_done(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """K21 finds and takes every step; a second run finds nothing and changes nothing."""
    for _ in range(3):
        make_draft(units, chain)
    runner = Runner(units)
    for moved in (WEEK - timedelta(hours=24), timedelta(hours=24), timedelta(days=30)):
        clock.advance(moved)
        assert [(3, 3), (0, 0)] == [
            (row["found"], row["healed"])
            for _ in range(2)
            for row in runner.run(["K21"], actor="test")
        ]
    with database.read() as connection:
        assert 3 == len(raised(connection, chain.r, "draft_order.expired"))
        assert [] == connection.execute(select(draft_orders)).all()


def test_asked_about_next_week_nothing_expires_today(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A run as of a later day says what will be over; the draft can still be checked out."""
    draft_id = make_draft(units, chain)
    before = {name: rows for name, rows in dump(database).items() if name not in OWN_TABLES}
    [row] = Runner(units).run(["K21"], actor="test", as_of=START + WEEK)
    assert (1, 0, None) == (row["found"], row["healed"], row["problem"])
    after = {name: rows for name, rows in dump(database).items() if name not in OWN_TABLES}
    assert before == after
    with units.begin(actor="test") as work:
        drafts.checkout(work, draft_id)


def test_a_sweep_that_dies_leaves_everything_to_the_next(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """Expired and told, or neither: a crash before the commit is no expiry."""
    ids = [make_draft(units, chain) for _ in range(5)]
    clock.advance(WEEK)
    before = dump(database)
    with pytest.raises(ZeroDivisionError), units.begin(actor="test") as work:
        assert 1 / (len(draft_expiry.expire(work, ids)) - 5)
    assert before == dump(database)
    assert {"expire": 5} == sweep(units)
    with database.read() as connection:
        assert 5 == len(raised(connection, chain.r, "draft_order.expired"))
