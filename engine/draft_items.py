"""Items of a draft order; whoever calls holds the draft (``drafts.change``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from engine import order_fields, placing, pricing, tenants
from engine.draft_input import read_quantity
from engine.draft_tables import draft_items
from engine.errors import InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_keys
from engine.money import check_amount, parse_amount
from engine.order_input import ITEM_FIELDS, LINES_MAX, read_item
from engine.unit_of_work import UnitOfWork

CHANGEABLE = ("quantity", "unit_price")

Row = dict[str, Any]


def of(connection: Connection, draft_id: str) -> list[Row]:
    """Return the items of a draft in the order they were added."""
    query = select(draft_items).where(draft_items.c.draft_order_id == draft_id)
    rows = connection.execute(query.order_by(draft_items.c.position)).mappings()
    return [dict(row) for row in rows]


def add(work: UnitOfWork, draft: Row, item: object, *, where: str) -> Row:
    """Add an item; raises InvalidInput for what the reseller cannot sell, or one too many."""
    given = check_keys(item, (*ITEM_FIELDS, "characteristics"), field=where)
    characteristics = given.pop("characteristics", None)
    count, last = _count(work.connection, draft["id"])
    if count >= LINES_MAX:
        raise InvalidInput(f"an order has at most {LINES_MAX} items", field="items")
    asked = read_item(_priced(given), draft["currency"], where)
    chain = tenants.chain(work.connection, draft["tenant_id"])
    path = [tenant["id"] for tenant in chain]
    [product] = placing.find_products(work.connection, path, [asked])
    price_minor = asked.unit_price_minor
    if given.get("unit_price") is None:
        price_minor = _usual_price(work.connection, product, chain)
    row = {
        "id": new_id(),
        "draft_order_id": draft["id"],
        "position": last + 1,
        "product_id": product["id"],
        "sku": product["sku"],
        "name": product["name"],
        "quantity": asked.quantity,
        "unit_price_minor": price_minor,
        "deliver_id": asked.deliver_id,
        "order_detail_id": asked.order_detail_id,
        "created_at": work.now,
    }
    work.connection.execute(insert(draft_items).values(row))
    _check_total(work.connection, draft["id"])
    if characteristics is not None:
        order_fields.put(work, draft["id"], row["id"], characteristics, field="characteristics")
    return row


def set_(work: UnitOfWork, draft: Row, item_id: str, values: object) -> Row:
    """Change an item; raises NotFound, or InvalidInput for anything but ``CHANGEABLE``."""
    row = get(work.connection, draft["id"], item_id)
    given = check_keys(values, CHANGEABLE, field="item")
    changes: dict[str, Any] = {}
    if "quantity" in given:
        changes["quantity"] = read_quantity(given["quantity"])
    if "unit_price" in given:
        changes["unit_price_minor"] = parse_amount(
            given["unit_price"], draft["currency"], field="unit_price"
        )
    if not changes:
        raise InvalidInput(f"give {' or '.join(CHANGEABLE)}", field="item")
    same = draft_items.c.id == row["id"]
    work.connection.execute(update(draft_items).where(same).values(changes))
    _check_total(work.connection, draft["id"])
    return row | changes


def remove(work: UnitOfWork, draft: Row, item_id: str) -> None:
    """Take an item out, with its characteristics; raises NotFound."""
    row = get(work.connection, draft["id"], item_id)
    work.connection.execute(delete(draft_items).where(draft_items.c.id == row["id"]))
    order_fields.forget(work, row["id"])


def get(connection: Connection, draft_id: str, item_id: str) -> Row:
    """Return one item of a draft, or raise NotFound."""
    row = None
    if is_id(item_id):
        query = select(draft_items).where(
            draft_items.c.draft_order_id == draft_id, draft_items.c.id == item_id.lower()
        )
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no item {item_id!r} in this order", field="item_id", value=item_id)
    return dict(row)


def _priced(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item that names a price, for the checks that want one."""
    return {**given, "unit_price": 0} if given.get("unit_price") is None else dict(given)


def _usual_price(connection: Connection, product: Row, chain: list[Row]) -> int:
    """Return the recommended retail price, or where there is none what the reseller pays."""
    if product["rrp_minor"] is not None:
        return int(product["rrp_minor"])
    ids = [tenant["id"] for tenant in chain]
    below = chain[ids.index(product["tenant_id"]) :]
    try:
        return pricing.costs_by_hop(connection, [product], below)[product["id"]][-1]
    except NotFound as refusal:
        raise InvalidInput(refusal.message, field="unit_price") from None


def _count(connection: Connection, draft_id: str) -> tuple[int, int]:
    query = select(func.count(), func.max(draft_items.c.position))
    found = connection.execute(query.where(draft_items.c.draft_order_id == draft_id)).one()
    return found[0], -1 if found[1] is None else found[1]


def _check_total(connection: Connection, draft_id: str) -> None:
    """Raise InvalidAmount when all items together cost more than can be counted."""
    items = of(connection, draft_id)
    check_amount(sum(item["quantity"] * item["unit_price_minor"] for item in items), field="items")
