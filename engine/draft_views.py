"""One order as document 003 shows it to its reseller: the same id before and after checkout."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from engine import draft_items, drafts, order_fields, order_rows, order_views, stages
from engine.draft_tables import draft_orders
from engine.errors import InvalidStatus, NotFound
from engine.events import iso_seconds
from engine.money import money_fields
from engine.states import CANCELLED, DELIVERED, RETURNED
from engine.unit_of_work import UnitOfWork

#: What the execution of a confirmed order has come to; anything else is in progress.
ENDED = {DELIVERED: "completed", RETURNED: "returned", CANCELLED: "cancelled"}

Row = dict[str, Any]


def show(
    connection: Connection, order_id: str, now: datetime, *, tenant_id: str | None = None
) -> Row:
    """Return an order with its items and fields; raises NotFound or DraftExpired."""
    found = _find(connection, order_id, now, tenant_id)
    confirmed = found["stage"] != stages.DRAFT
    whole = _confirmed(connection, found) if confirmed else _draft(found)
    fields = order_fields.read(connection, [found["id"]])
    return {
        **whole,
        "stage": found["stage"],
        "items": items(connection, order_id, now, tenant_id=tenant_id),
        "custom_fields": fields.get(found["id"], {}),
    }


def items(
    connection: Connection, order_id: str, now: datetime, *, tenant_id: str | None = None
) -> list[Row]:
    """Return the items of an order, draft or confirmed, with their characteristics."""
    found = _find(connection, order_id, now, tenant_id)
    if found["stage"] == stages.DRAFT:
        rows = draft_items.of(connection, found["id"])
    else:
        rows = order_rows.lines_of(connection, found["id"])
    fields = order_fields.read(connection, [row["id"] for row in rows])
    return [
        {
            "id": row["id"],
            "product_id": row["product_id"],
            "sku": row["sku"],
            "name": row["name"],
            "quantity": row["quantity"],
            **money_fields(found["currency"], unit_price=row["unit_price_minor"]),
            "deliver_id": row["deliver_id"],
            "order_detail_id": row["order_detail_id"],
            "status": row.get("line_status", drafts.DRAFT),
            "characteristics": fields.get(row["id"], {}),
        }
        for row in rows
    ]


def item(
    connection: Connection,
    order_id: str,
    item_id: str,
    now: datetime,
    *,
    tenant_id: str | None = None,
) -> Row:
    """Return one item of an order, or raise NotFound."""
    for row in items(connection, order_id, now, tenant_id=tenant_id):
        if row["id"] == item_id.lower():
            return row
    raise NotFound(f"no item {item_id!r} in this order", field="item_id", value=item_id)


def execute_status(
    connection: Connection, order_id: str, now: datetime, *, tenant_id: str | None = None
) -> Row:
    """Return how far the execution of a confirmed order is; InvalidStatus for any other."""
    found = _find(connection, order_id, now, tenant_id)
    if found["stage"] != stages.CONFIRMED:
        raise InvalidStatus(
            f"the order is {found['stage']}; only a confirmed one is executed",
            current_status=found.get("chain_status", drafts.DRAFT),
            allowed=[],
        )
    return {
        "order_id": found["id"],
        "status": ENDED.get(found["chain_status"], "in_progress"),
        "chain_status": found["chain_status"],
        "payment_status": found["payment_status"],
        "executed_at": iso_seconds(found["created_at"]),
        "updated_at": iso_seconds(found["updated_at"]),
        "items": [
            {"id": line["id"], "sku": line["sku"], "status": line["line_status"]}
            for line in order_rows.lines_of(connection, found["id"])
        ],
    }


def put_fields(
    work: UnitOfWork,
    order_id: str,
    given: object,
    *,
    item_id: str | None = None,
    tenant_id: str | None = None,
) -> dict[str, Any]:
    """Put custom fields over an order's, or characteristics over an item's; return what stands.

    Drafts and orders alike: only items are bound to the draft. Null takes a field away. Raises
    NotFound, DraftExpired or InvalidInput.
    """
    found = _find(work.connection, order_id, work.now, tenant_id)
    if found["stage"] == stages.DRAFT:
        drafts.change(work, found["id"], tenant_id)
    else:
        order_rows.get(work.connection, found["id"], locked=True)
    subject_id, field = found["id"], "custom_fields"
    if item_id is not None:
        subject_id = item(work.connection, order_id, item_id, work.now, tenant_id=tenant_id)["id"]
        field = "characteristics"
    return order_fields.put(work, found["id"], subject_id, given, field=field)


def _find(connection: Connection, order_id: str, now: datetime, tenant_id: str | None) -> Row:
    """Return the draft's or the chain order's row with its stage, for its reseller alone."""
    try:
        found = drafts.get(connection, order_id, now, tenant_id=tenant_id)
        if found["status"] == drafts.DRAFT:
            return found | {"stage": stages.DRAFT}
    except NotFound:
        found = {}
    order = order_rows.get(connection, order_id)
    if tenant_id not in {None, order["origin_tenant_id"]}:
        raise order_rows.not_found(order_id)
    return order | {"stage": stages.stage_of(order)}


def _draft(found: Row) -> Row:
    names = ("id", "account_id", "external_order_id", "status", "version", "customer")
    more = ("shipping_address", "payment", "currency")
    return {
        **{name: found[name] for name in (*names, *more)},
        "order_date": found["order_date"].isoformat(),
        "created_at": iso_seconds(found["created_at"]),
        "updated_at": iso_seconds(found["updated_at"]),
        "expires_at": iso_seconds(found["expires_at"]),
    }


def _confirmed(connection: Connection, found: Row) -> Row:
    query = select(draft_orders).where(draft_orders.c.id == found["id"])
    draft = connection.execute(query).mappings().first()
    return {
        **order_views.show(connection, found["id"], found["origin_tenant_id"]),
        "status": found["chain_status"],
        "account_id": None if draft is None else draft["account_id"],
        "external_order_id": found["origin_order_number"],
        "order_date": found["created_at"].date().isoformat()
        if draft is None
        else draft["order_date"].isoformat(),
        "expires_at": None,
    }
