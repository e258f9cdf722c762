"""Deliver an allocated item to an end customer, whose e-mail is not kept (document 002)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import update

from engine import relationships, stock_events, stock_items, stock_transfers
from engine.errors import InvalidStatus
from engine.private_text import check_email, digest
from engine.stock_items import ALLOCATED, DELIVERED
from engine.stock_transfer_tables import stock_items as item_rows
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]


def deliver(
    work: UnitOfWork,
    relationship_id: str,
    item_id: str,
    email: object,
    *,
    tenant_id: str | None = None,
) -> Row:
    """Give one item to a customer and return it; to the same customer again, it is as it was.

    Raises NotFound (also for an item of another relationship), InvalidInput for the e-mail, or
    InvalidStatus for an item that another customer has or that was revoked.
    """
    relationship = relationships.get(work.connection, relationship_id, tenant_id=tenant_id)
    customer = digest(relationship["id"], check_email(email, field="email"))
    found = stock_items.get(work.connection, relationship, item_id)
    if found["transfer_id"] is None:
        return _standing(found, customer)
    # The transfer before the item: of two deliveries, the later counts the earlier.
    transfer = stock_transfers.get(work.connection, relationship, found["transfer_id"], locked=True)
    item = stock_items.get(work.connection, relationship, item_id, locked=True)
    if item["status"] != ALLOCATED:
        return _standing(item, customer)
    changes = {
        "status": DELIVERED,
        "delivered_to_hash": customer,
        "delivered_at": work.now,
    }
    work.connection.execute(
        update(item_rows)
        .where(item_rows.c.id == item["id"], item_rows.c.status == ALLOCATED)
        .values(changes)
    )
    delivered = transfer["delivered_quantity"] + 1
    last = delivered == transfer["quantity"]
    transfer = stock_transfers.move(
        work,
        relationship,
        transfer,
        "deliver_last" if last else "deliver",
        tenant_id,
        delivered_quantity=delivered,
        closed_at=work.now if last else None,
    )
    item |= changes
    for draft in stock_events.item_delivered(relationship, item, transfer):
        work.raise_event(draft)
    return item


def _standing(item: Row, customer: str) -> Row:
    """Return an item this customer has already, or raise InvalidStatus."""
    if item["status"] == DELIVERED and item["delivered_to_hash"] == customer:
        return item
    raise InvalidStatus(f"the item is {item['status']}", current_status=item["status"], allowed=[])
