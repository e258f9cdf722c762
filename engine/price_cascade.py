"""How one base cost becomes a price for every tenant below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from engine.errors import InvalidAmount
from engine.money import AMOUNT_MINOR_MAX, add_percent
from engine.product_tables import tenant_prices


@dataclass(frozen=True, slots=True)
class Offer:
    """What one tenant pays for a product, and whether every hop above lets it sell."""

    cost_minor: int
    is_available: bool


def cascade(
    owner_id: str, base_cost_minor: int, rows: Iterable[Mapping[str, Any]]
) -> dict[str, Offer]:
    """Return the offer of the owner and of every tenant below.

    A markup is on cost and rounded half up at each hop. Raises InvalidAmount
    when a price leaves the range of exact amounts.
    """
    below: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        below.setdefault(row["parent_id"], []).append(row)
    offers = {owner_id: Offer(base_cost_minor, is_available=True)}
    waiting = [owner_id]
    while waiting:
        parent_id = waiting.pop()
        parent = offers[parent_id]
        for row in below.get(parent_id, []):
            cost_minor = add_percent(parent.cost_minor, row["margin_percent"])
            if cost_minor > AMOUNT_MINOR_MAX:
                raise InvalidAmount("a price of the cascade is too large", field="base_cost")
            available = parent.is_available and row["is_available"]
            offers[row["tenant_id"]] = Offer(cost_minor, is_available=available)
            waiting.append(row["tenant_id"])
    return offers


def price_rows(connection: Connection, product_id: str) -> list[dict[str, Any]]:
    """Return the stored price rows of a product, in the order of their tenants."""
    rows = connection.execute(
        select(tenant_prices)
        .where(tenant_prices.c.product_id == product_id)
        .order_by(tenant_prices.c.tenant_id)
    )
    return [dict(row) for row in rows.mappings()]


def offers_of(connection: Connection, product: Mapping[str, Any]) -> dict[str, Offer]:
    """Return the offer of every tenant that has a price of this product."""
    rows = price_rows(connection, product["id"])
    return cascade(product["tenant_id"], product["base_cost_minor"], rows)


def store_costs(
    connection: Connection, product: Mapping[str, Any], now: datetime
) -> dict[str, Offer]:
    """Bring the stored prices of a product in line with its cascade and return the offers.

    The caller holds the product's row.
    """
    rows = price_rows(connection, product["id"])
    offers = cascade(product["tenant_id"], product["base_cost_minor"], rows)
    moved = [
        {"row_id": row["id"], "cost_now": offers[row["tenant_id"]].cost_minor, "at": now}
        for row in rows
        if row["tenant_id"] in offers and row["cost_minor"] != offers[row["tenant_id"]].cost_minor
    ]
    if moved:
        connection.execute(
            update(tenant_prices)
            .where(tenant_prices.c.id == bindparam("row_id"))
            .values(cost_minor=bindparam("cost_now"), updated_at=bindparam("at")),
            moved,
        )
    return offers
