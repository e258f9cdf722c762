"""A chain of eight levels, as deep as they go, whose prices rise and fall on the way down."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from engine import orders, pricing, products, remittances, tenants, wallets
from engine.tenants import LEVELS_MAX
from engine.unit_of_work import UnitOfWork, UnitsOfWork

#: Far apart, so that the same local day ends at very different instants.
ZONES = ("UTC", "Asia/Kolkata", "Pacific/Kiritimati", "America/New_York", "Pacific/Pago_Pago")
CREDIT_MINOR = 10**12


@dataclass(frozen=True, slots=True)
class Route:
    """Which levels of the chain an order meets, counted from 0 at the top."""

    origin: int
    supplier: int
    collector: int


@dataclass(slots=True)
class DeepChain:
    """Tenants from the top down; the goods are the top's own."""

    units: UnitsOfWork
    tenants: list[str]
    product_id: str
    orders: list[str] = field(default_factory=list)

    def place(self, work: UnitOfWork, route: Route, *, quantity: int, price_minor: int) -> str:
        """Place a cash on delivery order of ``route.origin`` and return its id."""
        row = orders.place(
            work,
            self.tenants[route.origin],
            {
                "origin_order_number": f"N{len(self.orders)}",
                "customer": {"name": "Asha"},
                "shipping_address": {"city": "Pune"},
                "items": [
                    {
                        "product_id": self.product_id,
                        "quantity": quantity,
                        "unit_price": f"{price_minor / 100:.2f}",
                    }
                ],
                "payment": {"method": "cod", "collector": self.tenants[route.collector]},
            },
        )
        self.orders.append(row["id"])
        return str(row["id"])

    def ship(self, work: UnitOfWork, order_id: str, route: Route) -> None:
        """Take an order up to its supplier and on its way to the customer."""
        for _ in range(route.origin - route.supplier):
            orders.forward(work, order_id)
        orders.accept(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")

    def deliver(self, order_id: str, route: Route, *, collected_minor: int | None = None) -> None:
        """Take an order to its customer."""
        with self.units.begin(actor="test") as work:
            self.ship(work, order_id, route)
            orders.deliver(work, order_id, collected_minor=collected_minor)

    def pay(self, order_id: str) -> None:
        """Pay every remittance of an order that is pending."""
        with self.units.begin(actor="test") as work:
            for row in remittances.listing(work.connection, order_id=order_id, status="pending"):
                remittances.process(work, row["id"])


def build_deep_chain(units: UnitsOfWork, seed: int) -> DeepChain:
    """Create eight tenants with credit and a product whose markups go from -40 % to 60 %."""
    chance = random.Random(seed)  # noqa: S311  # prices, not secrets
    ids: list[str] = []
    with units.begin(actor="test") as work:
        for level in range(LEVELS_MAX):
            made = tenants.create(
                work,
                name=f"Level {level}",
                parent_id=ids[-1] if ids else None,
                timezone=chance.choice(ZONES),
            )
            ids.append(made["id"])
            wallets.set_credit_limit(work, made["id"], CREDIT_MINOR)
        fields: dict[str, Any] = {
            "sku": "DEEP",
            "name": "Deep",
            "base_cost": chance.randint(1, 500),
            "minimum_margin_percent": -50,
            "track_inventory": False,
        }
        product = products.create(work, ids[0], fields)
        for tenant_id in ids[1:]:
            pricing.set_margin(work, product["id"], tenant_id, chance.randint(-40, 60))
    return DeepChain(units, ids, product["id"])


def all_routes() -> Iterator[Route]:
    """Yield every supplier at or above every origin, with every collector between them: 120."""
    for origin in range(LEVELS_MAX):
        for supplier in range(origin + 1):
            for collector in range(supplier, origin + 1):
                yield Route(origin, supplier, collector)
