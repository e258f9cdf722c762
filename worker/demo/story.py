"""What happens in the demo: a chain of tenants, its products, and every order walked to its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from engine import orders, pricing, products, remittance_views, remittances, tenants, wallets
from engine.money import parse_amount
from engine.unit_of_work import UnitOfWork, UnitsOfWork

ACTOR = "demo"
#: Steps of this many orders share a transaction.
ORDERS_PER_TRANSACTION = 10


@dataclass(frozen=True, slots=True)
class Script:
    """The input: ``chain.json`` and the orders, one per line of ``orders.jsonl``."""

    chain: dict[str, Any]
    orders: list[dict[str, Any]]


@dataclass(slots=True)
class Cast:
    """Who and what the demo made: ids by the names of the script."""

    tenants: dict[str, str] = field(default_factory=dict)
    products: dict[str, str] = field(default_factory=dict)


def read_script(folder: Path) -> Script:
    """Read the demo's input; decimals stay exact."""
    chain = json.loads((folder / "chain.json").read_text(), parse_float=Decimal)
    lines = (folder / "orders.jsonl").read_text().splitlines()
    return Script(chain, [json.loads(line, parse_float=Decimal) for line in lines if line])


class Story:
    """Plays a script on one installation, every step in its own transaction."""

    def __init__(self, units: UnitsOfWork, script: Script) -> None:
        self._units = units
        self._script = script
        self.cast = Cast()

    def set_the_stage(self) -> None:
        """Create the tenants, their products, margins and wallets."""
        for given in self._script.chain["tenants"]:
            parent = self.cast.tenants.get(given.get("parent"))
            with self._units.begin(actor=ACTOR) as work:
                row = tenants.create(
                    work,
                    name=given["name"],
                    parent_id=parent,
                    currency=given.get("currency"),
                    timezone=given["timezone"],
                )
            self.cast.tenants[given["key"]] = row["id"]
        for product in self._script.chain["products"]:
            self._stock(product)
        for given in self._script.chain["wallets"]:
            self._fund(given)

    def play(self) -> Iterator[int]:
        """Walk every order to its end, some at a time, yielding how many; prices change between."""
        changes = {each["before_order"]: each for each in self._script.chain["price_changes"]}
        batch: list[dict[str, Any]] = []
        for order in self._script.orders:
            change = changes.get(order["origin_order_number"])
            if batch and (change or len(batch) == ORDERS_PER_TRANSACTION):
                yield self._walk(batch)
                batch = []
            if change:
                self._change_product(change)
            batch.append(order)
        yield self._walk(batch)

    def pay(self, count: int) -> int:
        """Let the retailer pay its first ``count`` remittances and return how many it could."""
        retailer = self.cast.tenants["retailer"]
        with self._units.database.read() as connection:
            owed = remittance_views.pending(connection, retailer)["to_pay"][:count]
        needed = sum(row["amount_minor"] for row in owed)
        self._do(lambda work: wallets.top_up(work, retailer, needed, reference="demo-settlement"))
        for row in owed:
            with self._units.begin(actor=ACTOR) as work:
                remittances.process(work, row["id"])
        return len(owed)

    def _walk(self, batch: Sequence[dict[str, Any]]) -> int:
        """Take some orders through every step, each step of all of them in one transaction."""
        retailer, refused = self.cast.tenants["retailer"], self._script.chain["cancelled_orders"]
        with self._units.begin(actor=ACTOR) as work:
            placed = [orders.place(work, retailer, order) for order in batch]
        cancelled = [row for row in placed if row["origin_order_number"] in refused]
        kept = [row for row in placed if row["origin_order_number"] not in refused]
        self._each(orders.forward, placed)
        self._each(orders.forward, placed)
        self._each(partial(orders.cancel, reason="Customer requested cancellation"), cancelled)
        self._each(orders.accept, kept)
        self._each(orders.process, kept)
        self._each(partial(orders.ship, tracking_number="DEL123456789", carrier="delhivery"), kept)
        self._each(orders.deliver, kept)
        return len(batch)

    def _each(self, step: Callable[..., Any], rows: Sequence[dict[str, Any]]) -> None:
        with self._units.begin(actor=ACTOR) as work:
            for row in rows:
                step(work, row["id"])

    def _stock(self, product: dict[str, Any]) -> None:
        platform = self.cast.tenants["platform"]
        row = self._do(lambda work: products.create(work, platform, product))
        self.cast.products[product["sku"]] = row["id"]
        for margin in self._script.chain["margins"]:
            child = self.cast.tenants[margin["child"]]
            with self._units.begin(actor=ACTOR) as work:
                pricing.set_margin(work, row["id"], child, margin["margin_percent"])

    def _fund(self, given: dict[str, Any]) -> None:
        tenant_id = self.cast.tenants[given["tenant"]]
        currency = self._script.chain["tenants"][0]["currency"]
        amount = parse_amount(given["top_up"], currency)
        threshold = parse_amount(given["low_threshold"], currency)
        self._do(lambda work: wallets.top_up(work, tenant_id, amount, reference="demo-opening"))
        self._do(lambda work: wallets.set_threshold(work, tenant_id, threshold))

    def _change_product(self, change: dict[str, Any]) -> None:
        product_id = self.cast.products[change["sku"]]
        values = {k: v for k, v in change.items() if k not in {"before_order", "sku"}}
        self._do(lambda work: products.update(work, product_id, values))

    def _do(self, step: Callable[[UnitOfWork], Any]) -> Any:
        with self._units.begin(actor=ACTOR) as work:
            return step(work)
