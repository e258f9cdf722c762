"""Three levels that trade: orders whose debts have the amounts a test asks for."""

from __future__ import annotations

from dataclasses import dataclass

from engine import orders, pricing, products, remittances, tenants, wallets
from engine.unit_of_work import UnitsOfWork
from tests.chains import accept_at_top, order_of


@dataclass(slots=True)
class Trade:
    """Three levels of which the middle one's figures are looked at."""

    units: UnitsOfWork
    s: str
    d: str
    r: str
    count: int = 0

    def sell(self, *, cost: int, price: int, collector: str = "origin") -> str:
        """Deliver an order the distributor buys for ``cost`` and sells for ``price`` rupees."""
        self.count += 1
        sku = f"SKU-{self.count}"
        with self.units.begin(actor="test") as work:
            fields = {"sku": sku, "name": sku, "base_cost": cost, "stock_quantity": 9}
            product = products.create(work, self.s, fields)
            pricing.set_margin(work, product["id"], self.d, 0)
            percent = f"{(price - cost) * 100 / cost:.4f}"
            pricing.set_margin(work, product["id"], self.r, percent)
            items = [{"sku": sku, "quantity": 1, "unit_price": price + 1000}]
            asked = order_of(
                f"N{self.count}", items=items, payment={"method": "cod", "collector": collector}
            )
            order_id: str = orders.place(work, self.r, asked)["id"]
            accept_at_top(work, order_id)
            orders.ship(work, order_id, tracking_number="T", carrier="c")
            orders.deliver(work, order_id)
        return order_id

    def pay(self, order_id: str) -> None:
        """Pay what an order made them owe."""
        with self.units.begin(actor="test") as work:
            for row in remittances.listing(work.connection, order_id=order_id, status="pending"):
                remittances.process(work, row["id"])


def build_trade(units: UnitsOfWork) -> Trade:
    """Create a platform, its distributor and its retailer, all with credit."""
    with units.begin(actor="test") as work:
        s = tenants.create(work, name="Super Admin")["id"]
        d = tenants.create(work, name="Distributor ABC", parent_id=s)["id"]
        r = tenants.create(work, name="Retailer XYZ", parent_id=d)["id"]
        for tenant_id in (s, d, r):
            wallets.set_credit_limit(work, tenant_id, 10**10)
    return Trade(units, s, d, r)
