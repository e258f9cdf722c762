"""Tables of chain orders: the order, its hops with their prices, its lines and its timeline."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
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
from engine.types import Document, Id, UtcTime

chain_orders = Table(
    "chain_orders",
    metadata,
    Column("id", Id, primary_key=True),
    Column("origin_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("origin_order_number", String(100), nullable=False),
    # What was asked, so that the same number with other content is told apart from a repetition.
    Column("fingerprint", String(64), nullable=False),
    Column("chain_status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("holder_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("fulfiller_tenant_id", Id, ForeignKey("tenants.id")),
    # Who takes the cash; null means whoever fulfils.
    Column("collector_tenant_id", Id, ForeignKey("tenants.id")),
    Column("customer", Document, nullable=False),
    Column("shipping_address", Document, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("origin_total_minor", BigInteger, nullable=False),
    Column("cod_amount_minor", BigInteger, nullable=False),
    # The origin's choice when it placed the order.
    Column("hide_origin_total", Boolean, nullable=False, default=False),
    Column("payment_method", String(20), nullable=False),
    Column("payment_status", String(20), nullable=False),
    Column("carrier", String(100)),
    Column("tracking_number", String(100)),
    Column("cancel_reason", String(500)),
    Column("upstream_ref", String(200)),
    Column("upstream_status", String(40)),
    Column("forwarded_at", UtcTime),
    Column("accepted_at", UtcTime),
    Column("shipped_at", UtcTime),
    Column("delivered_at", UtcTime),
    Column("cancelled_at", UtcTime),
    Column("returned_at", UtcTime),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("origin_tenant_id", "origin_order_number"),
)
Index("ix_chain_orders_updated_at", chain_orders.c.updated_at, chain_orders.c.id)
Index("ix_chain_orders_holder", chain_orders.c.holder_tenant_id, chain_orders.c.chain_status)
#: What a courier calls an order by: its parcel, or the number the customer knows.
_SENT = text("carrier IS NOT NULL")
Index(
    "ix_chain_orders_tracking_number",
    chain_orders.c.tracking_number,
    postgresql_where=_SENT,
    sqlite_where=_SENT,
)
Index(
    "ix_chain_orders_origin_order_number",
    chain_orders.c.origin_order_number,
    postgresql_where=_SENT,
    sqlite_where=_SENT,
)
Index("ix_chain_orders_status", chain_orders.c.chain_status, chain_orders.c.updated_at)

#: One row per tenant from the product's owner (position 0) down to the origin; sums over all lines.
chain_hops = Table(
    "chain_hops",
    metadata,
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("cost_minor", BigInteger, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("hop_status", String(20), nullable=False),
    Column("visible_at", UtcTime),
    # The version of the order this tenant saw first; it is told of the later ones.
    Column("visible_version", BigInteger),
    UniqueConstraint("chain_order_id", "tenant_id"),
)
Index("ix_chain_hops_tenant_id", chain_hops.c.tenant_id, chain_hops.c.chain_order_id)

order_lines = Table(
    "order_lines",
    metadata,
    Column("id", Id, primary_key=True),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("sku", String(100), nullable=False),
    Column("name", String(300), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price_minor", BigInteger, nullable=False),
    # Minor units one piece costs each tenant of the chain, by the position of its hop.
    Column("unit_costs_minor", Document, nullable=False),
    Column("deliver_id", String(200)),
    Column("order_detail_id", BigInteger),
    Column("line_status", String(20), nullable=False),
    Column("delivery_data", Document, nullable=False),
    Column("delivery_note", String(1000)),
    Column("version", BigInteger, nullable=False),
    UniqueConstraint("chain_order_id", "position"),
)

#: The timeline: one row per version of the order.
order_log = Table(
    "order_log",
    metadata,
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("from_status", String(20)),
    Column("to_status", String(20), nullable=False),
    Column("action", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("source", String(20), nullable=False),
    Column("reason", String(500)),
    Column("at", UtcTime, nullable=False),
)
