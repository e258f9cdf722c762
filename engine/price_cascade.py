"""How one base cost becomes a price for every tenant below: one statement for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    and_,
    literal,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from engine.errors import InvalidAmount
from engine.money import AMOUNT_MINOR_MAX
from engine.product_tables import tenant_prices


class MarkedUp(FunctionElement[int]):
    """A cost with a markup on it, rounded half up: ``money.add_percent`` inside a statement.

    Beyond exact amounts it is one minor unit too large, which whoever stores it refuses.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(MarkedUp, "postgresql")
def _marked_up_postgresql(element: MarkedUp, compiler: Any, **options: Any) -> str:
    cost, percent = (compiler.process(clause, **options) for clause in element.clauses)
    # Times 0.01, for a division would round before ROUND does.
    exact = f"CAST({cost} AS numeric) * (100 + {percent}) * 0.01"
    return f"CAST(least(round({exact}), {AMOUNT_MINOR_MAX + 1}) AS bigint)"


@compiles(MarkedUp, "sqlite")
def _marked_up_sqlite(element: MarkedUp, compiler: Any, **options: Any) -> str:
    return f"tillbell_marked_up({compiler.process(element.clauses, **options)})"


@dataclass(frozen=True, slots=True)
class Offer:
    """What one tenant pays for a product, and whether every hop above lets it sell."""

    tenant_id: str
    cost_minor: int
    is_sellable: bool


def offer_of(connection: Connection, product: Mapping[str, Any], tenant_id: str) -> Offer | None:
    """Return a tenant's offer, the owner's base cost too, or None when it has no price."""
    if tenant_id == product["tenant_id"]:
        return Offer(tenant_id, product["base_cost_minor"], is_sellable=True)
    query = select(tenant_prices.c.cost_minor, tenant_prices.c.is_sellable).where(
        tenant_prices.c.product_id == product["id"], tenant_prices.c.tenant_id == tenant_id
    )
    row = connection.execute(query).first()
    return None if row is None else Offer(tenant_id, row.cost_minor, is_sellable=row.is_sellable)


def reprice(
    connection: Connection,
    product: Mapping[str, Any],
    now: datetime,
    *,
    child_id: str | None = None,
    parent: Offer | None = None,
) -> int:
    """Store what a product costs each tenant below its owner; return how many prices moved.

    ``child_id`` narrows it to that child of ``parent`` and all below. A markup is on the parent's
    cost and rounded at each hop; a hop that is not available closes all below it. The caller holds
    the product's row. Raises InvalidAmount when a price leaves the range of exact amounts.
    """
    parent = parent or Offer(product["tenant_id"], product["base_cost_minor"], is_sellable=True)
    wanted = true() if child_id is None else tenant_prices.c.tenant_id == child_id
    mine = tenant_prices.c.product_id == product["id"]
    first = _priced(literal(parent.cost_minor, BigInteger), literal(parent.is_sellable))
    tops = select(*first).where(mine, tenant_prices.c.parent_id == parent.tenant_id, wanted)
    above = tops.cte("priced", recursive=True)
    below = tenant_prices.c.parent_id == above.c.tenant_id
    children = select(*_priced(above.c.cost_minor, above.c.is_sellable))
    priced = above.union_all(children.join_from(above, tenant_prices, below).where(mine))
    differs = or_(
        tenant_prices.c.cost_minor != priced.c.cost_minor,
        tenant_prices.c.is_sellable != priced.c.is_sellable,
    )
    moved = connection.execute(
        update(tenant_prices)
        .where(tenant_prices.c.id == priced.c.id, differs)
        .values(cost_minor=priced.c.cost_minor, is_sellable=priced.c.is_sellable, updated_at=now)
    )
    beyond = select(tenant_prices.c.id).where(mine, tenant_prices.c.cost_minor > AMOUNT_MINOR_MAX)
    if connection.execute(beyond.limit(1)).first() is not None:
        field = "base_cost" if child_id is None else "margin_percent"
        raise InvalidAmount("a price of the cascade is too large", field=field)
    return moved.rowcount


def _priced(
    cost: ColumnElement[int], is_sellable: ColumnElement[bool]
) -> tuple[ColumnElement[Any], ...]:
    return (
        tenant_prices.c.id,
        tenant_prices.c.tenant_id,
        MarkedUp(cost, tenant_prices.c.margin_percent).label("cost_minor"),
        and_(is_sellable, tenant_prices.c.is_available).label("is_sellable"),
    )
