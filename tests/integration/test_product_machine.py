"""Random histories of a product: whatever changes, stops or races, each tenant's story is whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from config.clock import FixedClock
from config.errors import TillbellError
from engine import orders, product_expander, stock
from engine.database import Database, metadata
from engine.products import get
from engine.unit_of_work import UnitsOfWork
from tests.chains import accept_at_top, order_of
from tests.conftest import START
from tests.price_oracle import expected, stored
from tests.product_storms import Stopped, build_storm, require_settled, stopping_at

SELLERS = 5


class ProductMachine(RuleBasedStateMachine):
    """Prices, stock and status change, orders come and go, and chunks are told or cut short."""

    def __init__(self) -> None:
        """Open an empty database in memory, and look at two tenants in a transaction."""
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(product_expander, "TENANTS_PER_CHUNK", 2)
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.placed: list[str] = []

    def teardown(self) -> None:
        """Tell what is left: everyone knows the present, by steps that join."""
        self.storm.tell()
        require_settled(self.storm)
        self.patch.undo()
        self.database.dispose()

    @initialize()
    def build(self) -> None:
        """Begin with five sellers, three levels deep."""
        self.storm = build_storm(self.units, self.clock, SELLERS)

    @rule(
        changes=st.fixed_dictionaries(
            {},
            optional={
                "base_cost": st.sampled_from([100, 101, 250]),
                "stock_quantity": st.integers(3, 12),
                "status": st.sampled_from(["active", "inactive"]),
                "track_inventory": st.booleans(),
                "name": st.sampled_from(["A", "B"]),
            },
        )
    )
    def change(self, changes: dict[str, Any]) -> None:
        """Change some fields, or none."""
        self.attempt(lambda: self.storm.change(**changes))

    @rule(
        number=st.integers(1, SELLERS),
        percent=st.sampled_from([10, 0, 25, -1]),
        available=st.booleans(),
    )
    def price(self, number: int, percent: int, *, available: bool) -> None:
        """Set a markup, sometimes below the least, or take the product from a seller."""
        self.attempt(lambda: self.storm.price(number, percent, is_available=available))

    @rule(number=st.integers(1, SELLERS), quantity=st.integers(1, 3))
    def order(self, number: int, quantity: int) -> None:
        """Let a seller order some, and its owner accept that."""
        origin = self.storm.tenant_ids[number]
        items = [{"sku": "A", "quantity": quantity, "unit_price": 1}]

        def accepted(work: Any) -> None:
            asked = order_of(f"N{len(self.placed)}", items=items)
            placed = orders.place(work, origin, asked)
            hops = {1: 1, 2: 1}.get(number, 2)
            accept_at_top(work, placed["id"], hops)
            self.placed.append(placed["id"])

        self.attempt(lambda: self.storm.do(accepted))

    @rule(index=st.integers(0, 20), action=st.sampled_from(["ship", "cancel", "return_"]))
    def act(self, index: int, action: str) -> None:
        """Let an order leave, come back, or end before that."""
        if not self.placed:
            return
        order_id = self.placed[index % len(self.placed)]
        extra: dict[str, Any] = {
            "ship": {"tracking_number": "T", "carrier": "c"},
            "cancel": {"reason": "r"},
        }.get(action, {})
        self.attempt(
            lambda: self.storm.do(lambda work: getattr(orders, action)(work, order_id, **extra))
        )

    def attempt(self, call: Any) -> None:
        """Do something that may be refused."""
        try:
            call()
        except TillbellError:
            return

    @rule(seconds=st.sampled_from([0, 1, 5]), point=st.none() | st.integers(1, 8))
    def tell(self, seconds: int, point: int | None) -> None:
        """Let time pass, and tell a chunk or a part of one that ends with the process."""
        self.clock.advance(timedelta(seconds=seconds))
        with stopping_at(self.database, point or 0):
            try:
                self.storm.expander.run_once()
            except Stopped:
                return

    @invariant()
    def the_prices_are_right(self) -> None:
        """Find every stored price to be what the walk in Python finds."""
        with self.database.read() as connection:
            product_id = self.storm.product_id
            assert expected(connection, product_id) == stored(connection, product_id)

    @invariant()
    def the_stock_is_what_its_moves_make_it(self) -> None:
        """Find the sum of the moves on hand, and set aside what accepted orders wait for."""
        with self.database.read() as connection:
            row = get(connection, self.storm.product_id)
            moves = stock.moves_of(connection, row["id"], limit=1000)
            waiting = stock.open_items(connection, row["id"])
        assert sum(move["on_hand_delta"] for move in moves) == row["stock_quantity"]
        assert sum(move["allocated_delta"] for move in moves) == row["stock_allocated"]
        newest = (row["stock_quantity"], row["stock_allocated"])
        assert newest == (moves[0]["on_hand"], moves[0]["allocated"])
        assert row["stock_allocated"] == (waiting if row["track_inventory"] else 0)


TestProductMachine = ProductMachine.TestCase
TestProductMachine.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
