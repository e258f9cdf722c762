"""Random histories of orders and what they make neighbours owe: the books always say the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from engine import (
    cash_collections,
    differences,
    ledger_checks,
    milestones,
    order_rows,
    orders,
    remittances,
    rescheduling,
    settlement_books,
    wallets,
    write_offs,
)
from engine.database import Database, metadata
from engine.ledger_tables import holds
from engine.settlement_tables import milestones as milestone_rows
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import dump
from tests.conftest import START
from tests.deep_chains import Route, all_routes, build_deep_chain

ROUTES = list(all_routes())
INDEX = st.integers(0, 50)
OPEN = {"short", "disputed"}
#: What ends an order, and the status it usually has then.
ENDS = {"deliver": "shipped", "return_": "delivered", "cancel": "pending_forward"}


def mostly(
    rows: Sequence[dict[str, Any]], index: int, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any] | None:
    """Return one of the rows: five times in six one that is wanted, where there is any."""
    chosen = [row for row in rows if index % 6 and wanted(row)] or rows
    return chosen[index % len(chosen)] if chosen else None


class SettlementMachine(RuleBasedStateMachine):
    """Orders of any route are delivered, paid, moved, decided, returned, in any order."""

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.routes: dict[str, Route] = {}

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()

    @initialize(
        seed=st.integers(0, 1000), routes=st.lists(st.sampled_from(ROUTES), min_size=3, max_size=3)
    )
    def build(self, seed: int, routes: list[Route]) -> None:
        """Begin with eight levels and three orders: whole cash, none, and too much."""
        self.chain = build_deep_chain(self.units, seed)
        for route, cash in zip(routes, (None, 0, 10**6), strict=True):
            self.sell(route, 1, 50_000, cash)

    def attempt(self, call: Callable[[UnitOfWork], Any]) -> Any:
        """Do something; a refusal must leave every row as it was."""
        before = dump(self.database)
        try:
            with self.units.begin(actor="machine") as work:
                return call(work)
        except TillbellError:
            assert before == dump(self.database)
            return None

    def an_order(self, index: int) -> str | None:
        """Return one of the orders, once there are any."""
        return list(self.routes)[index % len(self.routes)] if self.routes else None

    def remittance(self, index: int) -> dict[str, Any] | None:
        """Return one of the remittances, mostly one that is pending, once there are any."""
        with self.database.read() as connection:
            rows = remittances.listing(connection)
        return mostly(rows, index, lambda row: row["status"] == "pending")

    @rule(
        route=st.sampled_from(ROUTES),
        quantity=st.integers(1, 3),
        price=st.integers(0, 90_000),
        cash=st.sampled_from([None, None, None, 0, 1, 10**6, -1, 2**53]),
    )
    def sell(self, route: Route, quantity: int, price: int, cash: int | None) -> None:
        """Deliver a new order with the cash it should bring, or other."""

        def run(work: UnitOfWork) -> str:
            order_id = self.chain.place(work, route, quantity=quantity, price_minor=price)
            self.chain.ship(work, order_id, route)
            orders.deliver(work, order_id, collected_minor=cash)
            return order_id

        order_id = self.attempt(run)
        if order_id is not None:
            self.routes[order_id] = route

    @rule(route=st.sampled_from(ROUTES), price=st.integers(0, 90_000), is_sent=st.booleans())
    def place(self, route: Route, price: int, *, is_sent: bool) -> None:
        """Place an order, perhaps send it; other rules deliver, cancel or return it."""

        def run(work: UnitOfWork) -> str:
            order_id = self.chain.place(work, route, quantity=1, price_minor=price)
            if is_sent:
                self.chain.ship(work, order_id, route)
            return order_id

        self.routes[self.attempt(run)] = route

    @rule(index=INDEX, action=st.sampled_from(list(ENDS)))
    def act(self, index: int, action: str) -> None:
        """Somebody ends an order, mostly one that can be ended so."""
        with self.database.read() as connection:
            rows = [order_rows.get(connection, order_id) for order_id in self.routes]
        row = mostly(rows, index, lambda row: row["chain_status"] == ENDS[action])
        extra = {"reason": "r"} if action == "cancel" else {}
        if row is not None:
            call = getattr(orders, action)
            self.attempt(lambda work: call(work, row["id"], **extra))

    @rule(index=INDEX, payer=st.booleans())
    def pay(self, index: int, *, payer: bool) -> None:
        """Payer or payee of a remittance wants it paid; within the payer's credit it is."""
        row = self.remittance(index)
        if row is None:
            return
        tenant_id = row["payer_id" if payer else "payee_id"]
        paid = self.attempt(lambda work: remittances.process(work, row["id"], tenant_id=tenant_id))
        if paid is not None:
            assert payer
            with self.database.read() as connection:
                wallet = wallets.show(connection, tenant_id)
            assert wallet["balance_minor"] + wallet["credit_limit_minor"] >= 0

    @rule(index=INDEX)
    def pay_order(self, index: int) -> None:
        """All remittances of an order are paid at once, as far as money goes."""
        order_id = self.an_order(index)
        if order_id is None:
            return
        with self.database.read() as connection:
            ids = [row["id"] for row in remittances.listing(connection, order_id=order_id)]
        if ids:
            done = remittances.bulk_process(self.units, ids, actor="machine")
            assert len(ids) == len(done["processed"]) + len(done["errors"])

    @rule(index=INDEX, days=st.integers(-2, 20))
    def reschedule(self, index: int, days: int) -> None:
        """Move a due date, or try to move one that cannot be."""
        row = self.remittance(index)
        if row is not None:
            day = self.clock.now().date() + timedelta(days=days)
            self.attempt(lambda work: rescheduling.reschedule(work, row["id"], day, reason="r"))

    @rule(index=INDEX, level=st.none() | st.integers(-1, 7), bears=st.booleans())
    def decide(self, index: int, level: int | None, *, bears: bool) -> None:
        """Finance decides a difference; only levels its money passes can bear it."""
        with self.database.read() as connection:
            rows = cash_collections.history(connection)["data"]
        row = mostly(rows, index, lambda row: row["status"] in OPEN)
        if row is None:
            return
        route = self.routes[row["chain_order_id"]]
        borne_by = None
        if level is not None:
            place = min(route.supplier + level, route.origin + 1, len(self.chain.tenants) - 1)
            borne_by = self.chain.tenants[place]
        decision = differences.BORNE if bears or level is not None else differences.RECOVERED
        self.attempt(
            lambda work: differences.resolve(
                work, row["id"], decision=decision, reason="r", borne_by=borne_by
            )
        )

    @rule(index=INDEX)
    def give_up(self, index: int) -> None:
        """Write off a debt, where it is pending."""
        row = self.remittance(index)
        if row is not None:
            self.attempt(lambda work: write_offs.write_off(work, row["id"], reason="r"))

    @rule(level=st.integers(0, 7), limit=st.sampled_from([0, 10_000, 10**12]))
    def credit(self, level: int, limit: int) -> None:
        """Somebody's credit is cut or restored."""
        self.attempt(lambda w: wallets.set_credit_limit(w, self.chain.tenants[level], limit))

    @rule(days=st.integers(1, 5))
    def wait(self, days: int) -> None:
        """Days pass, and what falls due is told."""
        self.clock.advance(timedelta(days=days))
        with self.units.begin(actor="reconciler") as work:
            due = [row["id"] for row in milestones.due(work.connection, self.clock.now())]
            milestones.emit_many(work, due, self.clock.now())

    @invariant()
    def the_books_agree(self) -> None:
        """L1 to L4: conservation, derived balances, mirrors and holds."""
        with self.database.read() as connection:
            assert [] == ledger_checks.verify(connection)

    @invariant()
    def what_is_owed_is_what_is_pending(self) -> None:
        """Each order's accounts between tenants hold its pending remittances, and nothing else."""
        with self.database.read() as connection:
            for order_id in self.routes:
                found = settlement_books.show(connection, order_id)
                owed: Counter[tuple[str, str]] = Counter()
                for row in found["remittances"]:
                    if row["status"] == "pending":
                        pair = (row["payer_name"], row["payee_name"])
                        owed[pair[0], f"pay>{pair[1]}"] -= row["amount_minor"]
                        owed[pair[1], f"recv<{pair[0]}"] += row["amount_minor"]
                left = {(r["name"], r["account"]): r["amount_minor"] for r in found["owed"]}
                assert dict(owed) == left
                assert found["retail_minor"] == found["base_cost_minor"] + found["margins_minor"]

    @invariant()
    def pending_remittances_are_held_and_watched(self) -> None:
        """Each has one open hold of its amount and its milestones; the others have none pending."""
        with self.database.read() as connection:
            rows = remittances.listing(connection, status="pending")
            pending = {row["id"]: row["amount_minor"] for row in rows}
            held = connection.execute(select(holds).where(holds.c.status == "open")).mappings()
            assert pending == {row["reference_id"]: row["amount_minor"] for row in held}
            watched = select(milestone_rows.c.subject_id).where(
                milestone_rows.c.outcome == "pending"
            )
            assert set(connection.execute(watched).scalars()) <= set(pending)

    @invariant()
    def collections_say_how_far_it_came(self) -> None:
        """Settled once nothing is owed and nothing undecided, reversed after a return."""
        with self.database.read() as connection:
            for order_id in self.routes:
                order = order_rows.get(connection, order_id)
                collection = cash_collections.of_order(connection, order_id)
                if collection is None:
                    assert order["delivered_at"] is None
                    continue
                rows = remittances.listing(connection, order_id=order_id, status="pending")
                undecided = (
                    collection["collected_minor"] != collection["expected_minor"]
                    and collection["resolution"] is None
                )
                if order["chain_status"] == "returned":
                    assert ("reversed", "refunded") == (
                        collection["status"],
                        order["payment_status"],
                    )
                elif undecided:
                    assert collection["status"] in OPEN
                    assert "collected" == order["payment_status"]
                else:
                    expected = ("pending", "collected") if rows else ("settled", "settled")
                    assert expected == (collection["status"], order["payment_status"])


TestSettlementMachine = SettlementMachine.TestCase
TestSettlementMachine.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
