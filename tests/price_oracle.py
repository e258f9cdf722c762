"""A second way to find what every tenant pays: step by step in Python, against the statement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select

from engine.money import add_percent
from engine.product_tables import products, tenant_prices


def cascade(
    owner_id: str, base_cost_minor: int, rows: Iterable[Mapping[str, Any]]
) -> dict[str, tuple[int, bool]]:
    """Return cost and whether it may sell, for every tenant below the owner."""
    below: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], []).append(row)
    offers, waiting = {owner_id: (base_cost_minor, True)}, [owner_id]
    while waiting:
        parent_id = waiting.pop()
        cost, sellable = offers[parent_id]
        for row in below.get(parent_id, []):
            price = add_percent(cost, row["margin_percent"])
            offers[row["tenant_id"]] = (price, sellable and row["is_available"])
            waiting.append(row["tenant_id"])
    del offers[owner_id]
    return offers


def stored(connection: Connection, product_id: str) -> dict[str, tuple[int, bool]]:
    """Return what the price rows of a product say."""
    rows = connection.execute(select(tenant_prices).where(tenant_prices.c.product_id == product_id))
    return {row.tenant_id: (row.cost_minor, row.is_sellable) for row in rows}


def expected(connection: Connection, product_id: str) -> dict[str, tuple[int, bool]]:
    """Return what the price rows of a product must say."""
    product = connection.execute(select(products).where(products.c.id == product_id)).one()
    query = select(tenant_prices).where(tenant_prices.c.product_id == product_id)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    return cascade(product.tenant_id, product.base_cost_minor, rows)
