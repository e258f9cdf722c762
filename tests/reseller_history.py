"""What random histories of resellers stand on: a database in memory, and a way to try things."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from config.clock import FixedClock
from config.errors import TillbellError
from engine import ledger_checks, wallets
from engine.database import Database, metadata
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.conftest import START
from tests.reselling import add_serials, build_shop

#: What the merchant's wallet begins with, in minor units.
START_MONEY = 10_000


class ResellerHistory(RuleBasedStateMachine):
    """A shop in an empty database, and what was put into it from outside."""

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.added = self.topped_up = self.paid_out = 0
        self.transfers: list[str] = []

    def teardown(self) -> None:
        """Verify the books at the end, which takes longest, and close the database."""
        with self.database.read() as connection:
            assert [] == ledger_checks.verify(connection)
        self.database.dispose()

    @initialize(daily=st.none() | st.integers(4, 12), money=st.integers(10**5, 10**6))
    def build(self, daily: int | None, money: int) -> None:
        """Begin with a shop, some of whose serials and limits run out."""
        self.shop = build_shop(self.units, purchase_limit_daily=daily)
        with self.units.begin(actor="machine") as work:
            wallets.top_up(work, self.shop.reseller, money)
            wallets.top_up(work, self.shop.merchant, START_MONEY)
        self.added = len(add_serials(self.units, self.shop, 4))
        self.topped_up = money

    def attempt(self, call: Callable[[UnitOfWork], Any]) -> Any:
        """Do something; a refusal must leave every row as it was."""
        before = self.content()
        try:
            with self.units.begin(actor="machine") as work:
                return call(work)
        except TillbellError:
            assert before == self.content()
            return None

    def content(self) -> bytes:
        """Return the database, byte for byte."""
        with closing(self.database.engine.raw_connection()) as connection:
            return bytes(connection.driver_connection.serialize())  # type: ignore[union-attr]

    def tenant(self, who: str | None) -> str | None:
        """Return the tenant of a side, None for the operator."""
        return who and str(getattr(self.shop, who))
