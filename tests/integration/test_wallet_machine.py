"""Random histories of a wallet's life keep every invariant, and the wallet equals a pure model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from engine import (
    ledger_checks,
    orders,
    payouts,
    wallet_holds,
    wallet_levels,
    wallet_summary,
    wallet_transactions,
    wallets,
)
from engine.database import Database, metadata
from engine.ledger_tables import wallets as wallet_rows
from engine.payout_states import TRANSITIONS
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import accept_at_top, build_chain, dump, order_of, raised
from tests.conftest import START

#: What R pays D for the one product; D pays S 120.00 of it.
COST = 13800
PLACES = st.integers(0, 30)
AMOUNTS = st.integers(-1, 30000)


@dataclass
class Model:
    """R's wallet as three numbers, and what is set aside by what it is for."""

    balance: int = 0
    limit: int = 0
    held: dict[str, int] = field(default_factory=dict)

    @property
    def available(self) -> int:
        """What is not set aside."""
        return self.balance - sum(self.held.values())


class WalletMachine(RuleBasedStateMachine):
    """Anyone does anything with a wallet: refused, nothing changes; done, model and books agree."""

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.model = Model()
        self.payouts: list[str] = []
        self.holds: list[str] = []
        self.orders: list[str] = []
        self.number = 0

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()

    @initialize()
    def build(self) -> None:
        """Begin with the chain of document 001; the middle has nothing and needs nothing."""
        self.chain = build_chain(self.units, stock=8)

    def attempt(self, call: Callable[[UnitOfWork], Any]) -> Any:
        """Do something and return what it answered; refused, every row must be as it was."""
        before = dump(self.database)
        try:
            with self.units.begin(actor="machine") as work:
                return call(work)
        except TillbellError as refusal:
            assert before == dump(self.database)
            return refusal

    def expect(self, possible: bool, answer: Any) -> bool:  # noqa: FBT001  # said at once
        """Require that what could be done was done, and nothing else; tell which."""
        assert possible != isinstance(answer, TillbellError), answer
        return possible

    @rule(amount=AMOUNTS, again=st.booleans())
    def top_up(self, amount: int, *, again: bool) -> None:
        """Money arrives, sometimes told of twice."""
        self.number += 1
        for _ in range(2 if again else 1):
            answer = self.attempt(
                lambda work: wallets.top_up(
                    work, self.chain.r, amount, idempotency_key=f"k{self.number}"
                )
            )
            self.expect(amount > 0, answer)
        self.model.balance += max(amount, 0)

    @rule(limit=AMOUNTS)
    def credit(self, limit: int) -> None:
        """Let the parent give credit, or take it back while it is used."""
        call = wallets.set_credit_limit
        answer = self.attempt(lambda work: call(work, self.chain.r, limit, by=self.chain.s))
        if self.expect(limit >= 0, answer):
            self.model.limit = limit

    @rule(threshold=st.none() | AMOUNTS, step=st.none() | st.integers(0, 5000), spend=st.booleans())
    def warn(self, threshold: int | None, step: int | None, *, spend: bool) -> None:
        """Let the owner be warned otherwise."""
        rearm = None if threshold is None or step is None else threshold + step
        watch = "spendable" if spend else "available"
        self.attempt(
            lambda work: wallets.set_threshold(
                work, self.chain.r, threshold, rearm_minor=rearm, watch=watch
            )
        )

    @rule(amount=AMOUNTS, hours=st.none() | st.integers(0, 30))
    def hold(self, amount: int, hours: int | None) -> None:
        """Let the platform set money aside, for some hours or for good."""
        ends = None if hours is None else self.clock.now() + timedelta(hours=hours)
        answer = self.attempt(
            lambda work: wallet_holds.hold(
                work, self.chain.r, amount, reason="deposit", expires_at=ends, by=self.chain.s
            )
        )
        fits = 0 < amount <= self.model.available + self.model.limit and hours != 0
        if self.expect(fits, answer):
            self.holds.append(answer["id"])
            self.model.held[answer["id"]] = amount

    @rule(place=PLACES, amount=st.none() | AMOUNTS, take=st.booleans())
    def end_hold(self, place: int, amount: int | None, *, take: bool) -> None:
        """Let the platform free or take what it set aside, or try to a second time."""
        if not self.holds:
            return
        hold_id = self.holds[place % len(self.holds)]
        held = self.model.held.get(hold_id, 0)
        taken = (held if amount is None else amount) if take else 0
        call = partial(wallet_holds.capture, amount_minor=amount) if take else wallet_holds.release
        answer = self.attempt(lambda work: call(work, hold_id=hold_id, reason="done"))
        if self.expect(held > 0 and (not take or 0 < taken <= held), answer):
            del self.model.held[hold_id]
            self.model.balance -= taken

    @rule(hours=st.integers(1, 30))
    def wait(self, hours: int) -> None:
        """Time passes, and what has expired is freed."""
        self.clock.advance(timedelta(hours=hours))
        with self.units.begin(actor="sweep") as work:
            due = [row["id"] for row in wallet_holds.due(work.connection, work.now)]
            assert sorted(due) == wallet_holds.expire(work, due, work.now)
        for hold_id in due:
            del self.model.held[hold_id]

    @rule(amount=AMOUNTS)
    def request(self, amount: int) -> None:
        """Let the owner ask for money; credit is not cash."""
        answer = self.attempt(lambda work: payouts.request(work, self.chain.r, amount))
        if self.expect(0 < amount <= self.model.available, answer):
            self.payouts.append(answer["id"])
            self.model.held[answer["id"]] = amount

    @rule(place=PLACES, action=st.sampled_from(sorted(TRANSITIONS)))
    def decide(self, place: int, action: str) -> None:
        """Let the platform decide on a payout, in its turn or not."""
        if not self.payouts:
            return
        payout_id = self.payouts[place % len(self.payouts)]
        with self.database.read() as connection:
            status = payouts.get(connection, payout_id)["status"]
        extra = {"complete": {"reference": "UTR"}, "approve": {}}.get(action, {"reason": "r"})
        call = getattr(payouts, action)
        answer = self.attempt(lambda work: call(work, payout_id, by=self.chain.s, **extra))
        if self.expect(status in TRANSITIONS[action].sources, answer) and action != "approve":
            amount = self.model.held.pop(payout_id)
            self.model.balance -= amount if action == "complete" else 0

    @rule()
    def place(self) -> None:
        """R orders a piece that it pays for beforehand."""
        self.number += 1
        asked = order_of(f"N{self.number}", payment={"method": "prepaid"})
        answer = self.attempt(lambda work: orders.place(work, self.chain.r, asked))
        if self.expect(self.model.available + self.model.limit >= COST, answer):
            self.orders.append(answer["id"])
            self.model.held[answer["id"]] = COST

    @rule(place=PLACES, action=st.sampled_from(["ship", "cancel", "return"]))
    def move(self, place: int, action: str) -> None:
        """Ship an order (accepted before where it was not), call it off, or take it back."""
        if not self.orders:
            return
        order_id = self.orders[place % len(self.orders)]
        calls: dict[str, Callable[[UnitOfWork], Any]] = {
            "ship": lambda work: self._ship(work, order_id),
            "cancel": lambda work: orders.cancel(work, order_id, reason="r"),
            "return": lambda work: orders.return_(work, order_id, reason="r"),
        }
        answer = self.attempt(calls[action])
        if isinstance(answer, TillbellError):
            return
        captured = self.model.held.pop(order_id, 0)
        self.model.balance += {"ship": -captured, "cancel": 0, "return": COST}[action]

    def _ship(self, work: UnitOfWork, order_id: str) -> Any:
        accept_at_top(work, order_id)
        return orders.ship(work, order_id, tracking_number="T", carrier="c")

    @invariant()
    def the_wallet_is_the_model(self) -> None:
        """Balance, what is set aside, and what may be spent; nobody else ever goes below zero."""
        with self.database.read() as connection:
            wallet = wallets.show(connection, self.chain.r)
            others = [wallets.show(connection, t) for t in (self.chain.s, self.chain.d)]
        model = self.model
        assert {
            "balance_minor": model.balance,
            "available_balance_minor": model.available,
            "pending_debits_minor": sum(model.held.values()),
            "effective_balance_minor": model.balance + model.limit,
            "spendable_minor": model.available + model.limit,
        }.items() <= wallet.items()
        earned, paid = (wallet[f"{name}_minor"] for name in ("total_earned", "total_paid_out"))
        assert model.balance == earned - paid
        assert all(each["balance_minor"] >= 0 for each in others)

    @invariant()
    def the_books_agree(self) -> None:
        """Conservation, mirrors, holds and statements (L1 to L4, L7)."""
        with self.database.read() as connection:
            assert [] == ledger_checks.verify(connection)

    @invariant()
    def the_year_is_the_statement(self) -> None:
        """Find in the summary of everything what adding up every line gives."""
        with self.database.read() as connection:
            now = self.clock.now()
            totals = wallet_summary.summary(connection, self.chain.r, "year", now=now)["summary"]
            found = wallet_transactions.listing(connection, self.chain.r, limit=1000)
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for line in found["data"]:
            key = line["type"], line["reference_type"]
            count, amount = sums.get(key, (0, 0))
            sums[key] = count + 1, amount + line["amount_minor"]
        assert sums == {
            (row["type"], row["reference_type"]): (row["count"], row["amount_minor"])
            for row in totals["by_type"]
        }
        assert self.model.balance == totals["closing_balance_minor"]

    @invariant()
    def episodes_are_told_once(self) -> None:
        """Find the wallet at the level its figures say, with one event per episode."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(wallet_rows).where(wallet_rows.c.tenant_id == self.chain.r)
            ).mappings()
            for row in map(dict, rows):
                figures = wallet_levels.Figures(
                    self.model.balance, sum(self.model.held.values()), 0, self.model.limit
                )
                assert row["low_state"] == wallet_levels.level_of(row, figures)
                told = raised(connection, self.chain.r, "wallet.low_balance")
                assert list(range(1, row["low_episode"] + 1)) == sorted(
                    each["episode"] for each in told
                )

    @invariant()
    def payouts_are_told_step_by_step(self) -> None:
        """Find one event per version of a payout, for its owner and for the platform."""
        with self.database.read() as connection:
            for tenant_id in (self.chain.r, self.chain.s):
                told = [
                    each["payout_id"]
                    for name in ("requested", "approved", "rejected", "completed", "cancelled")
                    for each in raised(connection, tenant_id, f"payout.{name}")
                ]
                versions = {each: payouts.get(connection, each)["version"] for each in self.payouts}
                assert versions == {each: told.count(each) for each in versions}


TestWalletMachine = WalletMachine.TestCase
TestWalletMachine.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
