"""Tables of reseller programs: settings, invitations, relationships, campaigns, sales (002)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    UniqueConstraint,
    text,
)

from engine.database import metadata
from engine.types import Bytes, Document, Id, Percent, UtcTime

#: One per merchant; a merchant without a row has the defaults, switched off.
reseller_programs = Table(
    "reseller_programs",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("is_enabled", Boolean, nullable=False),
    Column("default_mode", String(20), nullable=False),
    Column("default_commission_percent", Percent, nullable=False),
    Column("default_wholesale_discount_percent", Percent, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("min_payout_threshold_minor", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

#: The e-mail is sealed for whoever wrote it and hashed to find a second invitation; the token is
#: shown once and only its SHA-256 is kept.
reseller_invitations = Table(
    "reseller_invitations",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("email_digest", String(64), nullable=False),
    Column("key_id", String(16), nullable=False),
    Column("ciphertext", Bytes, nullable=False),
    Column("token_digest", String(64), nullable=False, unique=True),
    Column("mode", String(20), nullable=False),
    Column("custom_commission_percent", Percent),
    Column("purchase_limit_daily", Integer),
    Column("product_access", Document, nullable=False),
    Column("status", String(20), nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("relationship_id", Id),
    Column("created_by", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)
_PENDING = reseller_invitations.c.status == "pending"
Index(
    "uq_reseller_invitations_pending",
    reseller_invitations.c.tenant_id,
    reseller_invitations.c.email_digest,
    unique=True,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
Index(
    "ix_reseller_invitations_tenant_id", reseller_invitations.c.tenant_id, reseller_invitations.c.id
)

#: What a merchant (parent) and a reseller (child) agreed on; null means the merchant's default.
reseller_relationships = Table(
    "reseller_relationships",
    metadata,
    Column("id", Id, primary_key=True),
    Column("parent_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("child_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("status", String(20), nullable=False),
    Column("mode", String(20), nullable=False),
    Column("custom_commission_percent", Percent),
    Column("custom_wholesale_discount_percent", Percent),
    Column("currency", String(3), nullable=False),
    Column("min_payout_threshold_minor", BigInteger),
    Column("credit_limit_minor", BigInteger),
    Column("terms_days", Integer),
    Column("purchase_limit_daily", Integer),
    # Pieces bought on the last day (UTC) on which any were: the daily limit in one update.
    Column("purchased_on", Date),
    Column("purchased_quantity", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    UniqueConstraint("parent_id", "child_id"),
    CheckConstraint("parent_id <> child_id", name="two_sides"),
    CheckConstraint("purchased_quantity >= 0", name="purchased_quantity"),
)
Index("ix_reseller_relationships_child_id", reseller_relationships.c.child_id)

#: Which products a reseller may sell, where not all of the merchant's.
reseller_product_access = Table(
    "reseller_product_access",
    metadata,
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), primary_key=True),
    Column("product_id", Id, ForeignKey("products.id"), primary_key=True),
    Column("commission_percent_override", Percent),
    Column("max_quantity", Integer),
)

#: How many pieces of a product a reseller bought in all: a maximum in one guarded update.
reseller_purchases = Table(
    "reseller_purchases",
    metadata,
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), primary_key=True),
    Column("product_id", Id, ForeignKey("products.id"), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
    CheckConstraint("quantity >= 0", name="quantity"),
)

embed_campaigns = Table(
    "embed_campaigns",
    metadata,
    Column("id", Id, primary_key=True),
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("product_ids", Document, nullable=False),
    Column("status", String(20), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
Index("ix_embed_campaigns_relationship_id", embed_campaigns.c.relationship_id, embed_campaigns.c.id)

#: A sale a reseller brought, and its commission; a merchant's reference counts once.
affiliate_sales = Table(
    "affiliate_sales",
    metadata,
    Column("id", Id, primary_key=True),
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id"), nullable=False),
    Column("parent_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("sale_reference", String(200), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("product_id", Id, ForeignKey("products.id"), nullable=False),
    Column("campaign_id", Id, ForeignKey("embed_campaigns.id")),
    Column("quantity", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("commission_percent", Percent, nullable=False),
    Column("commission_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id")),
    Column("reversal_id", Id, ForeignKey("ledger_transactions.id")),
    # The payment that brought the commission to the reseller's wallet, and, where the sale was
    # refunded after that, the payment it was kept back from.
    Column("payment_id", Id, ForeignKey("ledger_transactions.id")),
    Column("recovery_id", Id, ForeignKey("ledger_transactions.id")),
    Column("created_at", UtcTime, nullable=False),
    Column("refunded_at", UtcTime),
    UniqueConstraint("parent_id", "sale_reference"),
)
Index("ix_affiliate_sales_relationship_id", affiliate_sales.c.relationship_id, affiliate_sales.c.id)
#: Commission that one side owes the other; a constant text, so that both databases use it.
COMMISSION_OPEN = (
    "status = 'accrued' OR (status = 'refunded' AND payment_id IS NOT NULL AND recovery_id IS NULL)"
)
Index(
    "ix_affiliate_sales_open",
    affiliate_sales.c.relationship_id,
    affiliate_sales.c.id,
    sqlite_where=text(COMMISSION_OPEN),
    postgresql_where=text(COMMISSION_OPEN),
)
