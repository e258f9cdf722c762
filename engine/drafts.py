"""Draft orders (document 003): made, filled, and checked out into a chain order within 168 hours.

Every change begins with one guarded update of the draft, which also keeps others away from it until
the transaction ends: a change, a checkout and the expiry of one draft happen one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from engine import draft_items, end_customers, order_fields, placing, tenants
from engine.draft_input import DraftInput, fingerprint, read_draft
from engine.draft_tables import draft_orders
from engine.errors import (
    DraftEmpty,
    DraftExpired,
    IdempotencyKeyReused,
    InvalidStatus,
    NotFound,
    OrderExists,
    TooManyDrafts,
)
from engine.ids import is_id, new_id
from engine.inputs import check_text
from engine.money import format_amount
from engine.order_tables import chain_orders
from engine.tables import tenants as tenant_rows
from engine.unit_of_work import UnitOfWork
from engine.zones import zone

DRAFT = "draft"
CHECKED_OUT = "checked_out"
EXPIRED = "expired"
LIFETIME = timedelta(hours=168)
#: Drafts a tenant may have open at once: document 003 knows no limit, a runaway client needs one.
OPEN_MAX = 10_000

Row = dict[str, Any]


def create(
    work: UnitOfWork,
    tenant_id: str,
    given: Mapping[str, Any],
    *,
    idempotency_key: str | None = None,
    open_max: int = OPEN_MAX,
) -> Row:
    """Make a draft of ``tenant_id`` and return its row; repeated, the same row.

    Raises InvalidInput naming the field, NotFound (tenant), OrderExists or IdempotencyKeyReused for
    a key of a draft with other content, DraftExpired for the key of one that expired, and
    TooManyDrafts.
    """
    tenant = _lock_tenant(work, tenant_id)
    if idempotency_key is not None:
        idempotency_key = check_text(idempotency_key, field="idempotency_key", length_max=200)
    wanted, digest = read_draft(given), fingerprint(given)
    standing = _standing(work, tenant["id"], wanted.external_order_id, idempotency_key, digest)
    if standing is not None:
        return standing
    if _open_count(work, tenant["id"], open_max) >= open_max:
        raise TooManyDrafts(f"{open_max} drafts are open; check some out first", limit=open_max)
    row = _row(work, tenant, wanted) | {
        "idempotency_key": idempotency_key,
        "fingerprint": digest,
    }
    work.connection.execute(insert(draft_orders).values(row))
    for index, item in enumerate(wanted.items):
        draft_items.add(work, row, item, where=f"items[{index}]")
    if wanted.custom_fields:
        order_fields.write(work, row["id"], row["id"], wanted.custom_fields)
    return row


def get(
    connection: Connection, order_id: str, now: datetime, *, tenant_id: str | None = None
) -> Row:
    """Return a draft's row, open or checked out.

    Raises NotFound when it is not there or not the tenant's, DraftExpired from its 168th hour on.
    """
    row = None
    if is_id(order_id):
        query = select(draft_orders).where(draft_orders.c.id == order_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["tenant_id"]}:
        raise NotFound(f"no draft order {order_id!r}", field="order_id", value=order_id)
    if row["status"] == EXPIRED or (row["status"] == DRAFT and row["expires_at"] <= now):
        raise DraftExpired(
            f"draft order {row['id']} expired at {row['expires_at']:%Y-%m-%dT%H:%M:%SZ};"
            " make a new one",
            order_id=row["id"],
            external_order_id=row["external_order_id"],
        )
    return dict(row)


def add_item(work: UnitOfWork, order_id: str, item: object, *, tenant_id: str | None = None) -> Row:
    """Add an item to a draft and return its row; ``sku`` or ``product_id`` and ``quantity``.

    Without ``unit_price`` it is the recommended retail price, or what the reseller pays itself.
    Raises what ``change`` raises, or InvalidInput.
    """
    return draft_items.add(work, change(work, order_id, tenant_id), item, where="item")


def set_item(
    work: UnitOfWork,
    order_id: str,
    item_id: str,
    values: object,
    *,
    tenant_id: str | None = None,
) -> Row:
    """Change an item's ``quantity`` or ``unit_price`` and return its row."""
    return draft_items.set_(work, change(work, order_id, tenant_id), item_id, values)


def remove_item(
    work: UnitOfWork, order_id: str, item_id: str, *, tenant_id: str | None = None
) -> None:
    """Take an item out of a draft."""
    draft_items.remove(work, change(work, order_id, tenant_id), item_id)


def checkout(work: UnitOfWork, order_id: str, *, tenant_id: str | None = None) -> Row:
    """Place a draft as a chain order under the same id and return the order's row.

    Its number is ``external_order_id``, or the id. Raises what ``change`` raises, DraftEmpty,
    OrderExists when another order has the number, and what ``placing.place`` raises.
    """
    taken = {"status": CHECKED_OUT, "checked_out_at": work.now}
    draft = change(work, order_id, tenant_id, taken)
    items = draft_items.of(work.connection, draft["id"])
    if not items:
        raise DraftEmpty(
            "a draft order needs an item before it is checked out",
            current_status=DRAFT,
            allowed=["add_item"],
        )
    ids = [draft["id"], *(item["id"] for item in items)]
    order = placing.place(work, draft["tenant_id"], _order(draft, items), ids=ids)
    if order["id"] != draft["id"]:
        raise OrderExists(
            f"order {order['origin_order_number']} was placed another way",
            origin_order_number=order["origin_order_number"],
            chain_order_id=order["id"],
        )
    return order


def change(
    work: UnitOfWork,
    order_id: str,
    tenant_id: str | None,
    values: Mapping[str, Any] | None = None,
) -> Row:
    """Take hold of an open draft for a change and return its row, a version on.

    Raises NotFound, DraftExpired, or InvalidStatus for one that is checked out.
    """
    _require_draft(work, order_id, tenant_id)
    changed = (
        update(draft_orders)
        .where(
            draft_orders.c.id == order_id.lower(),
            draft_orders.c.status == DRAFT,
            draft_orders.c.expires_at > work.now,
        )
        .values(version=draft_orders.c.version + 1, updated_at=work.now, **(values or {}))
        .returning(*draft_orders.columns)
    )
    row = work.connection.execute(changed).mappings().first()
    if row is None:
        current = get(work.connection, order_id, work.now, tenant_id=tenant_id)
        raise _not_a_draft(current["status"])
    return dict(row)


def _require_draft(work: UnitOfWork, order_id: str, tenant_id: str | None) -> None:
    try:
        get(work.connection, order_id, work.now, tenant_id=tenant_id)
    except NotFound:
        query = select(chain_orders).where(chain_orders.c.id == order_id.lower())
        order = work.connection.execute(query).mappings().first() if is_id(order_id) else None
        if order is None or tenant_id not in {None, order["origin_tenant_id"]}:
            raise
        raise _not_a_draft(order["chain_status"]) from None


def _not_a_draft(current_status: str) -> InvalidStatus:
    return InvalidStatus(
        f"the order is {current_status}; only a draft can be changed or checked out",
        current_status=current_status,
        allowed=[],
    )


def _lock_tenant(work: UnitOfWork, tenant_id: str) -> Row:
    """Let one draft of a tenant be made at a time: keys and the cap then need no second look."""
    tenant = tenants.get(work.connection, tenant_id)
    mine = select(tenant_rows.c.id).where(tenant_rows.c.id == tenant["id"])
    work.connection.execute(mine.with_for_update(key_share=True))
    return tenant


def _standing(
    work: UnitOfWork, tenant_id: str, number: str | None, key: str | None, digest: str
) -> Row | None:
    """Return the draft made under one of the keys, if its content is the same."""
    reused = {"idempotency_key": IdempotencyKeyReused, "external_order_id": OrderExists}
    for column, value in (("idempotency_key", key), ("external_order_id", number)):
        if value is None:
            continue
        query = select(draft_orders).where(
            draft_orders.c.tenant_id == tenant_id, draft_orders.c[column] == value
        )
        found = work.connection.execute(query).mappings().first()
        if found is not None and found["fingerprint"] != digest:
            raise reused[column](
                f"{column} {value!r} belongs to a draft of other content", field=column, value=value
            )
        if found is not None:
            return get(work.connection, found["id"], work.now)
    return None


def _open_count(work: UnitOfWork, tenant_id: str, limit: int) -> int:
    still_open = (
        select(draft_orders.c.id)
        .where(
            draft_orders.c.tenant_id == tenant_id,
            draft_orders.c.status == DRAFT,
            draft_orders.c.expires_at > work.now,
        )
        .limit(limit)
    )
    counted = select(func.count()).select_from(still_open.subquery())
    return work.connection.execute(counted).scalar_one()


def _row(work: UnitOfWork, tenant: Row, wanted: DraftInput) -> Row:
    account = end_customers.account(work.connection, tenant, wanted.account_id)
    today = work.now.astimezone(zone(tenant["timezone"])).date()
    address = wanted.shipping_address
    return {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "account_id": account["id"],
        "external_order_id": wanted.external_order_id,
        "status": DRAFT,
        "version": 1,
        "order_date": wanted.order_date or today,
        "customer": account["customer"] if wanted.customer is None else wanted.customer,
        "shipping_address": account["shipping_address"] if address is None else address,
        "payment": wanted.payment,
        "currency": tenant["currency"],
        "created_at": work.now,
        "updated_at": work.now,
        "expires_at": work.now + LIFETIME,
    }


def _order(draft: Row, items: Sequence[Row]) -> dict[str, Any]:
    """Return the draft as document 001 would send it."""
    return {
        "origin_order_number": draft["external_order_id"] or draft["id"],
        "customer": draft["customer"],
        "shipping_address": draft["shipping_address"],
        "payment": draft["payment"],
        "items": [
            {
                "product_id": item["product_id"],
                "quantity": item["quantity"],
                "unit_price": format_amount(item["unit_price_minor"], draft["currency"]),
                "deliver_id": item["deliver_id"],
                "order_detail_id": item["order_detail_id"],
            }
            for item in items
        ],
    }
