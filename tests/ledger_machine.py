"""Random histories of the ledger beside a model: refused, nothing changes; done, they agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from engine import (
    fees,
    ledger,
    ledger_checks,
    ledger_verification,
    postings,
    wallets,
)
from engine.database import Database
from engine.ids import new_id
from engine.ledger_tables import ledger_accounts, ledger_transactions
from engine.money import AMOUNT_MINOR_MAX
from engine.postings import Entry, Posting
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, dump
from tests.conftest import START
from tests.ledger_model import Account, Ledger, RefusedError

TENANTS = st.sampled_from("sdr")
#: What people type: mostly plain, sometimes nothing, less, or as much as there can be.
AMOUNTS = st.one_of(
    st.integers(1, 20_000),
    st.sampled_from([0, -1, AMOUNT_MINOR_MAX, AMOUNT_MINOR_MAX + 1]),
)


class LedgerMachine(RuleBasedStateMachine):
    """Anyone posts, sets aside, reverses, corrects and freezes, in any order."""

    #: How many histories and steps were tried in this process.
    histories = 0
    steps = 0

    def __init__(self, database: Database) -> None:
        """Begin on an empty database."""
        super().__init__()
        self.database = database
        self.units = UnitsOfWork(database, FixedClock(START))
        self.model = Ledger()
        self.owed: list[dict[str, Any]] = []
        self.number = 0
        type(self).histories += 1

    @initialize()
    def build(self) -> None:
        """Begin with the chain of document 001 and a little money."""
        self.chain = build_chain(self.units)
        for tenant in "sdr":
            self.top_up(tenant, 10_000)

    def id_of(self, tenant: str) -> str:
        """Return the id of ``s``, ``d`` or ``r``."""
        return str(getattr(self.chain, tenant))

    def attempt(
        self,
        call: Callable[[UnitOfWork], Any],
        expect: Callable[[], None],
        *,
        actor: str = "machine",
    ) -> Any:
        """Do something that the model does or refuses too; a refusal must change no row (L6)."""
        type(self).steps += 1
        try:
            expect()
            code = None
        except RefusedError as refusal:
            code = str(refusal)
        before, found, refused = dump(self.database), None, None
        try:
            with self.units.begin(actor=actor) as work:
                found = call(work)
        except TillbellError as error:
            refused = error.code
        assert code == refused
        assert refused is None or before == dump(self.database)
        return found

    def wallet_call(
        self, call: Callable[[UnitOfWork], Any], entries: Any, amount: int, spent_by: str | None
    ) -> None:
        """Attempt what changes one wallet by posting ``entries``."""

        def expect() -> None:
            require(0 < amount <= AMOUNT_MINOR_MAX, "INVALID_AMOUNT")
            self.model.check(entries, spent_by=spent_by)

        if self.attempt(call, expect) is not None:
            self.model.post(new_id(), entries)
            self.name_newest()

    def name_newest(self) -> None:
        """Give the newest transaction of the model the id that the ledger gave it."""
        with self.database.read() as connection:
            newest = connection.execute(
                select(ledger_transactions.c.id).order_by(ledger_transactions.c.id.desc()).limit(1)
            ).scalar_one()
        self.model.transactions[newest] = self.model.transactions.popitem()[1]

    @rule(tenant=TENANTS, amount=AMOUNTS)
    def top_up(self, tenant: str, amount: int) -> None:
        """Someone adds money, or tries to add none or too much."""
        tenant_id = self.id_of(tenant)
        self.wallet_call(
            lambda work: wallets.top_up(work, tenant_id, amount),
            postings.top_up(tenant_id, amount),
            amount,
            None,
        )

    @rule(tenant=TENANTS, amount=AMOUNTS)
    def fee(self, tenant: str, amount: int) -> None:
        """Charge someone, who may not have it."""
        tenant_id = self.id_of(tenant)
        self.wallet_call(
            lambda work: fees.charge(work, tenant_id, amount, reason="fee"),
            postings.fee(tenant_id, amount),
            amount,
            tenant_id,
        )

    def posting(self, **facts: Any) -> Posting:
        """Return a posting with a key of its own."""
        self.number += 1
        key = f"machine:{self.number}"
        names: dict[str, Any] = {"kind": "test", "reference_type": "test", "currency": "INR"}
        return Posting(**names | {"reference_id": key, "idempotency_key": key} | facts)

    @rule(
        wrong=st.sampled_from(
            [
                ("BOOKS_DO_NOT_BALANCE", "r", "goods", "INR", 2),
                ("UNKNOWN_ACCOUNT", "r", "godds", "INR", 1),
                ("UNKNOWN_ACCOUNT", "nobody", "goods", "INR", 1),
                ("VALIDATION_ERROR", "r", "refunds", "USD", 1),
                ("VALIDATION_ERROR", "r", "goods", "rupee", 1),
                ("INVALID_AMOUNT", "r", "goods", "INR", AMOUNT_MINOR_MAX + 1),
            ]
        )
    )
    def err(self, wrong: tuple[str, str, str, str, int]) -> None:
        """Someone posts what cannot be posted."""
        code, tenant, account, currency, amount = wrong
        book = new_id() if tenant == "nobody" else self.id_of(tenant)
        credit = 1 if code == "BOOKS_DO_NOT_BALANCE" else amount
        entries = (Entry(book, account, amount), Entry(book, "sales", -credit))
        posting = self.posting(currency=currency, entries=entries)
        self.attempt(lambda work: ledger.post(work, posting), lambda: require(False, code))

    @invariant()
    def the_books_agree_with_the_model(self) -> None:
        """Verify L1 to L4 by the checks, every counter of every account by the model."""
        with self.database.read() as connection:
            assert [] == ledger_checks.verify(connection)
            rows = connection.execute(select(ledger_accounts)).mappings().all()
        found = {
            (row["book"], row["code"]): Account(
                row["posted_debits"],
                row["posted_credits"],
                row["pending_debits"],
                row["pending_credits"],
                row["frozen"],
            )
            for row in rows
        }
        assert self.model.accounts == found

    @invariant()
    def a_routine_look_finds_nothing(self) -> None:
        """Verify what is new since the last step, and what was remembered of it."""
        assert [] == ledger_verification.verify(self.database, START).findings


def require(met: bool, code: str) -> None:  # noqa: FBT001  # a condition
    """Raise RefusedError with the code unless the condition is met."""
    if not met:
        raise RefusedError(code)
