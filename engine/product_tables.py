"""Tables of the catalogue: products and the price each tenant of the tree pays for them."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from engine.database import metadata
from engine.types import Document, Id, Percent, UtcTime

products = Table(
    "products",
    metadata,
    Column("id", Id, primary_key=True),
    # The tenant whose product this is; it sells it at the top of every chain.
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("name", String(300), nullable=False),
    Column("description", Text, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("base_cost_minor", BigInteger, nullable=False),
    Column("min_margin_percent", Percent, nullable=False),
    Column("rrp_minor", BigInteger),
    Column("stock_quantity", Integer, nullable=False),
    Column("stock_allocated", Integer, nullable=False),
    Column("track_inventory", Boolean, nullable=False),
    Column("images", Document, nullable=False),
    Column("attributes", Document, nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("tenant_id", "sku"),
    CheckConstraint("stock_allocated >= 0", name="stock_allocated"),
    CheckConstraint("stock_quantity >= 0", name="stock_quantity"),
)

#: What a tenant pays its parent: the parent's own cost plus the markup, rounded and stored.
tenant_prices = Table(
    "tenant_prices",
    metadata,
    Column("id", Id, primary_key=True),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("parent_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("margin_percent", Percent, nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("is_available", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("product_id", "tenant_id"),
)
Index("ix_tenant_prices_parent_id", tenant_prices.c.parent_id)
Index("ix_tenant_prices_tenant_id", tenant_prices.c.tenant_id)
