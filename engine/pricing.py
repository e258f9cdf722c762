"""Prices down the chain: each parent sets its children's markup, and the tree below follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, update

from engine import products, tenants
from engine.errors import InvalidInput, NotFound
from engine.ids import new_id
from engine.inputs import check_percent
from engine.money import money_fields
from engine.price_cascade import offers_of, price_rows, store_costs
from engine.product_events import raise_updates
from engine.product_tables import tenant_prices
from engine.unit_of_work import UnitOfWork


def set_margin(
    work: UnitOfWork,
    product_id: str,
    tenant_id: str,
    margin_percent: object,
    *,
    is_available: bool = True,
    parent_id: str | None = None,
) -> dict[str, Any]:
    """Set the markup ``tenant_id`` pays its parent, re-price its subtree and return the row.

    Tenants whose price or availability changed hear ``product.updated``. Raises InvalidInput, or
    NotFound when the parent has no price itself or ``parent_id`` is not the tenant's parent.
    """
    percent = check_percent(margin_percent, field="margin_percent")
    child = tenants.get(work.connection, tenant_id)
    before = products.lock(work, product_id)
    _require_parent(work.connection, before, child, parent_id)
    offers_before = offers_of(work.connection, before)
    after = {**before, "version": before["version"] + 1, "updated_at": work.now}
    products.store(work, after)
    _write_margin(work, after, child, {"margin_percent": percent, "is_available": is_available})
    offers_after = store_costs(work.connection, after, work.now)
    raise_updates(
        work, before=before, after=after, offers_before=offers_before, offers_after=offers_after
    )
    rows = price_rows(work.connection, after["id"])
    return next(row for row in rows if row["tenant_id"] == child["id"])


def breakdown(connection: Connection, product_id: str, tenant_id: str) -> dict[str, Any]:
    """Return how the tenant's cost comes about, hop by hop (document 001, price breakdown).

    Raises NotFound when the tenant has no price of the product.
    """
    product = products.get(connection, product_id)
    chain = _chain_below(connection, product, tenants.get(connection, tenant_id))
    costs = costs_by_hop(connection, [product], chain)[product["id"]]
    prices = {row["tenant_id"]: row for row in price_rows(connection, product["id"])}
    levels = []
    for level, (seller, buyer) in enumerate(pairwise(chain)):
        cost, price = costs[level], costs[level + 1]
        levels.append(
            {
                "level": level,
                "tenant_name": seller["name"],
                "margin_percent": json_percent(prices[buyer["id"]]["margin_percent"]),
                **money_fields(
                    product["currency"],
                    cost=cost,
                    margin_amount=price - cost,
                    selling_price=price,
                ),
            }
        )
    base = money_fields(product["currency"], base_cost=product["base_cost_minor"])
    return {
        "product": {"id": product["id"], "name": product["name"], **base},
        **money_fields(product["currency"], your_cost=costs[-1]),
        "breakdown": levels,
    }


def costs_by_hop(
    connection: Connection,
    wanted: Iterable[Mapping[str, Any]],
    chain: Sequence[Mapping[str, Any]],
    *,
    sellable_only: bool = False,
) -> dict[str, list[int]]:
    """Return for each product what one piece costs each tenant of ``chain``, from the owner down.

    Raises NotFound when a hop has no price, or (``sellable_only``) none that is available.
    """
    by_id = {product["id"]: product for product in wanted}
    query = select(tenant_prices).where(
        tenant_prices.c.product_id.in_(by_id),
        tenant_prices.c.tenant_id.in_([tenant["id"] for tenant in chain]),
    )
    rows = {(row.product_id, row.tenant_id): row for row in connection.execute(query)}
    costs: dict[str, list[int]] = {}
    for product in by_id.values():
        costs[product["id"]] = [product["base_cost_minor"]]
        for tenant in chain[1:]:
            row = rows.get((product["id"], tenant["id"]))
            if row is None or (sellable_only and not row.is_available):
                raise _not_sold(product, tenant)
            costs[product["id"]].append(row.cost_minor)
    return costs


def set_prices(connection: Connection, parent_id: str) -> list[dict[str, Any]]:
    """Return the price rows a tenant set for its children, in the order of their creation."""
    query = select(tenant_prices).where(tenant_prices.c.parent_id == parent_id)
    rows = connection.execute(query.order_by(tenant_prices.c.id)).mappings()
    return [dict(row) for row in rows]


def json_percent(percent: Any) -> orjson.Fragment:
    """Return a percentage as the shortest exact JSON number: 20, 12.5."""
    return orjson.Fragment(f"{percent.normalize():f}")


def _require_parent(
    connection: Connection,
    product: Mapping[str, Any],
    child: Mapping[str, Any],
    parent_id: str | None,
) -> None:
    if parent_id is not None and child["parent_id"] != parent_id:
        raise NotFound(f"no sub-reseller {child['id']!r}", field="tenant_id", value=child["id"])
    chain = _chain_below(connection, product, child)
    if len(chain) == 1:
        raise InvalidInput(
            "the owner of a product pays its base cost; a markup is set for the tenants below",
            field="tenant_id",
            value=child["id"],
        )
    costs_by_hop(connection, [product], chain[:-1])


def _chain_below(
    connection: Connection, product: Mapping[str, Any], tenant: Mapping[str, Any]
) -> list[dict[str, Any]]:
    chain = tenants.chain(connection, tenant["id"])
    ids = [row["id"] for row in chain]
    if product["tenant_id"] not in ids:
        raise _not_sold(product, tenant)
    return chain[ids.index(product["tenant_id"]) :]


def _write_margin(
    work: UnitOfWork,
    product: Mapping[str, Any],
    child: Mapping[str, Any],
    values: dict[str, Any],
) -> None:
    same = (tenant_prices.c.product_id == product["id"]) & (
        tenant_prices.c.tenant_id == child["id"]
    )
    found = work.connection.execute(
        update(tenant_prices).where(same).values(updated_at=work.now, **values)
    )
    if found.rowcount == 1:
        return
    row = {
        "id": new_id(),
        "product_id": product["id"],
        "tenant_id": child["id"],
        "parent_id": child["parent_id"],
        # A price that cannot be; the cascade that follows writes the true one.
        "cost_minor": -1,
        "created_at": work.now,
        "updated_at": work.now,
        **values,
    }
    work.connection.execute(insert(tenant_prices).values(row))


def _not_sold(product: Mapping[str, Any], tenant: Mapping[str, Any]) -> NotFound:
    return NotFound(
        f"product {product['sku']} has no price for tenant {tenant['id']}",
        field="product_id",
        value=product["id"],
    )
