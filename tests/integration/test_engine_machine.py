"""Random histories of orders and wallets keep every invariant (the six of blnk, domain.md 1.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from engine import (
    ledger,
    ledger_checks,
    order_rows,
    order_views,
    orders,
    remittances,
    states,
    tenants,
    wallets,
)
from engine.database import Database, metadata
from engine.ledger_tables import wallets as wallet_rows
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from engine.wallet_levels import next_level
from tests.chains import build_chain, dump, order_of, raised
from tests.conftest import START

TENANTS = st.sampled_from("sdr")
ACTIONS = st.sampled_from(states.ACTIONS)


class EngineMachine(RuleBasedStateMachine):
    """Anyone does anything in any order: refused, nothing changes; done, the books agree."""

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.units = UnitsOfWork(self.database, FixedClock(START))
        self.orders: list[str] = []
        self.number = 0

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()

    @initialize(stock=st.integers(3, 12))
    def build(self, stock: int) -> None:
        """Begin with the chain of document 001."""
        self.chain = build_chain(self.units, stock=stock)
        for tenant in "rds":
            self.top_up(tenant, 30000)
            self.threshold(tenant, 10000)

    def attempt(self, call: Callable[[UnitOfWork], Any]) -> None:
        """Do something; a refusal must leave every row as it was."""
        before = dump(self.database)
        try:
            with self.units.begin(actor="machine") as work:
                call(work)
        except TillbellError:
            assert before == dump(self.database)

    @rule(
        method=st.sampled_from(["cod", "prepaid"]),
        collector=st.sampled_from(["origin", "fulfiller"]),
        quantity=st.sampled_from([1, 2, 0, 4]),
        price=st.integers(0, 20000),
        steps=st.integers(0, 6),
    )
    def place(self, method: str, collector: str, quantity: int, price: int, steps: int) -> None:
        """R places an order, sometimes below cost or of nothing, and it makes some of its way."""
        self.number += 1
        payment = {"method": method, "collector": collector}
        items = [{"sku": "PROD-001", "quantity": quantity, "unit_price": price / 100}]
        asked = order_of(f"N{self.number}", items=items, payment=payment)
        self.attempt(lambda work: self.orders.append(orders.place(work, self.chain.r, asked)["id"]))
        self.advance_order(len(self.orders) - 1, steps)

    @rule(index=st.integers(0, 30), action=ACTIONS, tenant=st.none() | TENANTS)
    def act(self, index: int, action: str, tenant: str | None) -> None:
        """Someone takes an action on an order, allowed or not."""
        if not self.orders:
            return
        order_id = self.orders[index % len(self.orders)]
        extra: dict[str, Any] = {
            "ship": {"tracking_number": "T", "carrier": "c"},
            "cancel": {"reason": "r"},
            "reject": {"reason": "r"},
        }.get(action, {})
        name = "return_" if action == "return" else action
        tenant_id = tenant and getattr(self.chain, tenant)
        call = getattr(orders, name)
        self.attempt(lambda work: call(work, order_id, tenant_id=tenant_id, **extra))

    @rule(index=st.integers(0, 30), steps=st.integers(1, 6))
    def advance(self, index: int, steps: int) -> None:
        """Let an order make its way."""
        if self.orders:
            self.advance_order(index % len(self.orders), steps)

    def advance_order(self, index: int, steps: int) -> None:
        """Take the usual next action several times."""
        for _ in range(steps if self.orders else 0):
            order_id = self.orders[index]
            with self.database.read() as connection:
                order = order_rows.get(connection, order_id)
            status = order["chain_status"]
            way = {"pending_approval": "approve", "pending_forward": "forward"}
            way |= {"accepted": "ship", "shipped": "deliver"}
            at_top = order["holder_tenant_id"] == self.chain.s
            action = "accept" if at_top and status == "forwarded" else way.get(status, "forward")
            self.act(index, action, None)

    @rule(tenant=TENANTS, amount=st.integers(-1, 30000))
    def top_up(self, tenant: str, amount: int) -> None:
        """Someone adds money, or tries to add none."""
        self.attempt(lambda work: wallets.top_up(work, getattr(self.chain, tenant), amount))

    @rule(tenant=TENANTS, threshold=st.none() | st.integers(0, 20000))
    def threshold(self, tenant: str, threshold: int | None) -> None:
        """Someone wants to be warned."""
        tenant_id = getattr(self.chain, tenant)
        self.attempt(lambda work: wallets.set_threshold(work, tenant_id, threshold))

    @rule(tenant=TENANTS, limit=st.integers(0, 20000))
    def credit(self, tenant: str, limit: int) -> None:
        """Someone is given credit, or less of it."""
        tenant_id = getattr(self.chain, tenant)
        self.attempt(lambda work: wallets.set_credit_limit(work, tenant_id, limit))

    @rule(needed=st.booleans())
    def approval(self, *, needed: bool) -> None:
        """D wants to approve what R orders from now on, or no longer."""
        self.attempt(lambda work: tenants.require_approval(work, self.chain.r, needed=needed))

    @invariant()
    def what_waits_sets_nothing_aside(self) -> None:
        """Find money held for an order exactly while it is approved, prepaid and not shipped."""
        held = {"pending_forward", "forwarded", "accepted", "processing"}
        with self.database.read() as connection:
            for order_id in self.orders:
                order = order_rows.get(connection, order_id)
                cost = order_rows.hops_of(connection, order_id)[-1]["cost_minor"]
                prepaid = order["payment_method"] == "prepaid" and cost > 0
                expected = prepaid and order["chain_status"] in held
                assert expected == ledger.has_open_hold(connection, "order", order_id)

    @rule(index=st.integers(0, 30), bulk=st.booleans())
    def pay(self, index: int, *, bulk: bool) -> None:
        """Someone pays one remittance, or all of them."""
        with self.database.read() as connection:
            ids = [row["id"] for row in remittances.listing(connection)]
        if not ids:
            return
        if bulk:
            remittances.bulk_process(self.units, ids, actor="machine")
        else:
            self.attempt(lambda work: remittances.process(work, ids[index % len(ids)]))

    @invariant()
    def the_books_agree(self) -> None:
        """Conservation, derived balances, mirrors and holds."""
        with self.database.read() as connection:
            assert [] == ledger_checks.verify(connection)

    @invariant()
    def levels_fit_and_were_told_once(self) -> None:
        """Find each wallet at the level its balance says, with one event per episode."""
        with self.database.read() as connection:
            for row in connection.execute(select(wallet_rows)).mappings():
                wallet = wallets.show(connection, row["tenant_id"])
                available = wallet["available_balance_minor"]
                level = next_level(row["low_state"], available, row["low_threshold_minor"])
                assert level == row["low_state"]
                told = raised(connection, row["tenant_id"], "wallet.low_balance")
                episodes = sorted(each["episode"] for each in told)
                assert list(range(1, row["low_episode"] + 1)) == episodes

    @invariant()
    def every_version_was_told_to_the_origin(self) -> None:
        """Find one step per version of an order, and one event to its origin for each."""
        with self.database.read() as connection:
            told = raised(connection, self.chain.r, "chain_order.status_changed")
            for order_id in self.orders:
                steps = [step["seq"] for step in order_views.timeline(connection, order_id)]
                assert list(range(1, len(steps) + 1)) == steps
                mine = sorted(e["seq"] for e in told if e["chain_order_id"] == order_id)
                assert steps[1:] == mine


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
