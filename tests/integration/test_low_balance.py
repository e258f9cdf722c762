"""Low balance on both databases: one event per episode, whatever the balance does (F28, F29)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from config.clock import FixedClock
from engine import ledger, payouts, wallet_holds, wallets
from engine.database import Database, metadata
from engine.errors import InsufficientBalance
from engine.postings import Posting, reversal, top_up
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, raised
from tests.chains import top_up as add_money
from tests.conftest import START
from tests.faults.plugin import Reached
from tests.racing import together

THRESHOLD, REARM = 1000, 1500


@dataclass
class Model:
    """The rule in words: armed at the start and at the re-arm level, fires below the threshold."""

    available: int = 0
    limit: int = 0
    threshold: int | None = None
    rearm: int = 0
    watch: str = "available"
    low: bool = False
    episode: int = 0
    recovered: int = 0

    def judge(self) -> None:
        """Take notice of what changed."""
        watched = self.available + (self.limit if self.watch == "spendable" else 0)
        if self.threshold is None:
            self.low = False
        elif watched < self.threshold:
            self.episode += not self.low
            self.low = True
        elif watched >= self.rearm and self.low:
            self.recovered += 1
            self.low = False


def move(work: UnitOfWork, tenant_id: str, amount_minor: int, number: int) -> None:
    """Post one credit or debit to a wallet; a debit that it cannot bear is refused."""
    entries = top_up(tenant_id, abs(amount_minor))
    ledger.post(
        work,
        Posting(
            kind="movement",
            reference_type="movement",
            reference_id=str(number),
            idempotency_key=f"movement:{tenant_id}:{number}",
            currency="INR",
            entries=entries if amount_minor > 0 else reversal(entries),
            paid_by=tenant_id if amount_minor < 0 else None,
        ),
    )


def episodes(database: Database, tenant_id: str) -> tuple[list[int], list[int]]:
    """Return the episodes a tenant was warned of, and those it was told it recovered from."""
    with database.read() as connection:
        low, well = (
            [each["episode"] for each in raised(connection, tenant_id, f"wallet.{name}")]
            for name in ("low_balance", "balance_recovered")
        )
    return low, well


def watched(units: UnitsOfWork, **given: Any) -> str:
    """Return a retailer that wants to be warned below 10.00."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        wallets.set_threshold(work, chain.r, THRESHOLD, rearm_minor=REARM, **given)
    return chain.r


def oscillation(postings: int) -> Iterator[int]:
    """Yield amounts that swing a balance around threshold and re-arm level, never below zero."""
    random, balance = Random(28), 0  # noqa: S311  # a fixed history, no secret
    for _ in range(postings):
        target = random.choice((900, 999, 1000, 1100, 1499, 1500, 2000))
        yield target - balance or 1
        balance = target if target != balance else target + 1


@pytest.mark.fault("F28")
def test_a_balance_that_swings_is_warned_of_once_an_episode(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """Postings around the threshold: events are the crossings with hysteresis (F28)."""
    tenant_id = watched(units)
    model = Model(threshold=THRESHOLD, rearm=REARM, low=True, episode=1)
    count = reached.times(600, 10_000)
    amounts = list(oscillation(count))
    for start in range(0, len(amounts), 100):
        with units.begin(actor="test") as work:
            for number, amount_minor in enumerate(amounts[start : start + 100], start):
                move(work, tenant_id, amount_minor, number)
                model.available += amount_minor
                model.judge()
    low, well = episodes(database, tenant_id)
    assert list(range(1, model.episode + 1)) == sorted(low)
    assert len(well) == model.recovered
    assert count / 12 < model.episode < count / 2
    kind = database.engine.dialect.name
    reached.says("F28", f"{count:,} postings: {len(low):,} crossings, {len(low):,} events ({kind})")


@pytest.mark.fault("F29")
def test_a_crossing_by_many_at_once_is_one_event(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """Again and again twenty debits at once take the wallet below: an episode each (F29)."""
    crossings = reached.times(3, 200)
    tenant_id = watched(units)
    for episode in range(2, crossings + 2):
        add_money(units, tenant_id, 2000)
        calls = [
            lambda work, number=number: move(work, tenant_id, -100, number)
            for number in range(episode * 100, episode * 100 + 20)
        ]
        assert {"done": 20} == together(units, calls)
        low, well = episodes(database, tenant_id)
        assert list(range(1, episode + 1)) == sorted(low)
        assert list(range(1, episode)) == sorted(well)
    kind = database.engine.dialect.name
    reached.says("F29", f"{crossings} crossings by 20 debits at once: one event each ({kind})")


def test_thresholds_and_limits_are_judged_when_they_change(
    units: UnitsOfWork, database: Database
) -> None:
    """A credit limit lifts what may be spent above the re-arm level, and its end drops it again."""
    tenant_id = watched(units, watch="spendable")
    found = []
    with units.begin(actor="test") as work:
        for limit in (1499, 1500, 1000, 999):
            wallet = wallets.set_credit_limit(work, tenant_id, limit)
            found.append((wallet["low_state"], wallet["low_episode"]))
        wallet = wallets.set_threshold(work, tenant_id, 900, rearm_minor=901)
        found.append((wallet["low_state"], wallet["low_episode"]))
    assert [("low", 1), ("ok", 1), ("ok", 1), ("low", 2), ("ok", 2)] == found
    assert ([1, 2], [1, 2]) == episodes(database, tenant_id)


def test_holds_and_payouts_are_watched(units: UnitsOfWork, database: Database) -> None:
    """What is set aside counts as gone: a hold or a payout opens an episode, its end closes it."""
    tenant_id = watched(units)
    add_money(units, tenant_id, 2000)
    with units.begin(actor="test") as work:
        held = wallet_holds.hold(work, tenant_id, 1001, reason="deposit")
    with units.begin(actor="test") as work:
        wallet_holds.release(work, held["id"], reason="done")
    with units.begin(actor="test") as work:
        payout = payouts.request(work, tenant_id, 1001)
    with units.begin(actor="test") as work:
        payouts.cancel(work, payout["id"], reason="done")
    assert ([1, 2, 3], [1, 2, 3]) == episodes(database, tenant_id)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(-900, 900).filter(bool)),
        st.tuples(st.just("limit"), st.integers(0, 600)),
        st.tuples(st.just("threshold"), st.none() | st.integers(0, 1200)),
        st.tuples(st.just("watch"), st.sampled_from(["available", "spendable"])),
    ),
    min_size=1,
    max_size=40,
)


@pytest.fixture(scope="module")
def memory() -> Iterator[Database]:
    """Return a database in memory; every history has a tenant of its own."""
    database = Database("sqlite://")
    metadata.create_all(database.engine)
    yield database
    database.dispose()


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_any_history_is_told_as_the_model_tells_it(
    memory: Database, steps: list[tuple[str, Any]]
) -> None:
    """Credits, debits, limits, thresholds and watches in any order: the model's episodes."""
    units = UnitsOfWork(memory, FixedClock(START))
    tenant_id, model = build_chain(units).r, Model()
    with units.begin(actor="test") as work:
        for number, each in enumerate(steps):
            step(work, tenant_id, model, each, number)
            wallet = wallets.show(work.connection, tenant_id)
            assert (model.available, model.episode) == (
                wallet["available_balance_minor"],
                wallet["low_episode"],
            )
            assert ("low" if model.low else "ok") == wallet["low_state"]
    low, well = episodes(memory, tenant_id)
    assert list(range(1, model.episode + 1)) == sorted(low)
    assert len(well) == model.recovered
    assert all(one < other for one, other in pairwise(sorted(well)))


def step(
    work: UnitOfWork, tenant_id: str, model: Model, asked: tuple[str, Any], number: int
) -> None:
    """Do one thing to the wallet and to its model."""
    action, value = asked
    if action == "move":
        try:
            with work.connection.begin_nested():
                move(work, tenant_id, value, number)
        except InsufficientBalance:
            assert model.available + model.limit + value < 0
            return
        model.available += value
    elif action == "limit":
        wallets.set_credit_limit(work, tenant_id, value)
        model.limit = value
    else:
        if action == "threshold":
            model.threshold, model.rearm = value, (value or 0) + max(-(-(value or 0) // 10), 1)
        else:
            model.watch = value
        wallets.set_threshold(work, tenant_id, model.threshold, watch=model.watch)
    model.judge()
