"""End customers: whom a reseller orders for (document 003, accounts)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from engine import tenants
from engine.draft_tables import end_customers
from engine.errors import AlreadyExists, InvalidInput, NotFound
from engine.ids import is_id, new_id
from engine.inputs import check_document, check_keys, check_text
from engine.unit_of_work import UnitOfWork
from engine.upserts import insert_missing

FIELDS = ("name", "external_id", "customer", "shipping_address")

Row = dict[str, Any]


def create(work: UnitOfWork, tenant_id: str, given: Mapping[str, Any]) -> Row:
    """Add an end customer of a tenant and return its row.

    ``name`` alone is needed; ``customer`` and ``shipping_address`` are what its orders will say.
    Raises InvalidInput, NotFound (tenant) or AlreadyExists (``external_id``).
    """
    tenant = tenants.get(work.connection, tenant_id)
    fields = check_keys(given, FIELDS, field="customer")
    external_id = fields.get("external_id")
    name = check_text(fields.get("name"), field="name", length_max=200)
    details = check_document(fields.get("customer") or {}, dict, field="customer")
    row = {
        "id": new_id(),
        "tenant_id": tenant["id"],
        "external_id": None
        if external_id is None
        else check_text(external_id, field="external_id", length_max=100),
        "name": name,
        "customer": {"name": name, **details},
        "shipping_address": check_document(
            fields.get("shipping_address") or {}, dict, field="shipping_address"
        ),
        "created_at": work.now,
    }
    if not insert_missing(work.connection, end_customers, [row], ["tenant_id", "external_id"]):
        raise AlreadyExists(f"there is an end customer {external_id!r}", field="external_id")
    return row


def get(connection: Connection, customer_id: str, *, tenant_id: str | None = None) -> Row:
    """Return one end customer's row, or raise NotFound when it is not the tenant's."""
    row = None
    if is_id(customer_id):
        query = select(end_customers).where(end_customers.c.id == customer_id.lower())
        row = connection.execute(query).mappings().first()
    if row is None or tenant_id not in {None, row["tenant_id"]}:
        raise NotFound(f"no end customer {customer_id!r}", field="account_id", value=customer_id)
    return dict(row)


def listing(connection: Connection, tenant_id: str, *, limit: int = 100) -> list[Row]:
    """Return a tenant's end customers, newest first."""
    query = select(end_customers).where(end_customers.c.tenant_id == tenant_id)
    newest_first = query.order_by(end_customers.c.id.desc()).limit(limit)
    return [dict(row) for row in connection.execute(newest_first).mappings()]


def account(connection: Connection, tenant: Mapping[str, Any], account_id: object) -> Row:
    """Return the account a reseller selects: its own, or one of its end customers'.

    Raises InvalidInput for any other, whether or not it exists.
    """
    if isinstance(account_id, str) and account_id.lower() == tenant["id"]:
        own = {"name": tenant["name"]}
        return {"id": tenant["id"], "customer": own, "shipping_address": {}}
    try:
        return get(connection, str(account_id), tenant_id=tenant["id"])
    except NotFound:
        raise InvalidInput(
            "account_id must be the reseller's own account or one of its end customers'",
            field="account_id",
        ) from None
