"""Tables of draft orders (document 003): the draft, its items, and whom it is for."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
)

from engine.database import metadata
from engine.types import Document, Id, UtcTime

#: Whom a reseller orders for, beside itself.
end_customers = Table(
    "end_customers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("external_id", String(100)),
    Column("name", String(200), nullable=False),
    Column("customer", Document, nullable=False),
    Column("shipping_address", Document, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant_id", "external_id"),
)

#: An order that is not placed yet. Its id, and those of its items, stay the chain order's.
draft_orders = Table(
    "draft_orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    # The tenant itself, or one of its end customers.
    Column("account_id", Id, nullable=False),
    Column("external_order_id", String(100)),
    Column("idempotency_key", String(200)),
    # What was asked, so that a repetition is told apart from another draft under the same key.
    Column("fingerprint", String(64), nullable=False),
    Column("status", String(12), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("order_date", Date, nullable=False),
    Column("customer", Document, nullable=False),
    Column("shipping_address", Document, nullable=False),
    Column("payment", Document, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("expiring_told_at", UtcTime),
    Column("checked_out_at", UtcTime),
    Column("expired_at", UtcTime),
    UniqueConstraint("tenant_id", "external_order_id"),
    UniqueConstraint("tenant_id", "idempotency_key"),
)
_OPEN = draft_orders.c.status == "draft"
_UNTOLD = _OPEN & draft_orders.c.expiring_told_at.is_(None)
_EXPIRED = draft_orders.c.status == "expired"
Index(
    "ix_draft_orders_open",
    draft_orders.c.tenant_id,
    draft_orders.c.id,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
#: The three questions of the sweep: what is over, what will be soon, what may be forgotten.
Index(
    "ix_draft_orders_open_expires_at",
    draft_orders.c.expires_at,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
Index(
    "ix_draft_orders_untold_expires_at",
    draft_orders.c.expires_at,
    sqlite_where=_UNTOLD,
    postgresql_where=_UNTOLD,
)
Index(
    "ix_draft_orders_expired_at",
    draft_orders.c.expired_at,
    sqlite_where=_EXPIRED,
    postgresql_where=_EXPIRED,
)

draft_items = Table(
    "draft_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("draft_order_id", Id, ForeignKey("draft_orders.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("name", String(300), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("deliver_id", String(200)),
    Column("order_detail_id", BigInteger),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("draft_order_id", "position"),
)

#: Custom fields of an order, or characteristics of one of its items; drafts and orders alike.
order_fields = Table(
    "order_fields",
    metadata,
    # The order, or the item.
    Column("subject_id", Id, primary_key=True),
    Column("order_id", Id, nullable=False),
    Column("fields", Document, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)
Index("ix_order_fields_order_id", order_fields.c.order_id)
