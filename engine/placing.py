"""Place a chain order: every hop's price is fixed; a prepaid order sets its money aside.

Where the origin's parent has to approve it, the order waits for that first and sets nothing aside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select

from engine import order_events, pricing, settlement, tenants
from engine.errors import InvalidInput, NotFound, OrderExists
from engine.ids import new_id
from engine.money import check_amount
from engine.order_input import Item, OrderInput, read_order
from engine.order_rows import Row
from engine.order_tables import chain_hops, chain_orders, order_lines, order_log
from engine.product_tables import products
from engine.states import PENDING_APPROVAL, PENDING_FORWARD
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

NATURAL_KEY = ("origin_tenant_id", "origin_order_number")


@dataclass(frozen=True, slots=True)
class Quote:
    """What was found for an order: its chain from the owner down, each line's product and costs."""

    chain: Sequence[Row]
    products: Sequence[Row]
    costs: Mapping[str, Sequence[int]]

    @property
    def approver(self) -> Row | None:
        """The origin's parent where it has to approve; nobody is above the owner of the goods."""
        needed = self.chain[-1]["needs_approval"] and len(self.chain) > 1
        return self.chain[-2] if needed else None


def place(
    work: UnitOfWork, tenant_id: str, order: Mapping[str, Any], *, ids: Sequence[str] = ()
) -> Row:
    """Place an order of the origin ``tenant_id`` and return its row; repeated, the same row.

    ``ids`` are those that the order and its lines, in this order, had as a draft. Raises
    InvalidInput or InvalidAmount naming the field, NotFound (tenant), OrderExists for a used number
    with other content, or InsufficientBalance for a prepaid order beyond the wallet.
    """
    chain = tenants.chain(work.connection, tenant_id)
    wanted = read_order(order, chain[-1]["currency"])
    standing = _standing(work.connection, chain[-1]["id"], wanted)
    if standing is not None:
        return standing
    quote = _quote(work.connection, chain, wanted)
    order_id, *line_ids = ids or tuple(new_id() for _ in range(1 + len(wanted.items)))
    row = {**_order_row(work, wanted, quote), "id": order_id}
    if not insert_missing(work.connection, chain_orders, [row], NATURAL_KEY):
        # Placed by someone else while we were pricing it.
        return _require_standing(work.connection, row, wanted)
    hops = _insert_hops(work, row, wanted, quote)
    lines = _insert_lines(work.connection, row, wanted, quote, line_ids)
    work.connection.execute(insert(order_log).values(_first_step(work, row)))
    if quote.approver is None:
        settlement.set_aside(work, row, hops)
    for hop in hops:
        if hop["visible_at"] is not None:
            work.raise_event(order_events.created(row, lines, hop))
    return row


def find_products(connection: Connection, path: Sequence[str], items: Sequence[Item]) -> list[Row]:
    """Return the product of each item, or raise InvalidInput for one that nobody sells.

    ``path`` is the chain from the root to the origin; of two owners with one sku the one nearest to
    the origin counts.
    """
    named = or_(
        products.c.sku.in_([item.sku for item in items if item.sku]),
        products.c.id.in_([item.product_id for item in items if item.product_id]),
    )
    query = select(products).where(products.c.tenant_id.in_(path), named)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    rows.sort(key=lambda row: path.index(row["tenant_id"]))
    by_name = {row["sku"]: row for row in rows} | {row["id"]: row for row in rows}
    found = []
    for index, item in enumerate(items):
        product = by_name.get(item.sku or item.product_id)
        if product is None or product["status"] != "active":
            name = "sku" if item.sku else "product_id"
            value = item.sku or item.product_id
            raise InvalidInput(
                f"items[{index}]: no product {value!r} to sell",
                field=f"items[{index}].{name}",
                value=value,
            )
        found.append(product)
    return found


def _standing(connection: Connection, origin_id: str, wanted: OrderInput) -> Row | None:
    query = select(chain_orders).where(
        chain_orders.c.origin_tenant_id == origin_id,
        chain_orders.c.origin_order_number == wanted.origin_order_number,
    )
    found = connection.execute(query).mappings().first()
    if found is not None and found["fingerprint"] != wanted.fingerprint:
        raise OrderExists(
            f"order {wanted.origin_order_number} exists with other content",
            origin_order_number=wanted.origin_order_number,
            chain_order_id=found["id"],
        )
    return None if found is None else dict(found)


def _require_standing(connection: Connection, row: Row, wanted: OrderInput) -> Row:
    standing = _standing(connection, row["origin_tenant_id"], wanted)
    if standing is None:
        raise NotFound(f"order {wanted.origin_order_number} was taken and is gone")
    return standing


def _quote(connection: Connection, chain: Sequence[Row], wanted: OrderInput) -> Quote:
    """Return chain, products and costs, or raise InvalidInput for what the origin cannot sell."""
    found = find_products(connection, [tenant["id"] for tenant in chain], wanted.items)
    owners = {product["tenant_id"] for product in found}
    if len(owners) > 1:
        raise InvalidInput("the items of one order must come from one owner", field="items")
    ids = [tenant["id"] for tenant in chain]
    below = chain[ids.index(owners.pop()) :]
    try:
        costs = pricing.costs_by_hop(connection, found, below, sellable_only=True)
    except NotFound as refusal:
        raise InvalidInput(refusal.message, **{**refusal.details, "field": "items"}) from None
    return Quote(below, found, costs)


def _order_row(work: UnitOfWork, wanted: OrderInput, quote: Quote) -> Row:
    origin, approver = quote.chain[-1], quote.approver
    cod = wanted.payment_method == "cod"
    row = dict.fromkeys(column.name for column in chain_orders.columns)
    return row | {
        "origin_tenant_id": origin["id"],
        "origin_order_number": wanted.origin_order_number,
        "fingerprint": wanted.fingerprint,
        "chain_status": PENDING_FORWARD if approver is None else PENDING_APPROVAL,
        "version": 1,
        "holder_tenant_id": (approver or origin)["id"],
        "collector_tenant_id": _collector(wanted, quote.chain) if cod else None,
        "customer": wanted.customer,
        "shipping_address": wanted.shipping_address,
        "currency": origin["currency"],
        "origin_total_minor": wanted.total_minor,
        "cod_amount_minor": wanted.total_minor if cod else 0,
        "hide_origin_total": origin["hide_origin_total"],
        "payment_method": wanted.payment_method,
        "payment_status": "pending",
        "created_at": work.now,
        "updated_at": work.now,
    }


def _collector(wanted: OrderInput, chain: Sequence[Row]) -> str | None:
    if wanted.collector == "fulfiller":
        return None
    named = chain[-1]["id"] if wanted.collector == "origin" else wanted.collector
    if named not in {tenant["id"] for tenant in chain}:
        raise InvalidInput(
            "the collector of the cash is no part of the chain",
            field="payment.collector",
            value=named,
        )
    return str(named)


def _insert_hops(work: UnitOfWork, row: Row, wanted: OrderInput, quote: Quote) -> list[Row]:
    costs = [
        check_amount(
            sum(
                item.quantity * quote.costs[product["id"]][position]
                for item, product in zip(wanted.items, quote.products, strict=True)
            ),
            field="items",
        )
        for position in range(len(quote.chain))
    ]
    prices = [*costs[1:], wanted.total_minor]
    # Who acts first is the last level, or the one above it that has to approve.
    last = len(costs) - 1
    first = last if quote.approver is None else last - 1
    hops = [
        {
            "chain_order_id": row["id"],
            "position": position,
            "tenant_id": tenant["id"],
            "cost_minor": costs[position],
            "price_minor": prices[position],
            "hop_status": "hidden",
            "visible_at": work.now if position >= first else None,
            "visible_version": 1 if position >= first else None,
        }
        for position, tenant in enumerate(quote.chain)
    ]
    hops[last]["hop_status"] = "waiting"
    hops[first]["hop_status"] = "pending_action"
    work.connection.execute(insert(chain_hops), hops)
    return hops


def _insert_lines(
    connection: Connection, row: Row, wanted: OrderInput, quote: Quote, ids: Sequence[str]
) -> list[Row]:
    lines = [
        {
            "id": ids[position],
            "chain_order_id": row["id"],
            "position": position,
            "product_id": product["id"],
            "sku": product["sku"],
            "name": product["name"],
            "quantity": item.quantity,
            "unit_price_minor": item.unit_price_minor,
            "unit_costs_minor": list(quote.costs[product["id"]]),
            "deliver_id": item.deliver_id,
            "order_detail_id": item.order_detail_id,
            "line_status": "pending",
            "delivery_data": [],
            "delivery_note": None,
            "version": 1,
        }
        for position, (item, product) in enumerate(zip(wanted.items, quote.products, strict=True))
    ]
    connection.execute(insert(order_lines), lines)
    return lines


def _first_step(work: UnitOfWork, row: Row) -> dict[str, Any]:
    return {
        "chain_order_id": row["id"],
        "seq": 1,
        "from_status": None,
        "to_status": row["chain_status"],
        "action": "create",
        "actor": work.actor,
        "source": work.source,
        "at": work.now,
    }
