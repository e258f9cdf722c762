"""What the ledger machine does besides topping up: hold, reverse, correct, freeze, settle."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import rule

from engine import (
    account_freezes,
    adjustments,
    ledger,
    orders,
    postings,
    remittances,
    reversals,
    write_offs,
)
from engine.ids import new_id
from engine.money import AMOUNT_MINOR_MAX
from engine.postings import Close, Entry, Hold, Level
from engine.unit_of_work import UnitOfWork
from tests.chains import accept_at_top, order_of
from tests.ledger_machine import AMOUNTS, TENANTS, LedgerMachine, require
from tests.ledger_model import Held

INDEX = st.integers(0, 30)
PERSONS = st.sampled_from("ab")


class LedgerHistories(LedgerMachine):
    """Anyone posts, sets aside, reverses, corrects and freezes, in any order."""

    @rule(pair=st.permutations("sdr"), amount=st.integers(1, 10**12), paid=st.booleans())
    def owe_or_pay(self, pair: list[str], amount: int, *, paid: bool) -> None:
        """One buys from another on credit, or pays one from its wallet."""
        payer, payee = self.id_of(pair[0]), self.id_of(pair[1])
        bought = (
            Entry(payer, "goods", amount),
            Entry(payer, f"pay>{payee}", -amount),
            Entry(payee, f"recv<{payer}", amount),
            Entry(payee, "sales", -amount),
        )
        entries = postings.remittance_processed(payer, payee, amount) if paid else bought
        paid_by = payer if paid else None
        posting = self.posting(entries=entries, paid_by=paid_by)
        done = self.attempt(
            lambda work: ledger.post(work, posting),
            lambda: self.model.check(entries, paid_by=paid_by),
        )
        if done is not None:
            self.model.post(done["id"], entries)

    @rule(tenant=TENANTS, amount=st.integers(-1, 20_000))
    def hold(self, tenant: str, amount: int) -> None:
        """Someone sets money aside that it may not have."""
        tenant_id, reference = self.id_of(tenant), new_id()
        held = Held(tenant_id, amount)
        hold = Hold(
            payer_id=tenant_id,
            amount_minor=amount,
            kind="discretionary",
            reason="manual",
            reference_id=reference,
        )

        def expect() -> None:
            require(amount >= 0, "INVALID_AMOUNT")
            self.model.check((), [held])

        posting = self.posting(opens=(hold,))
        done = self.attempt(lambda work: ledger.post(work, posting), expect)
        if done is not None:
            self.model.post(done["id"], (), {reference: held})

    @rule(index=INDEX, percent=st.sampled_from([0, 50, 100, 101]))
    def close(self, index: int, percent: int) -> None:
        """Someone captures all, part or too much of what was set aside, or frees it again."""
        manual = [key for key, held in self.model.holds.items() if held.discretionary]
        if not manual:
            return
        reference = manual[index % len(manual)]
        held = self.model.holds[reference]
        amount = -(-held.amount_minor * percent // 100)
        entries = postings.fee(held.payer_id, amount)
        status = "captured" if percent else "released"

        def expect() -> None:
            require(held.open, "NOT_FOUND")
            require(amount <= held.amount_minor, "INVALID_AMOUNT")
            self.model.check(entries, closes=[held])

        close = Close(reason="manual", reference_id=reference, status=status)
        posting = self.posting(entries=entries, closes=(close,))
        done = self.attempt(lambda work: ledger.post(work, posting), expect)
        if done is not None:
            self.model.post(done["id"], entries, closes=[held])

    @rule(index=INDEX)
    def reverse(self, index: int) -> None:
        """Someone reverses any transaction, reversed before or not."""
        ids = list(self.model.transactions)
        transaction_id = ids[index % len(ids)]
        entries = postings.reversal(self.model.transactions[transaction_id])
        closes = self.model.opened_by(transaction_id)

        def expect() -> None:
            require(transaction_id not in self.model.reversed, "ALREADY_REVERSED")
            self.model.check(entries, closes=closes)

        done = self.attempt(
            lambda work: reversals.reverse(work, transaction_id, reason="error"), expect
        )
        if done is not None:
            self.model.post(done["id"], entries, closes=closes)
            self.model.reversed.add(transaction_id)

    @rule(
        tenant=TENANTS, amount=AMOUNTS, sign=st.sampled_from([1, -1]), actor=st.sampled_from("ab")
    )
    def adjust(self, tenant: str, amount: int, sign: int, actor: str) -> None:
        """Person ``a`` asks for a correction, and ``a`` or ``b`` approves it."""
        tenant_id, signed = self.id_of(tenant), sign * amount
        entries = postings.adjusted(tenant_id, signed)

        def valid() -> None:
            require(signed != 0 and abs(signed) <= AMOUNT_MINOR_MAX, "INVALID_AMOUNT")

        def approvable() -> None:
            require(actor != "a", "SECOND_PERSON_REQUIRED")
            self.model.check(entries)

        asked = self.attempt(
            lambda work: adjustments.request(work, tenant_id, signed, reason="x"),
            valid,
            actor="a",
        )
        if asked is None:
            return
        done = self.attempt(
            lambda work: adjustments.approve(work, asked["id"]), approvable, actor=actor
        )
        if done is not None:
            self.model.post(done["transaction_id"], entries)

    @rule(index=INDEX, frozen=st.booleans())
    def freeze(self, index: int, *, frozen: bool) -> None:
        """Someone freezes or unfreezes an account, which may be so already."""
        keys = list(self.model.accounts)
        book, code = keys[index % len(keys)]
        account = self.model.accounts[book, code]
        change = account_freezes.freeze if frozen else account_freezes.unfreeze
        done = self.attempt(
            lambda work: change(work, f"{book}/{code}/INR", reason="looked at"),
            lambda: require(account.frozen is not frozen, "INVALID_STATUS"),
        )
        if done is not None:
            account.frozen = frozen

    @rule()
    def thaw(self) -> None:
        """Someone unfreezes everything, so that histories go on."""
        for (book, code), account in self.model.accounts.items():
            if account.frozen:
                with self.units.begin(actor="machine") as work:
                    account_freezes.unfreeze(work, f"{book}/{code}/INR", reason="on we go")
                account.frozen = False

    @rule()
    def deliver(self) -> None:
        """Place and deliver an order: R owes D 138.00, D owes S 120.00."""
        chain = self.chain
        levels = (Level(chain.s, 10000), Level(chain.d, 12000), Level(chain.r, 13800))
        entries = postings.cod_delivered(levels, 15500, 2)
        owed = [
            Held(chain.r, 13800, payee_id=chain.d, discretionary=False),
            Held(chain.d, 12000, payee_id=chain.s, discretionary=False),
        ]
        self.number += 1
        number = f"N{self.number}"

        def call(work: UnitOfWork) -> str:
            order_id = str(orders.place(work, chain.r, order_of(number))["id"])
            accept_at_top(work, order_id)
            orders.ship(work, order_id, tracking_number="T", carrier="c")
            orders.deliver(work, order_id)
            return order_id

        order_id = self.attempt(call, lambda: self.model.check(entries, owed))
        if order_id is None:
            return
        with self.database.read() as connection:
            rows = remittances.listing(connection, order_id=order_id)
        held = {row["id"]: next(h for h in owed if h.payer_id == row["payer_id"]) for row in rows}
        self.model.post(new_id(), entries, held)
        self.name_newest()
        for each in held.values():
            each.opened_by = list(self.model.transactions)[-1]
        self.owed += rows

    @rule(index=INDEX, paid=st.booleans())
    def settle(self, index: int, *, paid: bool) -> None:
        """Someone pays a remittance or writes it off, whatever became of it before."""
        if not self.owed:
            return
        row = self.owed[index % len(self.owed)]
        held = self.model.holds[row["id"]]
        parties = (row["payer_id"], row["payee_id"], row["amount_minor"])
        build = postings.remittance_processed if paid else postings.written_off
        entries = build(*parties)
        paid_by = row["payer_id"] if paid else None

        def expect() -> None:
            require(row["status"] == "pending", "INVALID_STATUS")
            # A reversal of the delivery freed what was set aside for it.
            require(held.open, "NOT_FOUND")
            self.model.check(entries, closes=[held], paid_by=paid_by)

        def call(work: UnitOfWork) -> Any:
            if paid:
                return remittances.process(work, row["id"])["remittance"]
            return write_offs.write_off(work, row["id"], reason="lost")

        done = self.attempt(call, expect)
        if done is not None:
            row["status"] = done["status"]
            self.model.post(done["transaction_id"] or done["write_off_id"], entries, closes=[held])
