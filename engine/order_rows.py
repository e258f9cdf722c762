"""Read the rows of a chain order, and find a tenant's place in its chain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select

from engine.errors import NotFound
from engine.ids import is_id
from engine.order_tables import chain_hops, chain_orders, order_lines

Row = dict[str, Any]


def get(connection: Connection, order_id: str, *, locked: bool = False) -> Row:
    """Return the order's row (kept from other transactions where ``locked``), or raise NotFound."""
    row = None
    if is_id(order_id):
        query = select(chain_orders).where(chain_orders.c.id == order_id.lower())
        row = (
            connection.execute(query.with_for_update(key_share=True) if locked else query)
            .mappings()
            .first()
        )
    if row is None:
        raise not_found(order_id)
    return dict(row)


def hops_of(connection: Connection, order_id: str) -> list[Row]:
    """Return the hops of an order from the owner of the goods (position 0) down to the origin."""
    query = select(chain_hops).where(chain_hops.c.chain_order_id == order_id)
    return [
        dict(row) for row in connection.execute(query.order_by(chain_hops.c.position)).mappings()
    ]


def lines_of(connection: Connection, order_id: str) -> list[Row]:
    """Return the lines of an order in the order they were asked for."""
    query = select(order_lines).where(order_lines.c.chain_order_id == order_id)
    rows = connection.execute(query.order_by(order_lines.c.position)).mappings()
    return [dict(row) for row in rows]


def hop_of(hops: Sequence[Row], tenant_id: str) -> Row | None:
    """Return the tenant's hop, or None when it is no part of the chain."""
    return next((hop for hop in hops if hop["tenant_id"] == tenant_id), None)


def require_visible(order_id: str, hops: Sequence[Row], tenant_id: str) -> Row:
    """Return the tenant's hop, or raise NotFound when it has not seen the order yet."""
    hop = hop_of(hops, tenant_id)
    if hop is None or hop["visible_at"] is None:
        raise not_found(order_id)
    return hop


def supply_chain(order: Mapping[str, Any], hops: Sequence[Row]) -> list[Row]:
    """Return the hops from the fulfiller down to the origin: those that money passes."""
    positions = [hop["tenant_id"] for hop in hops]
    return list(hops[positions.index(order["fulfiller_tenant_id"]) :])


def is_digital(order: Mapping[str, Any]) -> bool:
    """Tell whether there is nothing to ship: the order names no address."""
    return not order["shipping_address"]


def not_found(order_id: str) -> NotFound:
    """Return the refusal for an order that is not there, or not the caller's to see."""
    return NotFound(f"no chain order {order_id!r}", field="chain_order_id", value=order_id)
