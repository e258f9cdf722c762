"""Random lives of drafts agree with a pure model: open for 168 hours, one fate, told once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from config.clock import FixedClock
from config.errors import TillbellError
from engine import draft_expiry, draft_views, drafts, order_rows, stages
from engine.database import Database, metadata
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from reconciler.runner import Runner
from tests.chains import Chain, build_chain, dump, raised, top_up
from tests.conftest import START

WEEK, DAY = timedelta(hours=168), timedelta(hours=24)
JUMPS = st.sampled_from(
    [timedelta(microseconds=1), timedelta(hours=1), timedelta(days=3), timedelta(days=30)]
)
BEFORE = st.sampled_from([DAY, timedelta(microseconds=1), timedelta()])
NAMES = st.sampled_from(["a", "b", "c"])


@dataclass
class Draft:
    """What a draft should be."""

    made_at: datetime
    number: str | None
    given: dict[str, Any]
    fate: str = "draft"
    warned: bool = False
    expired_at: datetime | None = None
    items: dict[str, int] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def is_open(self, now: datetime) -> bool:
        """Tell whether it can be changed and checked out."""
        return self.fate == "draft" and now < self.made_at + WEEK

    def look(self, now: datetime) -> None:
        """Do what a sweep does."""
        ends_at = self.made_at + WEEK
        if self.fate == "expired" and self.expired_at and now >= self.expired_at + 30 * DAY:
            self.fate = "deleted"
        if self.fate == "draft" and ends_at - DAY <= now < ends_at:
            self.warned = True
        if self.fate == "draft" and now >= ends_at:
            self.fate, self.expired_at = "expired", now


class DraftMachine(RuleBasedStateMachine):
    """A reseller fills and checks out drafts while time passes and sweeps look."""

    chain: Chain

    def __init__(self) -> None:
        """Open an empty database in memory."""
        super().__init__()
        self.database = Database("sqlite://")
        metadata.create_all(self.database.engine)
        self.clock = FixedClock(START)
        self.units = UnitsOfWork(self.database, self.clock)
        self.drafts: dict[str, Draft] = {}
        self.funds_minor = 0

    def teardown(self) -> None:
        """Close the database: Python 3.13 warns of a connection left open."""
        self.database.dispose()

    @initialize()
    def build(self) -> None:
        """Begin with the chain of document 001, whose retailer has money for three pieces."""
        self.chain = build_chain(self.units)
        self.funds_minor = 3 * 13800
        top_up(self.units, self.chain.r, self.funds_minor)

    def attempt(self, call: Callable[[UnitOfWork], Any]) -> tuple[Any, str | None]:
        """Do something and return what came of it; a refusal must leave every row as it was."""
        before = dump(self.database)
        try:
            with self.units.begin(actor="machine") as work:
                return call(work), None
        except TillbellError as refusal:
            assert before == dump(self.database)
            return None, refusal.code

    def pick(self, index: int) -> tuple[str, Draft]:
        """Return one of the drafts, newest first."""
        ids = sorted(self.drafts, reverse=True)
        found = ids[index % len(ids)]
        return found, self.drafts[found]

    def refusal(self, draft: Draft) -> str | None:
        """Return how a change of a draft must be refused."""
        if draft.is_open(self.clock.now()):
            return None
        codes = {"checked_out": "INVALID_STATUS", "deleted": "NOT_FOUND"}
        return codes.get(draft.fate, "DRAFT_EXPIRED")

    @rule(
        number=st.none() | st.sampled_from(["PO-1", "PO-2", "PO-3"]),
        method=st.sampled_from(["cod", "cod", "prepaid"]),
        quantity=st.none() | st.integers(1, 3),
    )
    def create(self, number: str | None, method: str, quantity: int | None) -> None:
        """Make a draft, or repeat one by its number."""
        given: dict[str, Any] = {"account_id": self.chain.r, "payment": {"method": method}}
        if number is not None:
            given["external_order_id"] = number
        if quantity is not None:
            given["items"] = [{"sku": "PROD-001", "quantity": quantity, "unit_price": 155}]
        standing = [
            (draft_id, draft)
            for draft_id, draft in self.drafts.items()
            if number is not None and draft.number == number and draft.fate != "deleted"
        ]
        row, code = self.attempt(lambda work: drafts.create(work, self.chain.r, given))
        for draft_id, draft in standing:
            gone = draft.fate != "checked_out" and not draft.is_open(self.clock.now())
            expected = (None, "ORDER_EXISTS") if draft.given != given else (draft_id, None)
            if draft.given == given and gone:
                expected = (None, "DRAFT_EXPIRED")
            assert expected == (row and row["id"], code)
        if not standing:
            draft = Draft(self.clock.now(), number, given)
            self.drafts[row["id"]] = draft
            self.learn_items(row["id"], draft)

    def learn_items(self, draft_id: str, draft: Draft) -> None:
        """Take the ids of the items into the model."""
        with self.database.read() as connection:
            rows = draft_views.items(connection, draft_id, self.clock.now())
        draft.items = {row["id"]: row["quantity"] for row in rows}

    @precondition(lambda self: self.drafts)
    @rule(index=st.integers(0, 9), quantity=st.integers(0, 2))
    def add_item(self, index: int, quantity: int) -> None:
        """Add an item, sometimes of nothing."""
        draft_id, draft = self.pick(index)
        item = {"sku": "PROD-001", "quantity": quantity, "unit_price": 155}
        row, code = self.attempt(lambda work: drafts.add_item(work, draft_id, item))
        assert (self.refusal(draft) or (None if quantity else "VALIDATION_ERROR")) == code
        if row:
            draft.items[row["id"]] = quantity

    @precondition(lambda self: self.drafts)
    @rule(index=st.integers(0, 9), which=st.integers(0, 5), quantity=st.none() | st.integers(1, 4))
    def change_item(self, index: int, which: int, quantity: int | None) -> None:
        """Change how many pieces of an item, or take it out."""
        draft_id, draft = self.pick(index)
        item_id = sorted(draft.items)[which % len(draft.items)] if draft.items else draft_id
        values = {"quantity": quantity}
        _, code = self.attempt(
            lambda work: (
                drafts.remove_item(work, draft_id, item_id)
                if quantity is None
                else drafts.set_item(work, draft_id, item_id, values)
            )
        )
        assert (self.refusal(draft) or (None if draft.items else "NOT_FOUND")) == code
        if code is None and quantity is None:
            del draft.items[item_id]
        elif code is None and quantity is not None:
            draft.items[item_id] = quantity

    @precondition(lambda self: self.drafts)
    @rule(index=st.integers(0, 9), name=NAMES, value=st.none() | st.integers(0, 9))
    def put_field(self, index: int, name: str, value: int | None) -> None:
        """Set a custom field, or take it away, before checkout or after."""
        draft_id, draft = self.pick(index)
        _, code = self.attempt(lambda work: draft_views.put_fields(work, draft_id, {name: value}))
        assert (None if draft.fate == "checked_out" else self.refusal(draft)) == code
        if code is None:
            draft.fields |= {name: value}
            draft.fields = {key: each for key, each in draft.fields.items() if each is not None}

    @precondition(lambda self: self.drafts)
    @rule(index=st.integers(0, 9))
    def checkout(self, index: int) -> None:
        """Check a draft out, if that can be."""
        draft_id, draft = self.pick(index)
        pieces = sum(draft.items.values())
        cost_minor = 13800 * pieces if draft.given["payment"]["method"] == "prepaid" else 0
        taken = any(
            other is not draft
            and draft.number
            and other.number == draft.number
            and other.fate in {"checked_out", "placed"}
            for other in self.drafts.values()
        )
        _, code = self.attempt(lambda work: drafts.checkout(work, draft_id))
        expected = self.refusal(draft) or (None if pieces else "DRAFT_EMPTY")
        if expected is None and taken:
            expected = "ORDER_EXISTS"
        if expected is None and cost_minor > self.funds_minor:
            expected = "INSUFFICIENT_BALANCE"
        assert expected == code
        if code is None:
            draft.fate = "checked_out"
            self.funds_minor -= cost_minor

    @rule(jump=JUMPS)
    def wait(self, jump: timedelta) -> None:
        """Let time pass."""
        self.clock.advance(jump)

    @precondition(lambda self: self.drafts)
    @rule(
        index=st.integers(0, 9), before=st.sampled_from([DAY, timedelta(microseconds=1), 0 * DAY])
    )
    def wait_for_a_draft(self, index: int, before: timedelta) -> None:
        """Let time pass until a day, a moment, or nothing is left to a draft."""
        moment = self.pick(index)[1].made_at + WEEK - before
        self.clock.set(max(moment, self.clock.now()))

    @rule(dies=st.booleans())
    def sweep(self, *, dies: bool) -> None:
        """Run K21, or a sweep that does not live to its commit."""
        if dies:
            with suppress(ZeroDivisionError), self.units.begin(actor="doomed") as work:
                ids = list(self.drafts)
                draft_expiry.expire(work, ids)
                draft_expiry.warn(work, ids)
                assert 1 / 0
        for row in Runner(self.units).run(["K21"], actor="scheduler", full=False):
            assert row["problem"] is None
        for draft in self.drafts.values():
            draft.look(self.clock.now())

    @invariant()
    def every_draft_is_what_the_model_says(self) -> None:
        """Compare each draft, its items and fields, and the chain orders there are."""
        now = self.clock.now()
        with self.database.read() as connection:
            for draft_id, draft in self.drafts.items():
                visible = draft.is_open(now) or draft.fate == "checked_out"
                if not visible:
                    continue
                shown = draft_views.show(connection, draft_id, now, tenant_id=self.chain.r)
                assert draft.fields == shown["custom_fields"]
                assert draft.items == {each["id"]: each["quantity"] for each in shown["items"]}
                assert shown["stage"] == ("Draft" if draft.fate == "draft" else "Confirmed")
                if draft.fate == "checked_out":
                    assert draft_id == order_rows.get(connection, draft_id)["id"]
            for stage, fate in (("Draft", "draft"), ("Confirmed", "checked_out")):
                listed, total = stages.listing(connection, now, stage=stage, limit=500)
                ids = {
                    draft_id
                    for draft_id, draft in self.drafts.items()
                    if draft.fate == fate and (fate != "draft" or draft.is_open(now))
                }
                assert (ids, len(ids)) == ({row["id"] for row in listed}, total)

    @invariant()
    def everything_was_told_once(self) -> None:
        """One event for each warning, each expiry and each order, and none besides."""
        expected = {
            "draft_order.expiring": [i for i, draft in self.drafts.items() if draft.warned],
            "draft_order.expired": [i for i, draft in self.drafts.items() if draft.expired_at],
            "chain_order.created": [
                i for i, draft in self.drafts.items() if draft.fate == "checked_out"
            ],
        }
        with self.database.read() as connection:
            for name, ids in expected.items():
                key = "chain_order_id" if name.startswith("chain") else "order_id"
                told = [event[key] for event in raised(connection, self.chain.r, name)]
                assert sorted(ids) == sorted(told)


TestDraftMachine = DraftMachine.TestCase
TestDraftMachine.settings = settings(
    max_examples=15, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
