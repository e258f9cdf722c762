"""Tables of settlement: collections, their remittances, and the milestones of each."""

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
from engine.types import Id, UtcTime

cod_collections = Table(
    "cod_collections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), nullable=False, unique=True),
    Column("collector_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("flow_type", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("expected_minor", BigInteger, nullable=False),
    Column("collected_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("collected_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
)
Index("ix_cod_collections_collector", cod_collections.c.collector_tenant_id)

remittances = Table(
    "remittances",
    metadata,
    Column("id", Id, primary_key=True),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), nullable=False),
    Column("collection_id", Id, ForeignKey("cod_collections.id"), nullable=False),
    Column("payer_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("payee_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(20), nullable=False),
    # How many neighbours the cash passes before it reaches this payer, from 1.
    Column("hop", Integer, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("due_tz", String(64), nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("schedule_version", Integer, nullable=False),
    # A flag, not a status: a late remittance can still be paid.
    Column("overdue_since", UtcTime),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("cancelled_at", UtcTime),
)
Index("ix_remittances_chain_order_id", remittances.c.chain_order_id)
Index("ix_remittances_payer", remittances.c.payer_id, remittances.c.status)
Index("ix_remittances_payee", remittances.c.payee_id, remittances.c.status)
_OPEN = remittances.c.status == "pending"
Index(
    "ix_remittances_open_due_at",
    remittances.c.due_at,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

#: What time alone makes true: each row reaches exactly one outcome (domain.md 1.3).
milestones = Table(
    "milestones",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subject_type", String(40), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("schedule_version", Integer, nullable=False),
    Column("code", String(20), nullable=False),
    Column("recipient_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("event", String(100), nullable=False),
    Column("fire_at", UtcTime, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("outcome_at", UtcTime),
    Column("event_id", Id),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint(
        "subject_type", "subject_id", "schedule_version", "code", "recipient_tenant_id"
    ),
)
_PENDING = milestones.c.outcome == "pending"
Index(
    "ix_milestones_pending_fire_at",
    milestones.c.fire_at,
    milestones.c.id,
    sqlite_where=_PENDING,
    postgresql_where=_PENDING,
)
Index("ix_milestones_subject_id", milestones.c.subject_id)
#: An event that a milestone names is kept.
Index(
    "ix_milestones_event_id",
    milestones.c.event_id,
    sqlite_where=milestones.c.event_id.is_not(None),
    postgresql_where=milestones.c.event_id.is_not(None),
)
