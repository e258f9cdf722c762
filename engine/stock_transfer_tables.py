"""Tables of wholesale: stock transfers, the serials they move, fulfilments (document 002)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from engine.database import metadata
from engine.types import Bytes, Id, Percent, UtcTime

stock_transfers = Table(
    "stock_transfers",
    metadata,
    Column("id", Id, primary_key=True),
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), nullable=False),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("delivered_quantity", Integer, nullable=False),
    # What was agreed when it was requested; later discounts do not change it.
    Column("wholesale_discount_percent", Percent, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("invoice_id", Id),
    Column("payment_method", String(20)),
    Column("payment_reference", String(200)),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id")),
    Column("requested_by", String(200), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("invoiced_at", UtcTime),
    Column("paid_at", UtcTime),
    Column("allocated_at", UtcTime),
    Column("closed_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    CheckConstraint("delivered_quantity BETWEEN 0 AND quantity", name="delivered_quantity"),
)
Index("ix_stock_transfers_relationship_id", stock_transfers.c.relationship_id, stock_transfers.c.id)
#: Constant texts, not parameters: only so do both databases see that a partial index fits.
UNPAID = "status IN ('requested', 'invoiced')"
AVAILABLE = "status = 'available'"
Index(
    "ix_stock_transfers_unpaid",
    stock_transfers.c.expires_at,
    sqlite_where=text(UNPAID),
    postgresql_where=text(UNPAID),
)

#: The timeline of a transfer: one row per change of its status, with who did it.
stock_transfer_log = Table(
    "stock_transfer_log",
    metadata,
    Column("transfer_id", Id, ForeignKey("stock_transfers.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("from_status", String(20)),
    Column("to_status", String(20), nullable=False),
    Column("action", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("source", String(20), nullable=False),
    Column("at", UtcTime, nullable=False),
)

fulfillments = Table(
    "fulfillments",
    metadata,
    Column("id", Id, primary_key=True),
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), nullable=False),
    Column("external_order_id", String(100)),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("quantity", Integer, nullable=False),
    # SHA-256 of the buyer's e-mail within the relationship: enough to know it again.
    Column("customer_digest", String(64), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id")),
    Column("reversal_id", Id, ForeignKey("ledger_transactions.id")),
    Column("created_at", UtcTime, nullable=False),
    Column("delivered_at", UtcTime),
    Column("refunded_at", UtcTime),
    UniqueConstraint("relationship_id", "external_order_id"),
)

Index("ix_fulfillments_relationship_id", fulfillments.c.relationship_id, fulfillments.c.id)

#: One serial each, sealed; it goes to a reseller once and to a customer once.
stock_items = Table(
    "stock_items",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    # SHA-256 within the product, so that a serial is not put into stock twice.
    Column("digest", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("ciphertext", Bytes, nullable=False),
    Column("status", String(20), nullable=False),
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id")),
    Column("transfer_id", Id, ForeignKey("stock_transfers.id")),
    Column("fulfillment_id", Id, ForeignKey("fulfillments.id")),
    Column("delivered_to_hash", String(64)),
    Column("created_at", UtcTime, nullable=False),
    Column("allocated_at", UtcTime),
    Column("delivered_at", UtcTime),
    UniqueConstraint("product_id", "digest"),
    CheckConstraint("(status = 'available') = (relationship_id IS NULL)", name="taken"),
    CheckConstraint("(status = 'delivered') <= (delivered_to_hash IS NOT NULL)", name="delivered"),
)
Index(
    "ix_stock_items_available",
    stock_items.c.product_id,
    stock_items.c.id,
    sqlite_where=text(AVAILABLE),
    postgresql_where=text(AVAILABLE),
)
Index("ix_stock_items_transfer_id", stock_items.c.transfer_id)
Index("ix_stock_items_fulfillment_id", stock_items.c.fulfillment_id)
Index("ix_stock_items_relationship_id", stock_items.c.relationship_id, stock_items.c.id)
