"""Prices down the chain: each parent sets its children's markup, and the tree below follows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any

import orjson
from sqlalchemy import Connection, insert, select, update

from engine import products, tenants
from engine.errors import InvalidInput, MarginTooLow, NotFound
from engine.ids import new_id
from engine.inputs import check_flag, check_percent
from engine.money import money_fields
from engine.price_cascade import Offer, offer_of, reprice
from engine.product_changes import keep_first, mark
from engine.product_tables import tenant_prices
from engine.product_views import is_untold
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

    Tenants whose price or availability changed hear ``product.updated`` soon after. Raises
    InvalidInput, MarginTooLow, or NotFound when the parent has no price itself or ``parent_id`` is
    not the tenant's parent.
    """
    percent = check_percent(margin_percent, field="margin_percent")
    wanted = {
        "margin_percent": percent,
        "is_available": check_flag(is_available, field="is_available"),
    }
    child = tenants.get(work.connection, tenant_id)
    product = products.lock(work, product_id)
    parent = _require_parent(work.connection, product, child, parent_id)
    _check_minimum(product, child, percent)
    row = _price_row(work.connection, product, child)
    if row is not None and all(row[name] == value for name, value in wanted.items()):
        return row
    after = products.change(work, product, {})
    _write_margin(work, after, child, row, wanted)
    reprice(work.connection, after, work.now, child_id=child["id"], parent=parent)
    if row is None:
        offer = offer_of(work.connection, after, child["id"])
        assert offer is not None
        keep_first(work, after, offer)
    else:
        mark(work, product["id"])
    stored = _price_row(work.connection, after, child)
    assert stored is not None
    return stored


def reprice_again(work: UnitOfWork, product_id: str) -> bool:
    """Bring stored prices back in line with their cascade, and let those who see a change hear.

    Tells whether there was anything to mend or to tell.
    """
    row = products.lock(work, product_id)
    moved = reprice(work.connection, row, work.now)
    if not moved and not is_untold(work.connection, row):
        return False
    products.change(work, row, {})
    mark(work, row["id"])
    return True


def breakdown(connection: Connection, product_id: str, tenant_id: str) -> dict[str, Any]:
    """Return how the tenant's cost comes about, hop by hop (document 001, price breakdown).

    Raises NotFound when the tenant has no price of the product.
    """
    product = products.get(connection, product_id)
    chain = _chain_below(connection, product, tenants.get(connection, tenant_id))
    costs = costs_by_hop(connection, [product], chain)[product["id"]]
    prices = _prices_of(connection, [product["id"]], chain)
    levels = []
    for level, (seller, buyer) in enumerate(pairwise(chain)):
        cost, price = costs[level], costs[level + 1]
        levels.append(
            {
                "level": level,
                "tenant_name": seller["name"],
                "margin_percent": json_percent(prices[product["id"], buyer["id"]].margin_percent),
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
    rows = _prices_of(connection, by_id, chain)
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
) -> Offer:
    """Return what the child's parent is offered, from which the child's price comes."""
    if parent_id is not None and child["parent_id"] != parent_id:
        raise NotFound(f"no sub-reseller {child['id']!r}", field="tenant_id", value=child["id"])
    chain = _chain_below(connection, product, child)
    if len(chain) == 1:
        raise InvalidInput(
            "the owner of a product pays its base cost; a markup is set for the tenants below",
            field="tenant_id",
            value=child["id"],
        )
    offer = offer_of(connection, product, chain[-2]["id"])
    if offer is None:
        raise _not_sold(product, chain[-2])
    return offer


def _check_minimum(product: Mapping[str, Any], child: Mapping[str, Any], percent: Decimal) -> None:
    minimum = product["min_margin_percent"]
    if percent < minimum:
        raise MarginTooLow(
            f"the markup of {percent.normalize():f} % is below the {minimum.normalize():f} % "
            f"that product {product['sku']} needs",
            field="margin_percent",
            value=str(percent),
            minimum_margin_percent=str(minimum),
            product_id=product["id"],
            tenant_id=child["id"],
        )


def _chain_below(
    connection: Connection, product: Mapping[str, Any], tenant: Mapping[str, Any]
) -> list[dict[str, Any]]:
    chain = tenants.chain(connection, tenant["id"])
    ids = [row["id"] for row in chain]
    if product["tenant_id"] not in ids:
        raise _not_sold(product, tenant)
    return chain[ids.index(product["tenant_id"]) :]


def _prices_of(
    connection: Connection, product_ids: Iterable[str], chain: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str], Any]:
    query = select(tenant_prices).where(
        tenant_prices.c.product_id.in_(list(product_ids)),
        tenant_prices.c.tenant_id.in_([tenant["id"] for tenant in chain]),
    )
    return {(row.product_id, row.tenant_id): row for row in connection.execute(query)}


def _price_row(
    connection: Connection, product: Mapping[str, Any], tenant: Mapping[str, Any]
) -> dict[str, Any] | None:
    query = select(tenant_prices).where(
        tenant_prices.c.product_id == product["id"], tenant_prices.c.tenant_id == tenant["id"]
    )
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _write_margin(
    work: UnitOfWork,
    product: Mapping[str, Any],
    child: Mapping[str, Any],
    row: Mapping[str, Any] | None,
    wanted: Mapping[str, Any],
) -> None:
    if row is not None:
        mine = tenant_prices.c.id == row["id"]
        work.connection.execute(
            update(tenant_prices).where(mine).values(updated_at=work.now, **wanted)
        )
        return
    work.connection.execute(
        insert(tenant_prices).values(
            id=new_id(),
            product_id=product["id"],
            tenant_id=child["id"],
            parent_id=child["parent_id"],
            # A price that cannot be; the cascade that follows writes the true one.
            cost_minor=-1,
            is_sellable=False,
            created_at=work.now,
            updated_at=work.now,
            **wanted,
        )
    )


def _not_sold(product: Mapping[str, Any], tenant: Mapping[str, Any]) -> NotFound:
    return NotFound(
        f"product {product['sku']} has no price for tenant {tenant['id']}",
        field="product_id",
        value=product["id"],
    )
