"""Random histories of purchases, fulfilments and sales conserve serials, money and limits."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, rule
from sqlalchemy import select

from engine import (
    commission_payments,
    commissions,
    fulfillments,
    products,
    relationships,
    stock_deliveries,
    stock_items,
    stock_purchases,
    stock_transfers,
    wallets,
)
from engine import stock_transfer_states as states
from engine.accounts import balance, find
from engine.postings import receivable
from engine.program_tables import reseller_purchases
from engine.stock_transfer_tables import stock_items as item_rows
from engine.tables import events
from tests.reseller_history import START_MONEY, ResellerHistory
from tests.reselling import KEYRING, order_of, sweep

WHO = st.sampled_from([None, "merchant", "reseller"])
PIECES = st.sampled_from([1, 1, 2, 3, 0])
INDEX = st.integers(0, 20)
STATUSES = st.sampled_from(["active", "active", "active", "suspended"])
STEPS = ("invoice", "pay", "allocate", "cancel", "external")
HELD = (states.ALLOCATED, states.PARTIALLY_DELIVERED, states.DELIVERED)


class ResellerMachine(ResellerHistory):
    """Anyone does anything in any order: refused, nothing changes; done, nothing is lost."""

    @rule(count=st.integers(1, 4))
    def stock(self, count: int) -> None:
        """Put serials into stock, one of them known."""
        serials = [f"SERIAL-{number:05}" for number in range(self.added - 1, self.added + count)]
        product_id = self.shop.product_id
        done = self.attempt(lambda work: stock_items.add(work, KEYRING, product_id, serials))
        self.added += done["added"]

    @rule(amount=st.integers(-1, 50_000))
    def top_up(self, amount: int) -> None:
        """Let the reseller prepay."""
        if self.attempt(lambda work: wallets.top_up(work, self.shop.reseller, amount)):
            self.topped_up += amount

    @rule(quantity=PIECES, who=WHO, key=st.sampled_from([None, "k-1", "k-2"]))
    def request(self, quantity: int, who: str | None, key: str | None) -> None:
        """Someone wants stock."""
        asked = {"product_id": self.shop.product_id, "quantity": quantity}
        made = self.attempt(
            lambda work: stock_purchases.request(
                work,
                self.shop.relationship,
                asked,
                tenant_id=self.tenant(who),
                idempotency_key=key,
            )
        )
        if made is not None and made["id"] not in self.transfers:
            self.transfers.append(made["id"])

    @rule(index=INDEX, step=st.sampled_from(STEPS), who=WHO)
    def move(self, index: int, step: str, who: str | None) -> None:
        """Someone moves a purchase on, allowed or not."""
        if not self.transfers:
            return
        transfer_id = self.transfers[index % len(self.transfers)]
        call = getattr(stock_purchases, "pay" if step == "external" else step)
        options = {"method": "external", "reference": "b"} if step == "external" else {}
        relationship, tenant_id = self.shop.relationship, self.tenant(who)
        self.attempt(
            lambda work: call(work, relationship, transfer_id, tenant_id=tenant_id, **options)
        )

    @rule(index=INDEX)
    def buy(self, index: int) -> None:
        """Let a purchase go the usual way as far as it can."""
        self.request(1 + index % 2, "reseller", None)
        for step in ("invoice", "pay", "allocate"):
            self.move(len(self.transfers) - 1, step, None)

    @rule(index=INDEX, who=WHO, email=st.sampled_from(["a@b.example", "c@d.example", "nobody"]))
    def deliver(self, index: int, who: str | None, email: str) -> None:
        """Someone delivers an item, whatever its state."""
        with self.database.read() as connection:
            items = stock_items.listing(connection, {"id": self.shop.relationship})
        if items:
            given = (self.shop.relationship, items[index % len(items)]["id"], email)
            tenant_id = self.tenant(who)
            self.attempt(lambda work: stock_deliveries.deliver(work, *given, tenant_id=tenant_id))

    @rule(
        number=st.sampled_from(["o-1", "o-1", "o-2", "o-3", None]),
        key=st.sampled_from([None, None, None, "k-1", "k-2"]),
        quantity=PIECES,
        who=WHO,
    )
    def fulfil(self, number: str | None, key: str | None, quantity: int, who: str | None) -> None:
        """Let a shop's order come, perhaps again, perhaps with another body."""
        asked = order_of(self.shop, external_order_id=number, quantity=quantity)
        self.attempt(
            lambda work: fulfillments.create(
                work,
                self.shop.relationship,
                asked,
                tenant_id=self.tenant(who),
                idempotency_key=key,
            )
        )

    @rule(number=st.sampled_from(["o-1", "o-1", "o-2", "o-9"]), who=WHO)
    def refund(self, number: str, who: str | None) -> None:
        """Someone refunds a fulfilment, perhaps again."""
        relationship, tenant_id = self.shop.relationship, self.tenant(who)
        self.attempt(
            lambda work: fulfillments.refund(
                work, relationship, number, reason="r", tenant_id=tenant_id
            )
        )

    @rule(number=st.integers(1, 4), amount=st.integers(-1, 20_000), back=st.booleans())
    def sell(self, number: int, amount: int, *, back: bool) -> None:
        """Tell of a sale, or take it back."""
        relationship, name = self.shop.relationship, f"s-{number}"
        sale = {"product_id": self.shop.product_id, "amount": amount / 100}
        if back:
            self.attempt(lambda work: commissions.refund_sale(work, relationship, name, reason="r"))
        else:
            asked = {"sale_reference": name, **sale}
            self.attempt(lambda work: commissions.record_sale(work, relationship, asked))

    @rule(number=st.integers(5, 8), steps=st.integers(1, 3))
    def earn(self, number: int, steps: int) -> None:
        """Let a sale go the usual way: told of, paid for, and perhaps taken back after that."""
        self.sell(number, 10_000, back=False)
        if steps > 1:
            self.pay_commissions(None)
        if steps > 2:
            self.sell(number, 10_000, back=True)

    @rule(who=WHO)
    def pay_commissions(self, who: str | None) -> None:
        """Pay what is due, perhaps nothing, perhaps from an empty wallet."""
        relationship, tenant_id = self.shop.relationship, self.tenant(who)
        paid = self.attempt(
            lambda work: commission_payments.pay(work, relationship, tenant_id=tenant_id)
        )
        self.paid_out += paid["amount_minor"] if paid else 0

    @rule(
        status=st.sampled_from(["active"] * 4 + ["suspended"]), most=st.none() | st.integers(2, 30)
    )
    def change(self, status: str, most: int | None) -> None:
        """Suspend or resume the reseller, and limit the product."""
        access = [{"product_id": self.shop.product_id, "max_quantity": most}]
        terms = {"status": status, "product_access": access}
        self.attempt(lambda work: relationships.update(work, self.shop.relationship, terms))

    @rule(hours=st.sampled_from([1, 12, 24, 100, 168]))
    def wait(self, hours: int) -> None:
        """Time passes, and the sweep closes what was not paid."""
        self.clock.advance(timedelta(hours=hours))
        self.attempt(sweep)

    @invariant()
    def every_serial_is_in_one_place(self) -> None:
        """Find each serial once, and of each owner as many as it bought."""
        with self.database.read() as connection:
            items = connection.execute(select(item_rows)).all()
            bound = {"id": self.shop.relationship}
            transfers = stock_transfers.listing(connection, bound)
            sold = fulfillments.listing(connection, bound)
            product = products.get(connection, self.shop.product_id)
        assert self.added == len(items) == len({row.digest for row in items})
        free = [row for row in items if row.status == stock_items.AVAILABLE]
        assert len(free) == product["stock_quantity"]
        mine: Counter[tuple[Any, str]] = Counter(
            (row.transfer_id or row.fulfillment_id, row.status) for row in items
        )
        for row in transfers:
            held = row["quantity"] if row["status"] in HELD else 0
            delivered = mine[row["id"], stock_items.DELIVERED]
            assert held == mine[row["id"], stock_items.ALLOCATED] + delivered
            assert row["delivered_quantity"] == delivered
            assert (row["status"] == states.DELIVERED) == (0 < held == delivered)
        for row in sold:
            status = "revoked" if row["status"] == fulfillments.REFUNDED else "delivered"
            assert row["quantity"] == mine[row["id"], status]
        owned = sum(row["quantity"] for row in transfers if row["status"] in HELD)
        assert len(items) - len(free) == owned + sum(row["quantity"] for row in sold)

    @invariant()
    def money_is_conserved(self) -> None:
        """Find in both wallets what was put in, and paid for what was bought."""
        with self.database.read() as connection:
            bound = {"id": self.shop.relationship}
            transfers = stock_transfers.listing(connection, bound)
            sold = fulfillments.listing(connection, bound, status=fulfillments.DELIVERED)
            held = {
                tenant: wallets.show(connection, tenant)["balance_minor"]
                for tenant in (self.shop.merchant, self.shop.reseller)
            }
            sales = commissions.listing(connection, bound)
            due = (self.shop.reseller, receivable(self.shop.merchant))
            back = (self.shop.merchant, receivable(self.shop.reseller))
            owed = find(connection, [due, back], "INR")
            shown = commission_payments.owed(connection, self.shop.relationship)
        paid: Counter[str] = Counter()
        for row in transfers:
            if row["paid_at"] is not None:
                paid[row["payment_method"]] += row["total_minor"]
        spent = paid["prepaid"] + sum(row["cost_minor"] for row in sold)
        assert self.topped_up + self.paid_out - spent == held[self.shop.reseller]
        assert START_MONEY + spent + paid["external"] - self.paid_out == held[self.shop.merchant]
        earned = sum(row["commission_minor"] for row in sales if row["status"] != "refunded")
        mine = [balance(owed[key]) if key in owed else 0 for key in (due, back)]
        assert [shown["due_minor"], shown["back_minor"]] == mine
        assert earned == self.paid_out + mine[0] - mine[1]

    @invariant()
    def limits_count_what_is_bought(self) -> None:
        """Find the counters equal to the purchases that stand."""
        with self.database.read() as connection:
            bound = {"id": self.shop.relationship}
            standing = [
                row
                for row in stock_transfers.listing(connection, bound)
                if row["status"] not in {states.CANCELLED, states.EXPIRED}
            ]
            standing += fulfillments.listing(connection, bound, status=fulfillments.DELIVERED)
            row = relationships.get(connection, self.shop.relationship)
            bought = connection.execute(select(reseller_purchases.c.quantity)).scalar() or 0
        assert bought == sum(each["quantity"] for each in standing)
        today = [r["quantity"] for r in standing if r["created_at"].date() == row["purchased_on"]]
        assert row["purchased_quantity"] == sum(today)
        assert row["purchase_limit_daily"] is None or sum(today) <= row["purchase_limit_daily"]

    @invariant()
    def both_sides_heard_the_same(self) -> None:
        """Find every event once with each side, and a serial in none."""
        with self.database.read() as connection:
            rows = connection.execute(select(events)).all()
        heard: dict[str, Counter[tuple[str, str, int]]] = {}
        for row in rows:
            assert b"SERIAL" not in row.body
            if "role" in orjson.loads(row.body)["data"]:
                told = heard.setdefault(row.tenant_id, Counter())
                told[row.type, row.subject_id, row.sequence] += 1
        merchant = heard[self.shop.merchant]
        assert merchant == heard[self.shop.reseller]
        assert {1} == set(merchant.values())
        for transfer_id in self.transfers:
            mine = sorted(key[2] for key in merchant if key[1] == transfer_id)
            assert list(range(1, len(mine) + 1)) == mine


TestResellerMachine = ResellerMachine.TestCase
TestResellerMachine.settings = settings(
    max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
