"""Collections of cash on delivery: who holds the customer's money, and whether all is paid on."""

from __future__ import annotations

from datetime import date
from itertools import product
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, select, update

from engine import paging, remittance_events, tenants
from engine.errors import NotFound
from engine.ids import is_id
from engine.inputs import check_choice
from engine.money import money_fields
from engine.order_rows import Row
from engine.order_tables import chain_orders
from engine.settlement_tables import cod_collections, remittances
from engine.unit_of_work import UnitOfWork

#: ``short`` and ``disputed``: less or more cash than the order said; finance decides.
STATUSES = ("pending", "settled", "short", "disputed", "reversed")
FLOW_TYPES = ("upstream", "downstream")


def of_order(connection: Connection, order_id: str) -> Row | None:
    """Return the collection of an order, or None where no cash was collected."""
    query = select(cod_collections).where(cod_collections.c.chain_order_id == order_id)
    found = connection.execute(query).mappings().first()
    return None if found is None else dict(found)


def get(connection: Connection, collection_id: str, *, tenant_id: str | None = None) -> Row:
    """Return one collection's row, or raise NotFound when it is not the tenant's to see.

    A tenant sees what it collected, what was collected of its own customers, and, owning the
    platform, all below it.
    """
    row = None
    if is_id(collection_id):
        query = select(cod_collections).where(cod_collections.c.id == collection_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or not _sees(connection, row, tenant_id):
        raise NotFound(
            f"no cash collection {collection_id!r}", field="collection_id", value=collection_id
        )
    return dict(row)


def history(
    connection: Connection,
    *,
    tenant_id: str | None = None,
    status: str | None = None,
    flow_type: str | None = None,
    from_date: date | None = None,
    to_date: date | None = None,
    limit: int = 50,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page of collections, newest first: ``data`` and ``next_cursor`` (document 001).

    A tenant sees what it collected and what was collected of its own customers, by days of its
    zone. Raises NotFound (tenant) or InvalidInput naming the field.
    """
    tenant = None if tenant_id is None else tenants.get(connection, tenant_id)
    statuses = STATUSES if status is None else (check_choice(status, STATUSES, field="status"),)
    flows = FLOW_TYPES if flow_type is None else (_check_flow(flow_type),)
    filters = paging.between(cod_collections.c.collected_at, from_date, to_date, tenant)
    branches = [
        (
            *side,
            cod_collections.c.flow_type == flow,
            cod_collections.c.status == each,
            *filters,
        )
        for flow, each in product(flows, statuses)
        for side in _sides(tenant)
    ]
    found = paging.newest(
        connection,
        cod_collections,
        branches,
        at=cod_collections.c.collected_at,
        limit=limit,
        after=after,
    )
    return {**found, "data": [seen(row) for row in found["data"]]}


def seen(row: Row) -> dict[str, Any]:
    """Return a collection with its amounts as numbers and in minor units."""
    names = ("expected", "collected")
    amounts = {name: row[f"{name}_minor"] for name in names}
    kept = {name: value for name, value in row.items() if not name.endswith("_minor")}
    return {**kept, **money_fields(row["currency"], **amounts)}


def settle_if_paid(work: UnitOfWork, order: Row) -> None:
    """Settle an order's collection once nothing of it is owed; the caller holds its lock."""
    owed = select(remittances.c.id).where(
        remittances.c.chain_order_id == order["id"], remittances.c.status == "pending"
    )
    if work.connection.execute(owed.limit(1)).first() is not None:
        return
    settled = (
        update(cod_collections)
        .where(
            cod_collections.c.chain_order_id == order["id"], cod_collections.c.status == "pending"
        )
        .values(status="settled", settled_at=work.now)
        .returning(*cod_collections.columns)
    )
    collection = work.connection.execute(settled).mappings().first()
    if collection is None:
        return
    work.connection.execute(
        update(chain_orders)
        .where(chain_orders.c.id == order["id"], chain_orders.c.payment_status == "collected")
        .values(payment_status="settled", updated_at=work.now)
    )
    for draft in remittance_events.collection(dict(collection), order, "settled"):
        work.raise_event(draft)


def _sees(connection: Connection, row: RowMapping, tenant_id: str | None) -> bool:
    if tenant_id in {None, row["collector_tenant_id"], row["origin_tenant_id"]}:
        return True
    owner = tenants.chain(connection, row["origin_tenant_id"])[0]
    return bool(owner["id"] == tenant_id)


def _check_flow(flow_type: str) -> str:
    return check_choice(flow_type, FLOW_TYPES, field="flow_type")


def _sides(tenant: Row | None) -> list[tuple[ColumnElement[bool], ...]]:
    """Return whose collections are meant; of its own customers' cash each is seen once."""
    if tenant is None:
        return [()]
    mine = cod_collections.c.collector_tenant_id == tenant["id"]
    return [(mine,), (cod_collections.c.origin_tenant_id == tenant["id"], ~mine)]
