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
from engine.types import Document, Id, UtcTime

cod_collections = Table(
    "cod_collections",
    metadata,
    Column("id", Id, primary_key=True),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), nullable=False, unique=True),
    Column("collector_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    # Whose customer paid; the collector's own where the cash flows downstream.
    Column("origin_tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("flow_type", String(20), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("expected_minor", BigInteger, nullable=False),
    Column("collected_minor", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), nullable=False),
    Column("collected_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
    # What finance decided of cash that was missing or too much: who, what and why.
    Column("resolution", String(20)),
    Column("borne_by_id", Id, ForeignKey("tenants.id")),
    Column("resolution_reason", String(500)),
    Column("resolved_by", String(200)),
    Column("resolved_at", UtcTime),
)
#: Lists are read newest first, one status and flow at a time; sums need no row beside them.
_NEWEST = (
    cod_collections.c.flow_type,
    cod_collections.c.status,
    cod_collections.c.collected_at,
    cod_collections.c.id,
    cod_collections.c.collected_minor,
)
Index("ix_cod_collections_collector", cod_collections.c.collector_tenant_id, *_NEWEST)
Index("ix_cod_collections_origin", cod_collections.c.origin_tenant_id, *_NEWEST)
Index("ix_cod_collections_collected_at", *_NEWEST)

#: What finance has not decided about.
_UNDECIDED = cod_collections.c.status.in_(("short", "disputed")) & (
    cod_collections.c.resolved_at.is_(None)
)
Index(
    "ix_cod_collections_undecided",
    cod_collections.c.collected_at,
    sqlite_where=_UNDECIDED,
    postgresql_where=_UNDECIDED,
)

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
    # What made it: the settlement of a delivery, a difference of cash, or the return of the goods.
    Column("reason", String(20), nullable=False),
    # How many neighbours the cash passes before it reaches this payer, from 1.
    Column("hop", Integer, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("due_tz", String(64), nullable=False),
    Column("due_at", UtcTime, nullable=False),
    # The version of the time zone rules that ``due_at`` was resolved under.
    Column("due_rules", String(10), nullable=False),
    # What was agreed when it was made: steps, cutoff, grace, catch-up (``engine.ladders``).
    Column("ladder", Document, nullable=False),
    Column("schedule_version", Integer, nullable=False),
    # A flag, not a status: a late remittance can still be paid.
    Column("overdue_since", UtcTime),
    Column("transaction_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
    # Cancelled as bad debt, by this transaction.
    Column("write_off_id", Id, ForeignKey("ledger_transactions.id"), unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("completed_at", UtcTime),
    Column("cancelled_at", UtcTime),
)
Index("ix_remittances_chain_order_id", remittances.c.chain_order_id)
#: Lists are read newest first, one status at a time.
_OF_STATUS = (remittances.c.status, remittances.c.created_at, remittances.c.id)
Index("ix_remittances_payer", remittances.c.payer_id, *_OF_STATUS)
Index("ix_remittances_payee", remittances.c.payee_id, *_OF_STATUS)
Index("ix_remittances_status", *_OF_STATUS)
#: Sums over what was paid since a day, without its rows.
_PAID = remittances.c.completed_at.is_not(None)
for _name, _side in (
    ("payer_completed", (remittances.c.payer_id,)),
    ("payee_completed", (remittances.c.payee_id,)),
    ("completed", ()),
):
    Index(
        f"ix_remittances_{_name}",
        *_side,
        remittances.c.completed_at,
        remittances.c.amount_minor,
        sqlite_where=_PAID,
        postgresql_where=_PAID,
    )
_OPEN = remittances.c.status == "pending"
#: The status too: SQLite, which is not analysed, would take the index of states for it.
Index(
    "ix_remittances_open_due_at",
    remittances.c.status,
    remittances.c.due_at,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)
#: What was paid or cancelled since somebody last looked.
_ONCE_PAID = remittances.c.status == "completed"
_UNDONE = remittances.c.status == "cancelled"
Index(
    "ix_remittances_completed_at",
    remittances.c.completed_at,
    sqlite_where=_ONCE_PAID,
    postgresql_where=_ONCE_PAID,
)
Index(
    "ix_remittances_cancelled_at",
    remittances.c.cancelled_at,
    sqlite_where=_UNDONE,
    postgresql_where=_UNDONE,
)
#: Due dates resolved under older rules are found without looking at the others.
Index(
    "ix_remittances_open_due_rules",
    remittances.c.status,
    remittances.c.due_rules,
    sqlite_where=_OPEN,
    postgresql_where=_OPEN,
)

#: What time alone makes true: each row reaches exactly one outcome.
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
_EMITTED = milestones.c.outcome == "emitted"
Index(
    "ix_milestones_emitted_outcome_at",
    milestones.c.outcome_at,
    sqlite_where=_EMITTED,
    postgresql_where=_EMITTED,
)
#: An event that a milestone names is kept.
Index(
    "ix_milestones_event_id",
    milestones.c.event_id,
    sqlite_where=milestones.c.event_id.is_not(None),
    postgresql_where=milestones.c.event_id.is_not(None),
)
