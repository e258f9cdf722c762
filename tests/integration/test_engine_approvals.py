"""Origin approval on both databases: the parent decides, once, before anything is set aside."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from config.clock import FixedClock
from config.errors import TillbellError
from engine import drafts, ledger, order_rows, order_views, orders, stages, tenants, wallets
from engine.database import Database
from engine.errors import Forbidden, InsufficientBalance, InvalidInput, NotFound
from engine.unit_of_work import UnitsOfWork
from reconciler.check import Scope
from reconciler.stuck_checks import ORDERS_MOVE
from tests.chains import Chain, build_chain, dump, order_of, raised, top_up
from tests.drafting import make_draft
from tests.racing import Call, together

PREPAID = {"method": "prepaid"}


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001, where D approves what R orders."""
    made = build_chain(units)
    with units.begin(actor="test") as work:
        tenants.require_approval(work, made.r, needed=True)
    return made


@pytest.fixture
def order_id(units: UnitsOfWork, chain: Chain) -> str:
    """Return a prepaid order of R that waits for D."""
    return waiting(units, chain, "ORD-1")


def waiting(units: UnitsOfWork, chain: Chain, number: str) -> str:
    """Place a prepaid order of R and return its id."""
    with units.begin(actor="test") as work:
        order = orders.place(work, chain.r, order_of(number, payment=PREPAID))
    assert ("pending_approval", chain.d) == (order["chain_status"], order["holder_tenant_id"])
    return str(order["id"])


def test_who_waits_and_who_decides_hear_of_the_order(
    database: Database, chain: Chain, order_id: str
) -> None:
    """R and D hear that it was created, each with its own cost, D without the customer; S not."""
    with database.read() as connection:
        told = {
            each: raised(connection, each, "chain_order.created") for each in (chain.r, chain.d)
        }
        assert [("pending_approval", 13800), ("pending_approval", 12000)] == [
            (data["chain_status"], data["pricing"]["your_cost_minor"]) for [data] in told.values()
        ]
        assert "customer" in told[chain.r][0]
        assert "customer" not in told[chain.d][0]
        assert [] == raised(connection, chain.s, "chain_order.created")
        path = order_views.show(connection, order_id, chain.d)["chain_path"]
        assert [(chain.d, "pending_action"), (chain.r, "waiting")] == [
            (hop["tenant_id"], hop["status"]) for hop in path
        ]
        assert not ledger.has_open_hold(connection, "order", order_id)
        with pytest.raises(NotFound):
            order_views.show(connection, order_id, chain.s)


def test_an_approved_order_goes_its_usual_way(
    units: UnitsOfWork, database: Database, chain: Chain, order_id: str
) -> None:
    """Approved, its money is set aside and R forwards it; each step is told to D once."""
    top_up(units, chain.r, 13800)
    with units.begin(actor="dana") as work:
        approved = orders.approve(work, order_id, reason="known customer", tenant_id=chain.d)
    assert ("pending_forward", chain.r) == (approved["chain_status"], approved["holder_tenant_id"])
    with database.read() as connection:
        step = order_views.timeline(connection, order_id)[-1]
        assert ("approve", "dana", "known customer") == (
            step["action"],
            step["actor"],
            step["reason"],
        )
        assert 0 == wallets.show(connection, chain.r)["spendable_minor"]
    with units.begin(actor="test") as work:
        orders.forward(work, order_id, tenant_id=chain.r)
        orders.accept(work, order_id, tenant_id=chain.d)
        orders.ship(work, order_id, tracking_number="T", carrier="c", tenant_id=chain.d)
    with database.read() as connection:
        assert 0 == wallets.show(connection, chain.r)["balance_minor"]
        changes = raised(connection, chain.d, "chain_order.status_changed")
    states = ["pending_forward", "forwarded", "accepted", "shipped"]
    assert states == [each["status"] for each in changes]


def test_an_approval_beyond_the_wallet_changes_nothing(
    units: UnitsOfWork, database: Database, chain: Chain, order_id: str
) -> None:
    """Where R cannot pay, the order waits on: no step, no event, no hold."""
    top_up(units, chain.r, 13799)
    before = dump(database)
    with pytest.raises(InsufficientBalance), units.begin(actor="test") as work:
        orders.approve(work, order_id, tenant_id=chain.d)
    assert before == dump(database)


def test_a_rejected_order_is_over_and_says_why(
    units: UnitsOfWork, database: Database, chain: Chain, order_id: str
) -> None:
    """It is cancelled with D's reason, its lines too, and both sides are told."""
    with units.begin(actor="dana") as work:
        rejected = orders.reject(work, order_id, reason="no such customer", tenant_id=chain.d)
    assert ("cancelled", "no such customer", "void") == (
        rejected["chain_status"],
        rejected["cancel_reason"],
        rejected["payment_status"],
    )
    with database.read() as connection:
        assert ["cancelled"] == [
            line["line_status"] for line in order_rows.lines_of(connection, order_id)
        ]
        for tenant_id in (chain.r, chain.d):
            [told] = raised(connection, tenant_id, "chain_order.status_changed")
            assert ("cancelled", "no such customer") == (told["status"], told["reason"])


def test_only_the_parent_decides_and_only_while_it_waits(
    units: UnitsOfWork, database: Database, chain: Chain, order_id: str
) -> None:
    """R may call it off, not approve it; S has not seen it; nobody moves it on before."""
    before = dump(database)
    refusals: list[tuple[type[TillbellError], Call]] = [
        (Forbidden, partial(orders.approve, order_id=order_id, tenant_id=chain.r)),
        (Forbidden, partial(orders.reject, order_id=order_id, reason="r", tenant_id=chain.r)),
        (Forbidden, partial(orders.cancel, order_id=order_id, reason="r", tenant_id=chain.d)),
        (NotFound, partial(orders.approve, order_id=order_id, tenant_id=chain.s)),
        (TillbellError, partial(orders.forward, order_id=order_id)),
        (InvalidInput, partial(orders.reject, order_id=order_id, reason=" ")),
    ]
    for refusal, call in refusals:
        with pytest.raises(refusal), units.begin(actor="test") as work:
            call(work)
    assert before == dump(database)
    with units.begin(actor="test") as work:
        orders.cancel(work, order_id, reason="changed my mind", tenant_id=chain.r)
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        orders.approve(work, order_id)
    assert ("INVALID_STATUS", []) == (refused.value.code, refused.value.details["allowed"])


def test_of_many_that_decide_at_once_one_does(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Approved, rejected and called off at once: one step, and money held only where approved."""
    top_up(units, chain.r, 10 * 13800)
    waits = [waiting(units, chain, f"N{number}") for number in range(10)]
    calls: list[Call] = []
    for each in waits:
        calls += [
            partial(orders.approve, order_id=each, tenant_id=chain.d),
            partial(orders.reject, order_id=each, reason="no", tenant_id=chain.d),
            partial(orders.reject, order_id=each, reason="no", tenant_id=chain.d),
        ]
    assert Counter({"done": 10, "INVALID_STATUS": 20}) == together(units, calls)
    with database.read() as connection:
        ended = [order_rows.get(connection, each)["chain_status"] for each in waits]
        held = 13800 * ended.count("pending_forward")
        assert held == wallets.show(connection, chain.r)["pending_debits_minor"]
        assert [2] * 10 == [len(order_views.timeline(connection, each)) for each in waits]


def test_approval_holds_for_orders_placed_from_then_on(
    units: UnitsOfWork, database: Database, chain: Chain, order_id: str
) -> None:
    """Switched off, new orders begin as ever and the old one waits on; a root needs nobody."""
    with units.begin(actor="test") as work:
        tenants.require_approval(work, chain.r, needed=False)
        placed = orders.place(work, chain.r, order_of("ORD-2"))
        assert "pending_forward" == placed["chain_status"]
    with database.read() as connection:
        assert "pending_approval" == order_rows.get(connection, order_id)["chain_status"]
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        tenants.require_approval(work, chain.s, needed=True)


def test_stages_are_those_of_document_003(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """What waits is pending approval, what was refused cancelled; neither is confirmed."""
    ids: list[str] = [make_draft(units, chain) for _ in range(2)]
    with units.begin(actor="test") as work:
        for each in ids:
            drafts.checkout(work, each)
        orders.reject(work, ids[1], reason="no")
    with database.read() as connection:
        asked: Any = partial(stages.listing, connection, clock.now(), tenant_id=chain.r)
        assert ([], 0) == asked(stage="Confirmed")
        found = {row["id"]: row["stage"] for row in asked(stage="All")[0]}
    assert {ids[0]: "Reseller Pending Approval", ids[1]: "Cancelled by Reseller"} == found


def test_whoever_decides_is_reminded_after_a_day(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock, order_id: str
) -> None:
    """K04 finds an order that waits longer than 24 hours, and it is D's turn."""
    for hours, expected in ((23, []), (25, [(order_id, chain.d)])):
        scope = Scope(now=clock.now(), as_of=clock.now() + timedelta(hours=hours))
        with database.read() as connection:
            found = ORDERS_MOVE.find(connection, scope).findings
        assert expected == [(each.key, each.tenant_id) for each in found]
    with units.begin(actor="test") as work:
        assert ORDERS_MOVE.alarm is not None
        ORDERS_MOVE.alarm(work, found)
    with database.read() as connection:
        [reminder] = raised(connection, chain.d, "chain_order.reminder")
    assert "pending_approval" == reminder["chain_status"]
