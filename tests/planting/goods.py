"""Defects of stock and prices."""

from __future__ import annotations

from functools import partial

from sqlalchemy import update

from engine import products
from engine.pricing import set_margin
from engine.product_tables import products as product_rows
from engine.product_tables import tenant_prices
from tests.planting.defect import Defect
from tests.planting.world import World


def _make(world: World) -> list[str]:
    """Let the platform sell a few more products, priced for everybody, and return some."""
    made = []
    for number in range(world.random.randint(2, 4)):
        given = {"sku": f"X-{number}", "name": "X", "base_cost": 100, "stock_quantity": 50}
        made.append(
            world.act(partial(products.create, tenant_id=world.chain.s, product=given))["id"]
        )
    for product_id in made:
        for tenant_id in (world.chain.d, world.chain.r):
            world.act(
                partial(set_margin, product_id=product_id, tenant_id=tenant_id, margin_percent=20)
            )
    world.settle()
    return world.some(made)


def allocated_wrong(world: World) -> int:
    """Set pieces aside that no order waits for."""
    chosen = _make(world)
    mine = product_rows.c.id.in_(chosen)
    wrong = {"stock_allocated": world.random.randint(1, 50)}
    world.change(update(product_rows).where(mine).values(wrong))
    return len(chosen)


def on_hand_wrong(world: World) -> int:
    """Let there be more on hand than was ever moved."""
    chosen = _make(world)
    mine = product_rows.c.id.in_(chosen)
    wrong = {"stock_quantity": product_rows.c.stock_quantity + world.random.randint(1, 9)}
    world.change(update(product_rows).where(mine).values(wrong))
    return len(chosen)


def price_wrong(world: World) -> int:
    """Let a price differ from what its parent's gives."""
    chosen = _make(world)
    mine = tenant_prices.c.product_id.in_(chosen) & (tenant_prices.c.tenant_id == world.chain.r)
    wrong = {"cost_minor": tenant_prices.c.cost_minor - world.random.randint(1, 99)}
    world.change(update(tenant_prices).where(mine).values(wrong))
    return len(chosen)


def below_minimum(world: World) -> int:
    """Raise the least markup above what was set before."""
    chosen = _make(world)
    mine = product_rows.c.id.in_(chosen)
    world.change(update(product_rows).where(mine).values(min_margin_percent=30))
    return len(chosen)


DEFECTS = (
    Defect("K19", "allocated wrong", allocated_wrong, heals=True),
    Defect("K19", "on hand wrong", on_hand_wrong, heals=False),
    Defect("K20", "price wrong", price_wrong, heals=True, spreads=True),
    Defect("K20", "below the least markup", below_minimum, heals=False),
)
