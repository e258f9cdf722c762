"""The chain of document 001: S sells at 120 to D, D at 138 to R, R at 155 to a customer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import Connection, select, text

from engine import orders, pricing, products, tenants, wallets
from engine.database import Database, DatabaseClock, metadata
from engine.product_expander import ProductExpander
from engine.tables import events
from engine.unit_of_work import UnitOfWork, UnitsOfWork


@dataclass(frozen=True, slots=True)
class Chain:
    """Three tenants and the product they sell."""

    s: str
    d: str
    r: str
    product_id: str


def build_chain(units: UnitsOfWork, *, timezone: str = "UTC", stock: int = 500) -> Chain:
    """Create the tenants, the product and its margins of 20 % and 15 %."""
    with units.begin(actor="test") as work:
        s = tenants.create(work, name="Super Admin", timezone=timezone)["id"]
        d = tenants.create(work, name="Distributor ABC", parent_id=s, timezone=timezone)["id"]
        r = tenants.create(work, name="Retailer XYZ", parent_id=d, timezone=timezone)["id"]
        product = products.create(
            work,
            s,
            {"sku": "PROD-001", "name": "Product", "base_cost": 100, "stock_quantity": stock},
        )
        pricing.set_margin(work, product["id"], d, 20)
        pricing.set_margin(work, product["id"], r, 15)
    return Chain(s, d, r, product["id"])


def order_of(number: str = "ORD-1", **changes: Any) -> dict[str, Any]:
    """Return an order for one piece at 155.00, cash on delivery, as document 001 would send it."""
    return {
        "origin_order_number": number,
        "customer": {"name": "Asha", "phone": "+91 1"},
        "shipping_address": {"line1": "1 Road", "city": "Pune"},
        "items": [{"sku": "PROD-001", "quantity": 1, "unit_price": 155.00}],
        "payment": {"method": "cod"},
        **changes,
    }


def place(units: UnitsOfWork, chain: Chain, **changes: Any) -> str:
    """Place an order of R and return its id."""
    with units.begin(actor="test") as work:
        return str(orders.place(work, chain.r, order_of(**changes))["id"])


def accept_at_top(work: UnitOfWork, order_id: str, hops: int = 2) -> None:
    """Forward an order ``hops`` times and accept it there."""
    for _ in range(hops):
        orders.forward(work, order_id)
    orders.accept(work, order_id)


def deliver(units: UnitsOfWork, order_id: str, *, hops: int = 2) -> dict[str, Any]:
    """Take an order from its placing to its delivery, ``hops`` levels up."""
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id, hops)
        orders.ship(work, order_id, tracking_number="T1", carrier="delhivery")
        return orders.deliver(work, order_id)


def top_up(units: UnitsOfWork, tenant_id: str, amount_minor: int) -> dict[str, Any]:
    """Put money into a wallet."""
    with units.begin(actor="test") as work:
        return wallets.top_up(work, tenant_id, amount_minor)


def tell_products(units: UnitsOfWork) -> None:
    """Tell what changed of products at once, without the window that usually gathers more."""
    clock = units.clock or DatabaseClock(units.database)
    ProductExpander(units, clock, window=timedelta()).run_until_idle()


def raised(connection: Connection, tenant_id: str, type_name: str) -> list[dict[str, Any]]:
    """Return the ``data`` of a tenant's events of one type, oldest first."""
    query = select(events.c.body).where(events.c.tenant_id == tenant_id, events.c.type == type_name)
    bodies = connection.execute(query.order_by(events.c.occurred_at, events.c.id)).scalars()
    return [orjson.loads(body)["data"] for body in bodies]


def dump(database: Database) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return every row of every table, so that a refusal can be shown to have changed nothing."""
    with database.read() as connection:
        return {
            table.name: sorted(
                map(
                    tuple,
                    connection.execute(
                        text(f"SELECT * FROM {table.name}")  # noqa: S608  # our own names
                    ),
                ),
                key=repr,
            )
            for table in metadata.sorted_tables
        }
