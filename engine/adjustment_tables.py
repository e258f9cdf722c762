"""Table of adjustments: what one person asked to have posted and another decided."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table

from engine.database import metadata
from engine.types import Document, Id, UtcTime

adjustments = Table(
    "adjustments",
    metadata,
    Column("id", Id, primary_key=True),
    # Whose wallet, and by how much (below zero: taken); null for entries given one by one.
    Column("tenant_id", Id, ForeignKey("tenants.id")),
    Column("amount_minor", BigInteger),
    Column("currency", String(3), nullable=False),
    Column("entries", Document, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("status", String(20), nullable=False),
    Column("requested_by", String(200), nullable=False),
    Column("requested_at", UtcTime, nullable=False),
    Column("decided_by", String(200)),
    Column("decided_at", UtcTime),
    Column("decision_reason", String(500)),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
)
_WAITING = adjustments.c.status == "requested"
Index(
    "ix_adjustments_requested",
    adjustments.c.id,
    sqlite_where=_WAITING,
    postgresql_where=_WAITING,
)
Index("ix_adjustments_tenant_id", adjustments.c.tenant_id, adjustments.c.id)
