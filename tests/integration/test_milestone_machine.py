"""Random lives of remittances agree with a pure model of what is told when, and to whom."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, update

from config.clock import FixedClock
from config.errors import TillbellError
from engine import ladder_settings, milestones, orders, remittances, rescheduling, wallets
from engine.database import Database, metadata
from engine.due_dates import firings
from engine.ladders import ALL, ladder_of
from engine.settlement_tables import milestones as milestone_rows
from engine.settlement_tables import remittances as remittance_rows
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.chains import build_chain, deliver, order_of
from tests.conftest import START
from tests.milestone_model import DUE, OVERDUE, Debt, Step

ZONES = st.sampled_from(["UTC", "Asia/Kolkata", "America/Havana", "Pacific/Apia", "Asia/Beirut"])
DAYS = st.lists(st.integers(0, 12), unique=True, max_size=4)
MOVES = st.timedeltas(timedelta(minutes=1), timedelta(days=12))
LADDERS = st.fixed_dictionaries(
    {
        "due_days_before": DAYS.filter(bool) | DAYS,
        "overdue_days_after": DAYS,
        "cutoff": st.none() | st.sampled_from(["00:00", "02:30", "17:00"]),
        "grace_hours": st.sampled_from([0, 0, 5, 48]),
        "catch_up": st.sampled_from(["newest", "all"]),
    }
)
LATER = st.sampled_from(
    [timedelta(hours=hours) for hours in (0, 0, 0.5, 1, 1.01, 13, 23.9, 24)]
    + [timedelta(seconds=-1)]
)


class MilestoneMachine(RuleBasedStateMachine):
    """Debts arise, time passes, anybody looks, pays, moves or cancels; the model says what then."""

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.schedulers = [Runner(self.units) for _ in range(3)]
        self.debts: dict[str, Debt] = {}
        self.orders: list[str] = []

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()

    @initialize(zone=ZONES, ladder=LADDERS)
    def build(self, zone: str, ladder: dict[str, Any]) -> None:
        """Begin with the chain of document 001, somewhere in the world, on endless credit."""
        self.chain = build_chain(self.units, timezone=zone, stock=500)
        with self.units.begin(actor="machine") as work:
            for tenant_id in (self.chain.s, self.chain.d, self.chain.r):
                wallets.set_credit_limit(work, tenant_id, 10**9)
        self.agree(ladder)
        self.owe()

    @rule(ladder=LADDERS)
    def agree(self, ladder: dict[str, Any]) -> None:
        """Set a ladder for what is made from now on; one that cannot be changes nothing."""
        try:
            with self.units.begin(actor="machine") as work:
                ladder_settings.set_ladder(work, self.chain.s, ladder)
        except TillbellError:
            before, after = ladder["due_days_before"], ladder["overdue_days_after"]
            assert not before + after or {*before} & {*after} & {0}

    @precondition(lambda self: len(self.orders) < 3)
    @rule()
    def owe(self) -> None:
        """Deliver an order: R owes D, and D owes S."""
        asked = order_of(f"N{len(self.orders)}")
        with self.units.begin(actor="machine") as work:
            order_id = orders.place(work, self.chain.r, asked)["id"]
        deliver(self.units, order_id)
        self.orders.append(order_id)
        self.learn()

    def learn(self) -> None:
        """Take remittances that are new, and what became of the others, into the model."""
        with self.database.read() as connection:
            rows = connection.execute(select(remittance_rows)).mappings().all()
        for row in rows:
            debt = self.debts.get(row["id"])
            if debt is None:
                ladder = ladder_of(row["ladder"])
                debt = Debt(due_at=row["due_at"], tells_all=ladder.catch_up == ALL)
                self.debts[row["id"]] = debt
                self.add_steps(debt, dict(row))
            elif row["status"] != debt.status:
                debt.close(row["status"])

    def add_steps(self, debt: Debt, row: dict[str, Any]) -> None:
        """Give a debt the steps of its due date: announcements for the payer, the rest for both."""
        for each in firings(row["due_date"], row["due_tz"], ladder_of(row["ladder"])):
            told = [row["payer_id"]] if each.event == DUE else [row["payer_id"], row["payee_id"]]
            debt.steps += [
                Step(each.code, each.event, tenant, each.fire_at, self.clock.now(), debt.version)
                for tenant in told
            ]

    @rule(step=MOVES)
    def wait(self, step: timedelta) -> None:
        """Let time pass."""
        self.clock.advance(step)

    @precondition(lambda self: self.debts)
    @rule(index=st.integers(0, 5), later=LATER)
    def wait_for_a_moment(self, index: int, later: timedelta) -> None:
        """Let time pass until a moment that matters to some debt, or a little around it."""
        moments = sorted(
            {step.fire_at for debt in self.debts.values() for step in debt.steps}
            | {debt.due_at for debt in self.debts.values()}
        )
        ahead = [moment + later for moment in moments if moment + later > self.clock.now()]
        if ahead:
            self.clock.set(ahead[index % len(ahead)])

    @rule(who=st.integers(0, 2), rules_arrive=st.booleans())
    def scheduler_looks(self, who: int, *, rules_arrive: bool) -> None:
        """Run the check by any scheduler, perhaps with newer zone rules that say the same."""
        if rules_arrive:
            with self.units.begin(actor="machine") as work:
                work.connection.execute(update(remittance_rows).values(due_rules="2025b"))
        for row in self.schedulers[who].run(["K10"], actor="scheduler", full=False):
            assert row["problem"] is None
        for debt in self.debts.values():
            debt.look(self.clock.now(), debt.steps)

    @rule(limit=st.integers(1, 6), dies=st.booleans())
    def somebody_looks_at_some(self, limit: int, *, dies: bool) -> None:
        """Decide only the oldest few, or die before the commit."""
        rows: list[dict[str, Any]] = []
        with suppress(ZeroDivisionError), self.units.begin(actor="scheduler") as work:
            found = milestones.due(work.connection, work.now, limit)
            milestones.emit_many(work, [row["id"] for row in found], work.now)
            assert 1 / (not dies)
            rows = found
        for row in rows:
            debt = self.debts[row["subject_id"]]
            debt.look(self.clock.now(), [step for step in debt.steps if _is(step, row)])

    def pick(self, index: int) -> str:
        """Return one of the debts."""
        ids = sorted(self.debts)
        return ids[index % len(ids)]

    @precondition(lambda self: self.debts)
    @rule(index=st.integers(0, 30), how=st.sampled_from(["pay", "pay", "return"]))
    def end(self, index: int, how: str) -> None:
        """Pay one, or take the goods of an order back: what was paid of it arises the other way."""
        remittance_id, order_id = self.pick(index), self.orders[index % len(self.orders)]
        with suppress(TillbellError), self.units.begin(actor="machine") as work:
            if how == "pay":
                remittances.process(work, remittance_id)
            else:
                orders.return_(work, order_id, reason="returned")
        self.learn()

    @precondition(lambda self: self.debts)
    @rule(index=st.integers(0, 30), days=st.integers(-2, 20))
    def move(self, index: int, days: int) -> None:
        """Agree on another day, if it can be."""
        remittance_id = self.pick(index)
        debt, due_on = self.debts[remittance_id], self.clock.now().date() + timedelta(days=days)
        if self.reschedule(remittance_id, due_on):
            with self.database.read() as connection:
                row = remittances.get(connection, remittance_id)
            debt.drop_open()
            debt.version += 1
            debt.due_at, debt.overdue_since = row["due_at"], None
            debt.tells_all = row["ladder"]["catch_up"] == ALL
            self.add_steps(debt, row)

    def reschedule(self, remittance_id: str, due_on: date) -> bool:
        """Move a due date and tell whether that was allowed."""
        try:
            with self.units.begin(actor="machine") as work:
                rescheduling.reschedule(work, remittance_id, due_on, reason="agreed")
        except TillbellError:
            return False
        return True

    @invariant()
    def every_milestone_is_what_the_model_says(self) -> None:
        """Compare outcome and instant of each row, and the flag of each remittance."""
        with self.database.read() as connection:
            rows = connection.execute(select(milestone_rows)).mappings().all()
            flags = connection.execute(
                select(remittance_rows.c.id, remittance_rows.c.overdue_since)
            ).all()
        found = sorted(
            (row["subject_id"], _key(row), row["fire_at"], row["outcome"]) for row in rows
        )
        assert found == sorted(
            (debt_id, _key(vars(step)), step.fire_at, step.outcome)
            for debt_id, debt in self.debts.items()
            for step in debt.steps
        )
        assert {debt_id: debt.overdue_since for debt_id, debt in self.debts.items()} == {
            row[0]: row[1] for row in flags
        }

    @invariant()
    def everybody_heard_each_thing_once_and_in_order(self) -> None:
        """Compare the events with the steps that speak; sequences of a subject only grow."""
        query = select(events).where(events.c.subject_type == "remittance")
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(events.c.created_at, events.c.id)).mappings()
            heard = [(row, orjson.loads(row["body"])["data"]) for row in rows.all()]
        last: dict[tuple[str, str], int] = {}
        for row, _ in heard:
            subject = (row["subject_id"], row["tenant_id"])
            assert row["sequence"] > last.get(subject, 0)
            last[subject] = row["sequence"]
        assert sorted(
            (
                row["subject_id"],
                row["tenant_id"],
                data["schedule_version"],
                data["milestone"],
                data["late"],
            )
            for row, data in heard
            if row["type"] in {DUE, OVERDUE}
        ) == sorted(
            (debt_id, step.tenant_id, step.version, step.code, step.late)
            for debt_id, debt in self.debts.items()
            for step in debt.steps
            if step.outcome == "emitted"
        )


def _key(row: Any) -> tuple[int, str, str]:
    tenant_id = row.get("recipient_tenant_id") or row.get("tenant_id")
    return row.get("schedule_version") or row["version"], row["code"], tenant_id


def _is(step: Step, row: Any) -> bool:
    return (step.version, step.code, step.tenant_id) == _key(row)


TestMilestoneMachine = MilestoneMachine.TestCase
TestMilestoneMachine.settings = settings(
    max_examples=20, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
