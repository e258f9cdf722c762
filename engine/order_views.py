"""Read chain orders as one participant sees them (document 001, chain orders)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    or_,
    select,
)

from engine import order_events, order_rows, states
from engine.events import iso_seconds
from engine.inputs import check_choice
from engine.money import money_fields
from engine.order_rows import Row
from engine.order_tables import chain_hops, chain_orders, order_log

#: Document 001's lists: all that is seen, awaiting the tenant, handed on by it, for it to fulfil.
SCOPES = ("all", "incoming", "forwarded", "fulfillment")


def show(connection: Connection, order_id: str, tenant_id: str) -> dict[str, Any]:
    """Return one order as document 001 shows it to ``tenant_id``, or raise NotFound."""
    order = order_rows.get(connection, order_id)
    hops = order_rows.hops_of(connection, order["id"])
    hop = order_rows.require_visible(order_id, hops, tenant_id)
    lines = order_rows.lines_of(connection, order["id"])
    personal = order_events.sees_customer(order, hop)
    return {
        "id": order["id"],
        "origin_order_number": order["origin_order_number"],
        "chain_status": order["chain_status"],
        "version": order["version"],
        "chain_path": [
            {
                "tenant_id": row["tenant_id"],
                "position": row["position"],
                "status": row["hop_status"],
            }
            for row in hops
            if row["visible_at"] is not None
        ],
        "customer": order["customer"] if personal else {},
        "shipping_address": order["shipping_address"] if personal else {},
        "items": order_events.items_view(order, lines, hop),
        "pricing": order_events.pricing_view(order, hop),
        "shipping": order_events.shipping_view(order),
        "payment": {"method": order["payment_method"], "status": order["payment_status"]},
        "currency": order["currency"],
        "created_at": iso_seconds(order["created_at"]),
        "updated_at": iso_seconds(order["updated_at"]),
    }


def timeline(
    connection: Connection, order_id: str, *, tenant_id: str | None = None
) -> list[dict[str, Any]]:
    """Return the steps of an order, oldest first; a tenant reads those since it saw the order."""
    order = order_rows.get(connection, order_id)
    since = 0
    if tenant_id is not None:
        hops = order_rows.hops_of(connection, order["id"])
        since = order_rows.require_visible(order_id, hops, tenant_id)["visible_version"]
    query = select(order_log).where(
        order_log.c.chain_order_id == order["id"], order_log.c.seq >= since
    )
    return [dict(row) for row in connection.execute(query.order_by(order_log.c.seq)).mappings()]


def listing(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    scope: str = "all",
    status: str | None = None,
    created_from: datetime | None = None,
    created_until: datetime | None = None,
    updated_since: datetime | None = None,
    search: str | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[Row]:
    """Return order rows, newest first; of a tenant those it sees, narrowed by ``scope``.

    ``search`` looks into the order number and, for the origin, the customer.
    """
    query = _scoped(select(chain_orders), tenant_id, check_choice(scope, SCOPES, field="scope"))
    filters: list[ColumnElement[bool]] = []
    if status is not None:
        check_choice(status, states.STATUSES, field="status")
        filters.append(chain_orders.c.chain_status == status)
    if created_from is not None:
        filters.append(chain_orders.c.created_at >= created_from)
    if created_until is not None:
        filters.append(chain_orders.c.created_at < created_until)
    if updated_since is not None:
        filters.append(chain_orders.c.updated_at >= updated_since)
    if search:
        filters.append(_matches(search, tenant_id))
    query = query.where(*filters).order_by(chain_orders.c.id.desc()).limit(limit).offset(offset)
    return [dict(row) for row in connection.execute(query).mappings()]


def stats(connection: Connection, tenant_id: str) -> dict[str, Any]:
    """Return how many orders the tenant sees in each status, and their total value.

    Where what the customer pays is hidden from it, an order is worth what it sells it for.
    """
    query = _scoped(
        select(
            chain_orders.c.chain_status,
            chain_orders.c.currency,
            func.count().label("orders"),
            func.sum(_total_seen_by(tenant_id)).label("total"),
        ),
        tenant_id,
        "all",
    ).group_by(chain_orders.c.chain_status, chain_orders.c.currency)
    counts = dict.fromkeys(states.STATUSES, 0)
    total_minor, currency = 0, "INR"
    for row in connection.execute(query):
        counts[row.chain_status] = row.orders
        total_minor, currency = total_minor + int(row.total), row.currency
    return {**counts, **money_fields(currency, total_value=total_minor)}


def _total_seen_by(tenant_id: str) -> ColumnElement[int]:
    order = chain_orders.c
    collects = and_(
        order.payment_method == "cod",
        func.coalesce(order.collector_tenant_id, order.fulfiller_tenant_id) == tenant_id,
    )
    seen = or_(~order.hide_origin_total, order.origin_tenant_id == tenant_id, collects)
    return case((seen, order.origin_total_minor), else_=chain_hops.c.price_minor)


def _scoped(query: Select[Any], tenant_id: str | None, scope: str) -> Select[Any]:
    if tenant_id is None:
        return query
    query = query.join_from(
        chain_orders, chain_hops, chain_hops.c.chain_order_id == chain_orders.c.id
    ).where(chain_hops.c.tenant_id == tenant_id, chain_hops.c.visible_at.is_not(None))
    if scope == "incoming":
        return query.where(
            chain_hops.c.hop_status == "pending_action",
            chain_orders.c.origin_tenant_id != tenant_id,
            chain_orders.c.chain_status == states.FORWARDED,
        )
    if scope == "forwarded":
        return query.where(chain_hops.c.hop_status == "forwarded")
    if scope == "fulfillment":
        open_states = (states.ACCEPTED, states.PROCESSING, states.SHIPPED)
        return query.where(
            chain_orders.c.fulfiller_tenant_id == tenant_id,
            chain_orders.c.chain_status.in_(open_states),
        )
    return query


def _matches(search: str, tenant_id: str | None) -> ColumnElement[bool]:
    number = chain_orders.c.origin_order_number.icontains(search, autoescape=True)
    customer = cast(chain_orders.c.customer, String).icontains(search, autoescape=True)
    if tenant_id is not None:
        # Whoever may not read the customer may not find orders by it either.
        customer &= or_(
            chain_orders.c.origin_tenant_id == tenant_id,
            chain_orders.c.fulfiller_tenant_id == tenant_id,
        )
    return or_(number, customer)
