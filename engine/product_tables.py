"""Tables of the catalogue: products, their stock, each tenant's price, and what it was told."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
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
    CheckConstraint("stock_quantity >= stock_allocated", name="stock_quantity"),
)
#: What may have changed since a look: every change of a price, a stock or a status comes by here.
Index("ix_products_updated_at", products.c.updated_at, products.c.id)
_ALLOCATED = products.c.stock_allocated > 0
Index(
    "ix_products_allocated",
    products.c.id,
    sqlite_where=_ALLOCATED,
    postgresql_where=_ALLOCATED,
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
    # What the parent says, and whether every hop above says so too.
    Column("is_available", Boolean, nullable=False),
    Column("is_sellable", Boolean, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("product_id", "tenant_id"),
)
#: The cascade goes from a parent to its children's prices of one product.
Index("ix_tenant_prices_parent_id", tenant_prices.c.parent_id, tenant_prices.c.product_id)
Index("ix_tenant_prices_tenant_id", tenant_prices.c.tenant_id)

#: What a tenant that has a price was told of a product last: the ``old`` of what it hears next.
told_offers = Table(
    "told_offers",
    metadata,
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("stock", Integer, nullable=False),
    Column("status", String(20), nullable=False),
    Column("is_available", Boolean, nullable=False),
    PrimaryKeyConstraint("product_id", "tenant_id"),
)

#: Products with something to tell: a window that gathers changes, and one that is being told.
product_changes = Table(
    "product_changes",
    metadata,
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("is_walking", Boolean, nullable=False),
    Column("opened_at", UtcTime, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("actor", String(200), nullable=False),
    # Who waits the longest is next: when the window opened, then when its last chunk was told.
    Column("turn_at", UtcTime, nullable=False),
    # The last tenant of the last chunk.
    Column("cursor_id", Id),
    PrimaryKeyConstraint("product_id", "is_walking"),
)
Index("ix_product_changes_turn_at", product_changes.c.turn_at)

#: Append-only: every change of a stock, by the version it gave the product.
stock_moves = Table(
    "stock_moves",
    metadata,
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("on_hand_delta", Integer, nullable=False),
    Column("allocated_delta", Integer, nullable=False),
    # What there was afterwards, so that a newest move alone tells what the product must say.
    Column("on_hand", Integer, nullable=False),
    Column("allocated", Integer, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("reference_type", String(40)),
    Column("reference_id", String(200)),
    Column("actor", String(200), nullable=False),
    Column("source", String(20), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    PrimaryKeyConstraint("product_id", "version"),
)
Index("ix_stock_moves_reference", stock_moves.c.reference_id)
