"""What each tenant was told of a product last, beside what it sees of it now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select, true

from engine.product_tables import product_changes, products, tenant_prices, told_offers

#: What an event says of the product itself.
PRODUCT = (
    "id",
    "sku",
    "currency",
    "stock_quantity",
    "stock_allocated",
    "status",
    "version",
    "updated_at",
)
_COST_NOW = func.coalesce(tenant_prices.c.cost_minor, products.c.base_cost_minor)
_SELLABLE_NOW = func.coalesce(tenant_prices.c.is_sellable, true())
#: Rows of ``views`` whose tenant has something to hear.
DIFFERS = and_(
    or_(told_offers.c.is_available, _SELLABLE_NOW),
    or_(
        told_offers.c.price_minor != _COST_NOW,
        told_offers.c.is_available != _SELLABLE_NOW,
        told_offers.c.stock != products.c.stock_quantity - products.c.stock_allocated,
        told_offers.c.status != products.c.status,
    ),
)


def views() -> Select[Any]:
    """Select a row per tenant that has a price, and the owner: told, ``…_now`` and ``of_…``.

    One statement is one moment: a row's version and its price belong together.
    """
    price = and_(
        tenant_prices.c.product_id == told_offers.c.product_id,
        tenant_prices.c.tenant_id == told_offers.c.tenant_id,
    )
    is_owner = products.c.tenant_id == told_offers.c.tenant_id
    return (
        select(
            *told_offers.c,
            *(products.c[name].label(f"of_{name}") for name in PRODUCT),
            _COST_NOW.label("cost_now"),
            _SELLABLE_NOW.label("is_sellable_now"),
        )
        .join_from(told_offers, products, products.c.id == told_offers.c.product_id)
        .outerjoin(tenant_prices, price)
        # The base cost is the owner's to see and nobody else's.
        .where(or_(is_owner, tenant_prices.c.id.is_not(None)))
    )


def untold() -> Select[Any]:
    """Select the views of tenants that nothing will ever tell what differs."""
    waiting = select(product_changes.c.product_id)
    return views().where(DIFFERS, told_offers.c.product_id.not_in(waiting))


def is_untold(connection: Connection, product: Mapping[str, Any]) -> bool:
    """Tell whether a tenant sees something of a product that nothing will tell it."""
    mine = untold().where(told_offers.c.product_id == product["id"])
    return connection.execute(mine.limit(1)).first() is not None
