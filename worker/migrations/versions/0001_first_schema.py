"""The first schema: tenants, orders, money, events, deliveries, reconciliation."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import text

from engine import types

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "attempts",
        sa.Column("delivery_id", types.Id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), nullable=False),
        sa.Column("started_at", types.UtcTime(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=200), nullable=True),
        sa.Column("response_excerpt", sa.String(length=4096), nullable=True),
        sa.Column("trigger", sa.String(length=10), nullable=False),
        sa.Column("decided", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "number", "lease_token", name=op.f("pk_attempts")),
    )
    op.create_table(
        "courier_files",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("courier", sa.String(length=100), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("lines", sa.Integer(), nullable=False),
        sa.Column("from_at", types.UtcTime(), nullable=True),
        sa.Column("until_at", types.UtcTime(), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("imported_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courier_files")),
        sa.UniqueConstraint("digest", name=op.f("uq_courier_files_digest")),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("event_id", types.Id, nullable=False),
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("attempts_before", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("trigger", sa.String(length=10), server_default="scheduled", nullable=False),
        sa.Column("next_attempt_at", types.UtcTime(), nullable=True),
        sa.Column("last_status_code", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("settled_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
    )
    op.create_index(
        "ix_deliveries_created_at",
        "deliveries",
        ["created_at"],
        unique=False,
        postgresql_using="brin",
    )
    op.create_index(
        "ix_deliveries_failed",
        "deliveries",
        ["endpoint_id", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('failed', 'cancelled')"),
        sqlite_where=sa.text("state IN ('failed', 'cancelled')"),
    )
    op.create_index(
        "ix_deliveries_failed_settled",
        "deliveries",
        ["settled_at", "id"],
        unique=False,
        postgresql_where=sa.text("state IN ('failed', 'cancelled')"),
        sqlite_where=sa.text("state IN ('failed', 'cancelled')"),
    )
    op.create_index(
        "ix_deliveries_open",
        "deliveries",
        ["endpoint_id", "next_attempt_at", "id"],
        unique=False,
        postgresql_where=sa.text("next_attempt_at IS NOT NULL"),
        sqlite_where=sa.text("next_attempt_at IS NOT NULL"),
    )
    op.create_index(
        "uq_deliveries_event_endpoint", "deliveries", ["event_id", "endpoint_id"], unique=True
    )
    op.create_table(
        "delivery_policies",
        sa.Column("event_type", sa.String(length=100), nullable=False),
        sa.Column("retry_schedule", types.Document, nullable=True),
        sa.Column("deliver_within_seconds", sa.Integer(), nullable=True),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("event_type", name=op.f("pk_delivery_policies")),
    )
    op.create_table(
        "discrepancies",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("check", sa.String(length=20), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("policy", sa.String(length=10), nullable=False),
        sa.Column("tenant_id", types.Id, nullable=True),
        sa.Column("expected", types.Document, nullable=True),
        sa.Column("actual", types.Document, nullable=True),
        sa.Column("key", types.Document, nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("owner", sa.String(length=200), nullable=True),
        sa.Column("due_at", types.UtcTime(), nullable=True),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("heal_action", sa.String(length=200), nullable=True),
        sa.Column("heal_reference", sa.String(length=200), nullable=True),
        sa.Column("last_run_id", types.Id, nullable=True),
        sa.Column("first_seen_at", types.UtcTime(), nullable=False),
        sa.Column("last_seen_at", types.UtcTime(), nullable=False),
        sa.Column("settled_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancies")),
    )
    op.create_index("ix_discrepancies_last_run_id", "discrepancies", ["last_run_id"], unique=False)
    op.create_index(
        "ix_discrepancies_settled_at",
        "discrepancies",
        ["settled_at"],
        unique=False,
        postgresql_where=sa.text("settled_at IS NOT NULL"),
        sqlite_where=sa.text("settled_at IS NOT NULL"),
    )
    op.create_index(
        "uq_discrepancies_standing",
        "discrepancies",
        ["check", "subject"],
        unique=True,
        postgresql_where=sa.text("settled_at IS NULL"),
        sqlite_where=sa.text("settled_at IS NULL"),
    )
    op.create_table(
        "discrepancy_log",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("discrepancy_id", types.Id, nullable=False),
        sa.Column("run_id", types.Id, nullable=True),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("note", sa.String(length=1000), nullable=True),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancy_log")),
    )
    op.create_index(
        "ix_discrepancy_log_discrepancy_id", "discrepancy_log", ["discrepancy_id"], unique=False
    )
    op.create_table(
        "event_types",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("json_schema", types.Document, nullable=True),
        sa.Column("registered_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_types")),
    )
    op.create_table(
        "inbound_messages",
        sa.Column("upstream_id", types.Id, nullable=False),
        sa.Column("message_id", sa.String(length=200), nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("received_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("upstream_id", "message_id", name=op.f("pk_inbound_messages")),
    )
    op.create_index(
        "ix_inbound_messages_received_at", "inbound_messages", ["received_at"], unique=False
    )
    op.create_table(
        "leaderships",
        sa.Column("duty", sa.String(length=40), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("lease_until", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("duty", name=op.f("pk_leaderships")),
    )
    op.create_table(
        "ledger_accounts",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("book", sa.String(length=36), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("normal", sa.String(length=6), nullable=False),
        sa.Column("posted_debits", sa.BigInteger(), nullable=False),
        sa.Column("posted_credits", sa.BigInteger(), nullable=False),
        sa.Column("pending_debits", sa.BigInteger(), nullable=False),
        sa.Column("pending_credits", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("digest", types.Bytes, nullable=False),
        sa.Column("frozen", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
        sa.UniqueConstraint(
            "book", "code", "currency", name=op.f("uq_ledger_accounts_book_code_currency")
        ),
    )
    op.create_table(
        "ledger_transactions",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("reference_type", sa.String(length=40), nullable=False),
        sa.Column("reference_id", sa.String(length=200), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("idempotency_key", sa.String(length=300), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("reverses_id", types.Id, nullable=True),
        sa.Column("metadata", types.Document, nullable=True),
        sa.Column("posted_by", sa.String(length=200), nullable=False),
        sa.Column("event_at", types.UtcTime(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("digest", types.Bytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["reverses_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_ledger_transactions_reverses_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_transactions")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_ledger_transactions_idempotency_key")),
        sa.UniqueConstraint("reverses_id", name=op.f("uq_ledger_transactions_reverses_id")),
    )
    op.create_index(
        "ix_ledger_transactions_kind", "ledger_transactions", ["kind", "id"], unique=False
    )
    op.create_index(
        "ix_ledger_transactions_reference",
        "ledger_transactions",
        ["reference_type", "reference_id"],
        unique=False,
    )
    op.create_table(
        "manifests",
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("events_count", sa.Integer(), nullable=False),
        sa.Column("first_event_id", types.Id, nullable=True),
        sa.Column("last_event_id", types.Id, nullable=True),
        sa.Column("events_digest", sa.String(length=64), nullable=False),
        sa.Column("previous_digest", sa.String(length=64), nullable=False),
        sa.Column("body", types.Bytes, nullable=False),
        sa.Column("signature", sa.String(length=500), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint_id", "day", name=op.f("pk_manifests")),
    )
    op.create_table(
        "order_fields",
        sa.Column("subject_id", types.Id, nullable=False),
        sa.Column("order_id", types.Id, nullable=False),
        sa.Column("fields", types.Document, nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("subject_id", name=op.f("pk_order_fields")),
    )
    op.create_index("ix_order_fields_order_id", "order_fields", ["order_id"], unique=False)
    op.create_table(
        "outbox",
        sa.Column("event_id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("event_type", sa.String(length=100), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "rendered_bodies",
        sa.Column("event_id", types.Id, nullable=False),
        sa.Column("profile", sa.String(length=20), nullable=False),
        sa.Column("body", types.Bytes, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "profile", name=op.f("pk_rendered_bodies")),
    )
    op.create_table(
        "replays",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("selection", types.Document, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("matched", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("armed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rate_per_second", sa.Float(), nullable=True),
        sa.Column("new_ids", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("cursor_id", types.Id, nullable=True),
        sa.Column("next_step_at", types.UtcTime(), nullable=True),
        sa.Column("lease_until", types.UtcTime(), nullable=True),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.Column("changes", types.Document, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=True),
        sa.Column("finished_at", types.UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_index(
        "ix_replays_open",
        "replays",
        ["next_step_at"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "runs",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("batch_id", types.Id, nullable=False),
        sa.Column("check", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("as_of", types.UtcTime(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("sweep", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("cursor", sa.String(length=300), nullable=True),
        sa.Column("scanned", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("healed", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("left_open", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("started_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_batch_id", "runs", ["batch_id"], unique=False)
    op.create_index("ix_runs_check", "runs", ["check", "as_of"], unique=False)
    op.create_index(
        "ix_runs_running",
        "runs",
        ["check"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("parent_id", types.Id, nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=400), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("hide_origin_total", sa.Boolean(), nullable=False),
        sa.Column("needs_approval", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.CheckConstraint("depth >= 0 AND depth < 8", name=op.f("ck_tenants_depth")),
        sa.ForeignKeyConstraint(["parent_id"], ["tenants.id"], name=op.f("fk_tenants_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_index("ix_tenants_parent_id", "tenants", ["parent_id"], unique=False)
    op.create_table(
        "account_freezes",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("account_id", types.Id, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("frozen_by", sa.String(length=200), nullable=False),
        sa.Column("frozen_at", types.UtcTime(), nullable=False),
        sa.Column("unfreeze_reason", sa.String(length=500), nullable=True),
        sa.Column("unfrozen_by", sa.String(length=200), nullable=True),
        sa.Column("unfrozen_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name=op.f("fk_account_freezes_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_freezes")),
    )
    op.create_index(
        "ix_account_freezes_account_id", "account_freezes", ["account_id"], unique=False
    )
    op.create_index(
        "uq_account_freezes_standing",
        "account_freezes",
        ["account_id"],
        unique=True,
        sqlite_where=sa.text("unfrozen_at IS NULL"),
        postgresql_where=sa.text("unfrozen_at IS NULL"),
    )
    op.create_table(
        "adjustments",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=True),
        sa.Column("amount_minor", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("entries", types.Document, nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("requested_at", types.UtcTime(), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("decided_at", types.UtcTime(), nullable=True),
        sa.Column("decision_reason", sa.String(length=500), nullable=True),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_adjustments_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_adjustments_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_adjustments_transaction_id")),
    )
    op.create_index(
        "ix_adjustments_requested",
        "adjustments",
        ["id"],
        unique=False,
        sqlite_where=sa.text("status = 'requested'"),
        postgresql_where=sa.text("status = 'requested'"),
    )
    op.create_index("ix_adjustments_tenant_id", "adjustments", ["tenant_id", "id"], unique=False)
    op.create_table(
        "chain_orders",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("origin_tenant_id", types.Id, nullable=False),
        sa.Column("origin_order_number", sa.String(length=100), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("chain_status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("holder_tenant_id", types.Id, nullable=False),
        sa.Column("fulfiller_tenant_id", types.Id, nullable=True),
        sa.Column("collector_tenant_id", types.Id, nullable=True),
        sa.Column("customer", types.Document, nullable=False),
        sa.Column("shipping_address", types.Document, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("origin_total_minor", sa.BigInteger(), nullable=False),
        sa.Column("cod_amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("hide_origin_total", sa.Boolean(), nullable=False),
        sa.Column("payment_method", sa.String(length=20), nullable=False),
        sa.Column("payment_status", sa.String(length=20), nullable=False),
        sa.Column("carrier", sa.String(length=100), nullable=True),
        sa.Column("tracking_number", sa.String(length=100), nullable=True),
        sa.Column("cancel_reason", sa.String(length=500), nullable=True),
        sa.Column("upstream_ref", sa.String(length=200), nullable=True),
        sa.Column("upstream_status", sa.String(length=40), nullable=True),
        sa.Column("forwarded_at", types.UtcTime(), nullable=True),
        sa.Column("accepted_at", types.UtcTime(), nullable=True),
        sa.Column("shipped_at", types.UtcTime(), nullable=True),
        sa.Column("delivered_at", types.UtcTime(), nullable=True),
        sa.Column("cancelled_at", types.UtcTime(), nullable=True),
        sa.Column("returned_at", types.UtcTime(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collector_tenant_id"],
            ["tenants.id"],
            name=op.f("fk_chain_orders_collector_tenant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["fulfiller_tenant_id"],
            ["tenants.id"],
            name=op.f("fk_chain_orders_fulfiller_tenant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["holder_tenant_id"], ["tenants.id"], name=op.f("fk_chain_orders_holder_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["origin_tenant_id"], ["tenants.id"], name=op.f("fk_chain_orders_origin_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_orders")),
        sa.UniqueConstraint(
            "origin_tenant_id",
            "origin_order_number",
            name=op.f("uq_chain_orders_origin_tenant_id_origin_order_number"),
        ),
    )
    op.create_index(
        "ix_chain_orders_holder", "chain_orders", ["holder_tenant_id", "chain_status"], unique=False
    )
    op.create_index(
        "ix_chain_orders_origin_order_number",
        "chain_orders",
        ["origin_order_number"],
        unique=False,
        postgresql_where=sa.text("carrier IS NOT NULL"),
        sqlite_where=sa.text("carrier IS NOT NULL"),
    )
    op.create_index(
        "ix_chain_orders_status", "chain_orders", ["chain_status", "updated_at"], unique=False
    )
    op.create_index(
        "ix_chain_orders_tracking_number",
        "chain_orders",
        ["tracking_number"],
        unique=False,
        postgresql_where=sa.text("carrier IS NOT NULL"),
        sqlite_where=sa.text("carrier IS NOT NULL"),
    )
    op.create_index(
        "ix_chain_orders_updated_at", "chain_orders", ["updated_at", "id"], unique=False
    )
    op.create_table(
        "draft_orders",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("account_id", types.Id, nullable=False),
        sa.Column("external_order_id", sa.String(length=100), nullable=True),
        sa.Column("idempotency_key", sa.String(length=200), nullable=True),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("order_date", sa.Date(), nullable=False),
        sa.Column("customer", types.Document, nullable=False),
        sa.Column("shipping_address", types.Document, nullable=False),
        sa.Column("payment", types.Document, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.Column("expiring_told_at", types.UtcTime(), nullable=True),
        sa.Column("checked_out_at", types.UtcTime(), nullable=True),
        sa.Column("expired_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_draft_orders_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft_orders")),
        sa.UniqueConstraint(
            "tenant_id",
            "external_order_id",
            name=op.f("uq_draft_orders_tenant_id_external_order_id"),
        ),
        sa.UniqueConstraint(
            "tenant_id", "idempotency_key", name=op.f("uq_draft_orders_tenant_id_idempotency_key")
        ),
    )
    op.create_index(
        "ix_draft_orders_expired_at",
        "draft_orders",
        ["expired_at"],
        unique=False,
        sqlite_where=sa.text("status = 'expired'"),
        postgresql_where=sa.text("status = 'expired'"),
    )
    op.create_index(
        "ix_draft_orders_open",
        "draft_orders",
        ["tenant_id", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'draft'"),
        postgresql_where=sa.text("status = 'draft'"),
    )
    op.create_index(
        "ix_draft_orders_open_expires_at",
        "draft_orders",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'draft'"),
        postgresql_where=sa.text("status = 'draft'"),
    )
    op.create_index(
        "ix_draft_orders_untold_expires_at",
        "draft_orders",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status = 'draft' AND expiring_told_at IS NULL"),
        postgresql_where=sa.text("status = 'draft' AND expiring_told_at IS NULL"),
    )
    op.create_table(
        "due_ladders",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("child_id", types.Id, nullable=False),
        sa.Column("ladder", types.Document, nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("updated_by", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["child_id"], ["tenants.id"], name=op.f("fk_due_ladders_child_id")),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_due_ladders_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "child_id", name=op.f("pk_due_ladders")),
    )
    op.create_table(
        "end_customers",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("external_id", sa.String(length=100), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("customer", types.Document, nullable=False),
        sa.Column("shipping_address", types.Document, nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_end_customers_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_end_customers")),
        sa.UniqueConstraint(
            "tenant_id", "external_id", name=op.f("uq_end_customers_tenant_id_external_id")
        ),
    )
    op.create_table(
        "endpoints",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("url", sa.String(length=2048), nullable=False),
        sa.Column("events", types.Document, nullable=False),
        sa.Column("profile", sa.String(length=20), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_reason", sa.String(length=200), nullable=True),
        sa.Column("paused_until", types.UtcTime(), nullable=True),
        sa.Column("max_in_flight", sa.Integer(), nullable=False),
        sa.Column("rate_per_second", sa.Float(), nullable=True),
        sa.Column("ordering", sa.String(length=20), nullable=False),
        sa.Column(
            "head_of_line_seconds", sa.Integer(), server_default=sa.text("3600"), nullable=False
        ),
        sa.Column("deadline_seconds", sa.Float(), nullable=True),
        sa.Column("retry_schedule", types.Document, nullable=True),
        sa.Column("deliver_within_seconds", sa.Integer(), nullable=True),
        sa.Column("permanent_statuses", types.Document, nullable=True),
        sa.Column("signatures", types.Document, nullable=True),
        sa.Column("header_names", types.Document, nullable=True),
        sa.Column("headers_key_id", sa.String(length=16), nullable=True),
        sa.Column("headers_sealed", types.Bytes, nullable=True),
        sa.Column("failing_since", types.UtcTime(), nullable=True),
        sa.Column("failing_attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failing_notices", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.Column("enabled_at", types.UtcTime(), nullable=True),
        sa.Column("deleted_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_endpoints_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoints")),
    )
    op.create_index("ix_endpoints_tenant_id", "endpoints", ["tenant_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", sa.String(length=200), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("dedupe_key", sa.String(length=300), nullable=True),
        sa.Column("body", types.Bytes, nullable=False),
        sa.Column("raised_by", sa.String(length=200), nullable=False),
        sa.Column("traceparent", sa.String(length=55), nullable=True),
        sa.Column("position", sa.BigInteger(), server_default=types.FeedPosition(), nullable=False),
        sa.Column("relayed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("occurred_at", types.UtcTime(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_events_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("tenant_id", "dedupe_key", name=op.f("uq_events_tenant_id_dedupe_key")),
    )
    op.create_index(
        "ix_events_body_kept",
        "events",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("length(body) > 0"),
        sqlite_where=sa.text("length(body) > 0"),
    )
    op.create_index("ix_events_feed", "events", ["tenant_id", "position", "id"], unique=False)
    op.create_index("ix_events_subject", "events", ["subject_id", "sequence"], unique=False)
    op.create_table(
        "holds",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("payer_id", types.Id, nullable=False),
        sa.Column("payee_id", types.Id, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("reference_id", types.Id, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("note", sa.String(length=500), nullable=True),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.Column("opened_by_id", types.Id, nullable=False),
        sa.Column("closed_by_id", types.Id, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("closed_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["closed_by_id"], ["ledger_transactions.id"], name=op.f("fk_holds_closed_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["opened_by_id"], ["ledger_transactions.id"], name=op.f("fk_holds_opened_by_id")
        ),
        sa.ForeignKeyConstraint(["payee_id"], ["tenants.id"], name=op.f("fk_holds_payee_id")),
        sa.ForeignKeyConstraint(["payer_id"], ["tenants.id"], name=op.f("fk_holds_payer_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index(
        "ix_holds_closed_by_id",
        "holds",
        ["closed_by_id"],
        unique=False,
        sqlite_where=sa.text("closed_by_id IS NOT NULL"),
        postgresql_where=sa.text("closed_by_id IS NOT NULL"),
    )
    op.create_index(
        "ix_holds_open_expires_at",
        "holds",
        ["expires_at", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'open' AND expires_at IS NOT NULL"),
        postgresql_where=sa.text("status = 'open' AND expires_at IS NOT NULL"),
    )
    op.create_index(
        "ix_holds_open_payee",
        "holds",
        ["payee_id"],
        unique=False,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index(
        "ix_holds_open_payer",
        "holds",
        ["payer_id"],
        unique=False,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index("ix_holds_opened_by_id", "holds", ["opened_by_id"], unique=False)
    op.create_index("ix_holds_reference_id", "holds", ["reference_id"], unique=False)
    op.create_index(
        "uq_holds_open",
        "holds",
        ["reference_id", "reason"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("subject_id", types.Id, nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_idempotency_keys_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(
        "ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False
    )
    op.create_table(
        "ledger_checkpoints",
        sa.Column("account_id", types.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("posted_debits", sa.BigInteger(), nullable=False),
        sa.Column("posted_credits", sa.BigInteger(), nullable=False),
        sa.Column("digest", types.Bytes, nullable=False),
        sa.Column("verified_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name=op.f("fk_ledger_checkpoints_account_id")
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_ledger_checkpoints")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("transaction_id", types.Id, nullable=False),
        sa.Column("account_id", types.Id, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("account_version", sa.BigInteger(), nullable=False),
        sa.Column("previous_balance", sa.BigInteger(), nullable=False),
        sa.Column("current_balance", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("digest", types.Bytes, nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["ledger_accounts.id"], name=op.f("fk_ledger_entries_account_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_ledger_entries_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint(
            "account_id",
            "account_version",
            name=op.f("uq_ledger_entries_account_id_account_version"),
        ),
    )
    op.create_index(
        "ix_ledger_entries_transaction_id", "ledger_entries", ["transaction_id"], unique=False
    )
    op.create_table(
        "milestones",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("subject_type", sa.String(length=40), nullable=False),
        sa.Column("subject_id", types.Id, nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("recipient_tenant_id", types.Id, nullable=False),
        sa.Column("event", sa.String(length=100), nullable=False),
        sa.Column("fire_at", types.UtcTime(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.Column("outcome_at", types.UtcTime(), nullable=True),
        sa.Column("event_id", types.Id, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recipient_tenant_id"], ["tenants.id"], name=op.f("fk_milestones_recipient_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_milestones")),
        sa.UniqueConstraint(
            "subject_type",
            "subject_id",
            "schedule_version",
            "code",
            "recipient_tenant_id",
            name=op.f(
                "uq_milestones_subject_type_subject_id_schedule_version_code_recipient_tenant_id"
            ),
        ),
    )
    op.create_index(
        "ix_milestones_emitted_outcome_at",
        "milestones",
        ["outcome_at"],
        unique=False,
        sqlite_where=sa.text("outcome = 'emitted'"),
        postgresql_where=sa.text("outcome = 'emitted'"),
    )
    op.create_index(
        "ix_milestones_event_id",
        "milestones",
        ["event_id"],
        unique=False,
        sqlite_where=sa.text("event_id IS NOT NULL"),
        postgresql_where=sa.text("event_id IS NOT NULL"),
    )
    op.create_index(
        "ix_milestones_pending_fire_at",
        "milestones",
        ["fire_at", "id"],
        unique=False,
        sqlite_where=sa.text("outcome = 'pending'"),
        postgresql_where=sa.text("outcome = 'pending'"),
    )
    op.create_index("ix_milestones_subject_id", "milestones", ["subject_id"], unique=False)
    op.create_table(
        "payouts",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("platform_id", types.Id, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("method", sa.String(length=40), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("decided_by", sa.String(length=200), nullable=True),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.Column("approved_at", types.UtcTime(), nullable=True),
        sa.Column("completed_at", types.UtcTime(), nullable=True),
        sa.Column("closed_at", types.UtcTime(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["platform_id"], ["tenants.id"], name=op.f("fk_payouts_platform_id")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_payouts_tenant_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"], ["ledger_transactions.id"], name=op.f("fk_payouts_transaction_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payouts")),
    )
    op.create_index("ix_payouts_platform_id", "payouts", ["platform_id", "id"], unique=False)
    op.create_index("ix_payouts_status", "payouts", ["status", "id"], unique=False)
    op.create_index("ix_payouts_tenant_id", "payouts", ["tenant_id", "id"], unique=False)
    op.create_index("ix_payouts_updated_at", "payouts", ["updated_at"], unique=False)
    op.create_table(
        "products",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("base_cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("min_margin_percent", types.Percent(precision=7, scale=4), nullable=False),
        sa.Column("rrp_minor", sa.BigInteger(), nullable=True),
        sa.Column("stock_quantity", sa.Integer(), nullable=False),
        sa.Column("stock_allocated", sa.Integer(), nullable=False),
        sa.Column("track_inventory", sa.Boolean(), nullable=False),
        sa.Column("images", types.Document, nullable=False),
        sa.Column("attributes", types.Document, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.CheckConstraint("stock_allocated >= 0", name=op.f("ck_products_stock_allocated")),
        sa.CheckConstraint(
            "stock_quantity >= stock_allocated", name=op.f("ck_products_stock_quantity")
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_products_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("tenant_id", "sku", name=op.f("uq_products_tenant_id_sku")),
    )
    op.create_index(
        "ix_products_allocated",
        "products",
        ["id"],
        unique=False,
        sqlite_where=sa.text("stock_allocated > 0"),
        postgresql_where=sa.text("stock_allocated > 0"),
    )
    op.create_index("ix_products_updated_at", "products", ["updated_at", "id"], unique=False)
    op.create_table(
        "reseller_invitations",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("email_digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("ciphertext", types.Bytes, nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("custom_commission_percent", types.Percent(precision=7, scale=4), nullable=True),
        sa.Column("purchase_limit_daily", sa.Integer(), nullable=True),
        sa.Column("product_access", types.Document, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.Column("relationship_id", types.Id, nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("closed_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_reseller_invitations_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reseller_invitations")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_reseller_invitations_token_digest")),
    )
    op.create_index(
        "ix_reseller_invitations_tenant_id",
        "reseller_invitations",
        ["tenant_id", "id"],
        unique=False,
    )
    op.create_index(
        "uq_reseller_invitations_pending",
        "reseller_invitations",
        ["tenant_id", "email_digest"],
        unique=True,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "reseller_programs",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("default_mode", sa.String(length=20), nullable=False),
        sa.Column(
            "default_commission_percent", types.Percent(precision=7, scale=4), nullable=False
        ),
        sa.Column(
            "default_wholesale_discount_percent",
            types.Percent(precision=7, scale=4),
            nullable=False,
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("min_payout_threshold_minor", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_reseller_programs_tenant_id")
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_reseller_programs")),
    )
    op.create_table(
        "reseller_relationships",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("parent_id", types.Id, nullable=False),
        sa.Column("child_id", types.Id, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("custom_commission_percent", types.Percent(precision=7, scale=4), nullable=True),
        sa.Column(
            "custom_wholesale_discount_percent", types.Percent(precision=7, scale=4), nullable=True
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("min_payout_threshold_minor", sa.BigInteger(), nullable=True),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=True),
        sa.Column("terms_days", sa.Integer(), nullable=True),
        sa.Column("purchase_limit_daily", sa.Integer(), nullable=True),
        sa.Column("purchased_on", sa.Date(), nullable=True),
        sa.Column("purchased_quantity", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.CheckConstraint(
            "parent_id <> child_id", name=op.f("ck_reseller_relationships_two_sides")
        ),
        sa.CheckConstraint(
            "purchased_quantity >= 0", name=op.f("ck_reseller_relationships_purchased_quantity")
        ),
        sa.ForeignKeyConstraint(
            ["child_id"], ["tenants.id"], name=op.f("fk_reseller_relationships_child_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tenants.id"], name=op.f("fk_reseller_relationships_parent_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reseller_relationships")),
        sa.UniqueConstraint(
            "parent_id", "child_id", name=op.f("uq_reseller_relationships_parent_id_child_id")
        ),
    )
    op.create_index(
        "ix_reseller_relationships_child_id", "reseller_relationships", ["child_id"], unique=False
    )
    op.create_table(
        "upstreams",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("base_url", sa.String(length=2048), nullable=False),
        sa.Column("path", sa.String(length=300), nullable=False),
        sa.Column("x_tenant", sa.String(length=200), nullable=True),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("token_key_id", sa.String(length=16), nullable=True),
        sa.Column("token_sealed", types.Bytes, nullable=True),
        sa.Column("callback_signature", sa.String(length=10), nullable=True),
        sa.Column("callback_key_id", sa.String(length=16), nullable=True),
        sa.Column("callback_sealed", types.Bytes, nullable=True),
        sa.Column("requests_per_minute", sa.Integer(), nullable=False),
        sa.Column("minute_at", types.UtcTime(), nullable=True),
        sa.Column("minute_used", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures_in_row", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("openings", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("blocked_until", types.UtcTime(), nullable=True),
        sa.Column("last_error", sa.String(length=200), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_upstreams_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upstreams")),
    )
    op.create_index("ix_upstreams_tenant_id", "upstreams", ["tenant_id"], unique=False)
    op.create_table(
        "wallet_transactions",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", types.Id, nullable=False),
        sa.Column("type", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("reference_type", sa.String(length=40), nullable=False),
        sa.Column("reference_id", sa.String(length=200), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=True),
        sa.Column("balance_minor", sa.BigInteger(), nullable=False),
        sa.Column("available_minor", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_wallet_transactions_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_wallet_transactions_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wallet_transactions")),
        sa.UniqueConstraint("tenant_id", "seq", name=op.f("uq_wallet_transactions_tenant_id_seq")),
    )
    op.create_index(
        "ix_wallet_transactions_created_at",
        "wallet_transactions",
        ["tenant_id", "created_at", "seq"],
        unique=False,
    )
    op.create_index(
        "ix_wallet_transactions_first",
        "wallet_transactions",
        ["tenant_id", "number", "type", "reference_type"],
        unique=False,
        sqlite_where=sa.text("number = 1"),
        postgresql_where=sa.text("number = 1"),
    )
    op.create_index(
        "ix_wallet_transactions_kind",
        "wallet_transactions",
        ["tenant_id", "type", "reference_type", "seq"],
        unique=False,
    )
    op.create_index(
        "ix_wallet_transactions_transaction_id",
        "wallet_transactions",
        ["transaction_id"],
        unique=False,
    )
    op.create_table(
        "wallets",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("min_payout_minor", sa.BigInteger(), nullable=False),
        sa.Column("low_threshold_minor", sa.BigInteger(), nullable=True),
        sa.Column("rearm_level_minor", sa.BigInteger(), nullable=True),
        sa.Column("low_watch", sa.String(length=10), nullable=False),
        sa.Column("low_state", sa.String(length=4), nullable=False),
        sa.Column("low_episode", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_wallets_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_wallets")),
    )
    op.create_index("ix_wallets_updated_at", "wallets", ["updated_at"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", types.Document, nullable=False),
        sa.Column("relationship_id", types.Id, nullable=True),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("last_used_at", types.UtcTime(), nullable=True),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.Column("revoked_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_api_tokens_relationship_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_api_tokens_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_tokens_prefix")),
    )
    op.create_index("ix_api_tokens_tenant_id", "api_tokens", ["tenant_id"], unique=False)
    op.create_table(
        "chain_hops",
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("hop_status", sa.String(length=20), nullable=False),
        sa.Column("visible_at", types.UtcTime(), nullable=True),
        sa.Column("visible_version", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_chain_hops_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_chain_hops_tenant_id")
        ),
        sa.PrimaryKeyConstraint("chain_order_id", "position", name=op.f("pk_chain_hops")),
        sa.UniqueConstraint(
            "chain_order_id", "tenant_id", name=op.f("uq_chain_hops_chain_order_id_tenant_id")
        ),
    )
    op.create_index(
        "ix_chain_hops_tenant_id", "chain_hops", ["tenant_id", "chain_order_id"], unique=False
    )
    op.create_table(
        "cod_collections",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("collector_tenant_id", types.Id, nullable=False),
        sa.Column("origin_tenant_id", types.Id, nullable=False),
        sa.Column("flow_type", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("expected_minor", sa.BigInteger(), nullable=False),
        sa.Column("collected_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("transaction_id", types.Id, nullable=False),
        sa.Column("collected_at", types.UtcTime(), nullable=False),
        sa.Column("settled_at", types.UtcTime(), nullable=True),
        sa.Column("resolution", sa.String(length=20), nullable=True),
        sa.Column("borne_by_id", types.Id, nullable=True),
        sa.Column("resolution_reason", sa.String(length=500), nullable=True),
        sa.Column("resolved_by", sa.String(length=200), nullable=True),
        sa.Column("resolved_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["borne_by_id"], ["tenants.id"], name=op.f("fk_cod_collections_borne_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_cod_collections_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["collector_tenant_id"],
            ["tenants.id"],
            name=op.f("fk_cod_collections_collector_tenant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["origin_tenant_id"], ["tenants.id"], name=op.f("fk_cod_collections_origin_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_cod_collections_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cod_collections")),
        sa.UniqueConstraint("chain_order_id", name=op.f("uq_cod_collections_chain_order_id")),
    )
    op.create_index(
        "ix_cod_collections_collected_at",
        "cod_collections",
        ["flow_type", "status", "collected_at", "id", "collected_minor"],
        unique=False,
    )
    op.create_index(
        "ix_cod_collections_collector",
        "cod_collections",
        ["collector_tenant_id", "flow_type", "status", "collected_at", "id", "collected_minor"],
        unique=False,
    )
    op.create_index(
        "ix_cod_collections_origin",
        "cod_collections",
        ["origin_tenant_id", "flow_type", "status", "collected_at", "id", "collected_minor"],
        unique=False,
    )
    op.create_index(
        "ix_cod_collections_undecided",
        "cod_collections",
        ["collected_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('short', 'disputed') AND resolved_at IS NULL"),
        postgresql_where=sa.text("status IN ('short', 'disputed') AND resolved_at IS NULL"),
    )
    op.create_table(
        "courier_differences",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("file_id", types.Id, nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("line", sa.Integer(), nullable=True),
        sa.Column("chain_order_id", types.Id, nullable=True),
        sa.Column("expected_minor", sa.BigInteger(), nullable=True),
        sa.Column("actual_minor", sa.BigInteger(), nullable=True),
        sa.Column("found_at", types.UtcTime(), nullable=False),
        sa.Column("resolved_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"],
            ["chain_orders.id"],
            name=op.f("fk_courier_differences_chain_order_id"),
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["courier_files.id"], name=op.f("fk_courier_differences_file_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_courier_differences")),
    )
    op.create_index(
        "ix_courier_differences_order",
        "courier_differences",
        ["chain_order_id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(
        "ix_courier_differences_unresolved",
        "courier_differences",
        ["id"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
        sqlite_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "courier_lines",
        sa.Column("file_id", types.Id, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("reference", sa.String(length=100), nullable=False),
        sa.Column("batch", sa.String(length=100), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("paid_at", types.UtcTime(), nullable=True),
        sa.Column("chain_order_id", types.Id, nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_courier_lines_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["file_id"], ["courier_files.id"], name=op.f("fk_courier_lines_file_id")
        ),
        sa.PrimaryKeyConstraint("file_id", "line", name=op.f("pk_courier_lines")),
    )
    op.create_index(
        "uq_courier_lines_chain_order_id",
        "courier_lines",
        ["chain_order_id"],
        unique=True,
        postgresql_where=sa.text("chain_order_id IS NOT NULL"),
        sqlite_where=sa.text("chain_order_id IS NOT NULL"),
    )
    op.create_table(
        "draft_items",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("draft_order_id", types.Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("deliver_id", sa.String(length=200), nullable=True),
        sa.Column("order_detail_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["draft_order_id"], ["draft_orders.id"], name=op.f("fk_draft_items_draft_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_draft_items_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_draft_items")),
        sa.UniqueConstraint(
            "draft_order_id", "position", name=op.f("uq_draft_items_draft_order_id_position")
        ),
    )
    op.create_table(
        "embed_campaigns",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("product_ids", types.Document, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_embed_campaigns_relationship_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embed_campaigns")),
    )
    op.create_index(
        "ix_embed_campaigns_relationship_id",
        "embed_campaigns",
        ["relationship_id", "id"],
        unique=False,
    )
    op.create_table(
        "endpoint_probes",
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("next_probe_at", types.UtcTime(), nullable=False),
        sa.Column("probed_at", types.UtcTime(), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=20), nullable=True),
        sa.Column("certificate_ends_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_endpoint_probes_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_endpoint_probes")),
    )
    op.create_table(
        "endpoint_secrets",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("kind", sa.String(length=10), server_default="signing", nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("ciphertext", types.Bytes, nullable=False),
        sa.Column("public_key", sa.String(length=60), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("starts_at", types.UtcTime(), nullable=True),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_endpoint_secrets_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_endpoint_secrets")),
    )
    op.create_index(
        "ix_endpoint_secrets_endpoint_id", "endpoint_secrets", ["endpoint_id"], unique=False
    )
    op.create_index(
        "ix_endpoint_secrets_expires_at",
        "endpoint_secrets",
        ["expires_at", "id"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL"),
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    )
    op.create_table(
        "fulfillments",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("external_order_id", sa.String(length=100), nullable=True),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("customer_digest", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.Column("reversal_id", types.Id, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("delivered_at", types.UtcTime(), nullable=True),
        sa.Column("refunded_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_fulfillments_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_fulfillments_relationship_id"),
        ),
        sa.ForeignKeyConstraint(
            ["reversal_id"], ["ledger_transactions.id"], name=op.f("fk_fulfillments_reversal_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_fulfillments_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fulfillments")),
        sa.UniqueConstraint(
            "relationship_id",
            "external_order_id",
            name=op.f("uq_fulfillments_relationship_id_external_order_id"),
        ),
    )
    op.create_index(
        "ix_fulfillments_relationship_id", "fulfillments", ["relationship_id", "id"], unique=False
    )
    op.create_table(
        "mailboxes",
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("due_at", types.UtcTime(), nullable=True),
        sa.Column("blocked_until", types.UtcTime(), nullable=True),
        sa.Column("lease_token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_until", types.UtcTime(), nullable=True),
        sa.Column("leased_by", sa.String(length=100), nullable=True),
        sa.Column("crashes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("failures_in_row", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("circuit", sa.String(length=10), server_default="closed", nullable=False),
        sa.Column("circuit_openings", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("ramp_width", sa.Integer(), nullable=True),
        sa.Column("suspect_delivery_id", types.Id, nullable=True),
        sa.Column("head_delivery_id", types.Id, nullable=True),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_mailboxes_endpoint_id")
        ),
        sa.PrimaryKeyConstraint("endpoint_id", name=op.f("pk_mailboxes")),
    )
    op.create_index(
        "ix_mailboxes_due",
        "mailboxes",
        ["due_at"],
        unique=False,
        postgresql_where=sa.text("lease_until IS NULL AND due_at IS NOT NULL"),
        sqlite_where=sa.text("lease_until IS NULL AND due_at IS NOT NULL"),
    )
    op.create_index(
        "ix_mailboxes_leased",
        "mailboxes",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("lease_until IS NOT NULL"),
        sqlite_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_table(
        "order_lines",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("sku", sa.String(length=100), nullable=False),
        sa.Column("name", sa.String(length=300), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("unit_costs_minor", types.Document, nullable=False),
        sa.Column("deliver_id", sa.String(length=200), nullable=True),
        sa.Column("order_detail_id", sa.BigInteger(), nullable=True),
        sa.Column("line_status", sa.String(length=20), nullable=False),
        sa.Column("delivery_data", types.Document, nullable=False),
        sa.Column("delivery_note", sa.String(length=1000), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_order_lines_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_order_lines_product_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_lines")),
        sa.UniqueConstraint(
            "chain_order_id", "position", name=op.f("uq_order_lines_chain_order_id_position")
        ),
    )
    op.create_table(
        "order_log",
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("from_status", sa.String(length=20), nullable=True),
        sa.Column("to_status", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_order_log_chain_order_id")
        ),
        sa.PrimaryKeyConstraint("chain_order_id", "seq", name=op.f("pk_order_log")),
    )
    op.create_table(
        "product_changes",
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("is_walking", sa.Boolean(), nullable=False),
        sa.Column("opened_at", types.UtcTime(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("turn_at", types.UtcTime(), nullable=False),
        sa.Column("cursor_id", types.Id, nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_product_changes_product_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "is_walking", name=op.f("pk_product_changes")),
    )
    op.create_index("ix_product_changes_turn_at", "product_changes", ["turn_at"], unique=False)
    op.create_table(
        "reseller_product_access",
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column(
            "commission_percent_override", types.Percent(precision=7, scale=4), nullable=True
        ),
        sa.Column("max_quantity", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_reseller_product_access_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_reseller_product_access_relationship_id"),
        ),
        sa.PrimaryKeyConstraint(
            "relationship_id", "product_id", name=op.f("pk_reseller_product_access")
        ),
    )
    op.create_table(
        "reseller_purchases",
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity >= 0", name=op.f("ck_reseller_purchases_quantity")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_reseller_purchases_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_reseller_purchases_relationship_id"),
        ),
        sa.PrimaryKeyConstraint(
            "relationship_id", "product_id", name=op.f("pk_reseller_purchases")
        ),
    )
    op.create_table(
        "stock_moves",
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("on_hand_delta", sa.Integer(), nullable=False),
        sa.Column("allocated_delta", sa.Integer(), nullable=False),
        sa.Column("on_hand", sa.Integer(), nullable=False),
        sa.Column("allocated", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("reference_type", sa.String(length=40), nullable=True),
        sa.Column("reference_id", sa.String(length=200), nullable=True),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_stock_moves_product_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "version", name=op.f("pk_stock_moves")),
    )
    op.create_index("ix_stock_moves_reference", "stock_moves", ["reference_id"], unique=False)
    op.create_table(
        "stock_transfers",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("delivered_quantity", sa.Integer(), nullable=False),
        sa.Column(
            "wholesale_discount_percent", types.Percent(precision=7, scale=4), nullable=False
        ),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("unit_price_minor", sa.BigInteger(), nullable=False),
        sa.Column("total_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("invoice_id", types.Id, nullable=True),
        sa.Column("payment_method", sa.String(length=20), nullable=True),
        sa.Column("payment_reference", sa.String(length=200), nullable=True),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.Column("requested_by", sa.String(length=200), nullable=False),
        sa.Column("expires_at", types.UtcTime(), nullable=False),
        sa.Column("invoiced_at", types.UtcTime(), nullable=True),
        sa.Column("paid_at", types.UtcTime(), nullable=True),
        sa.Column("allocated_at", types.UtcTime(), nullable=True),
        sa.Column("closed_at", types.UtcTime(), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.CheckConstraint(
            "delivered_quantity BETWEEN 0 AND quantity",
            name=op.f("ck_stock_transfers_delivered_quantity"),
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_stock_transfers_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_stock_transfers_relationship_id"),
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_stock_transfers_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_transfers")),
    )
    op.create_index(
        "ix_stock_transfers_relationship_id",
        "stock_transfers",
        ["relationship_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_stock_transfers_unpaid",
        "stock_transfers",
        ["expires_at"],
        unique=False,
        sqlite_where=sa.text("status IN ('requested', 'invoiced')"),
        postgresql_where=sa.text("status IN ('requested', 'invoiced')"),
    )
    op.create_table(
        "subscriptions",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("event_type", sa.String(length=100), nullable=False),
        sa.Column("endpoint_id", types.Id, nullable=False),
        sa.Column("since", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoints.id"], name=op.f("fk_subscriptions_endpoint_id")
        ),
        sa.PrimaryKeyConstraint(
            "tenant_id", "event_type", "endpoint_id", name=op.f("pk_subscriptions")
        ),
    )
    op.create_table(
        "tenant_prices",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("parent_id", types.Id, nullable=False),
        sa.Column("margin_percent", types.Percent(precision=7, scale=4), nullable=False),
        sa.Column("cost_minor", sa.BigInteger(), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.Column("is_sellable", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tenants.id"], name=op.f("fk_tenant_prices_parent_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_tenant_prices_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_tenant_prices_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_prices")),
        sa.UniqueConstraint(
            "product_id", "tenant_id", name=op.f("uq_tenant_prices_product_id_tenant_id")
        ),
    )
    op.create_index(
        "ix_tenant_prices_parent_id", "tenant_prices", ["parent_id", "product_id"], unique=False
    )
    op.create_index("ix_tenant_prices_tenant_id", "tenant_prices", ["tenant_id"], unique=False)
    op.create_table(
        "told_offers",
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("price_minor", sa.BigInteger(), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("is_available", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_told_offers_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_told_offers_tenant_id")
        ),
        sa.PrimaryKeyConstraint("product_id", "tenant_id", name=op.f("pk_told_offers")),
    )
    op.create_table(
        "upstream_orders",
        sa.Column("upstream_id", types.Id, nullable=False),
        sa.Column("reference", sa.String(length=200), nullable=False),
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("seen_status", sa.String(length=20), nullable=True),
        sa.Column("seen_sequence", sa.BigInteger(), nullable=True),
        sa.Column("seen_occurred_at", types.UtcTime(), nullable=True),
        sa.Column("late", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("etag", sa.String(length=200), nullable=True),
        sa.Column("last_modified", sa.String(length=100), nullable=True),
        sa.Column("answer_bytes", sa.Integer(), nullable=True),
        sa.Column("checked_at", types.UtcTime(), nullable=True),
        sa.Column("changed_at", types.UtcTime(), nullable=False),
        sa.Column("next_check_at", types.UtcTime(), nullable=True),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("problem", sa.String(length=20), nullable=True),
        sa.Column("problem_detail", sa.String(length=300), nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_upstream_orders_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["upstream_id"], ["upstreams.id"], name=op.f("fk_upstream_orders_upstream_id")
        ),
        sa.PrimaryKeyConstraint("upstream_id", "reference", name=op.f("pk_upstream_orders")),
    )
    op.create_index(
        "ix_upstream_orders_due",
        "upstream_orders",
        ["upstream_id", "next_check_at"],
        unique=False,
        postgresql_where=sa.text("next_check_at IS NOT NULL"),
        sqlite_where=sa.text("next_check_at IS NOT NULL"),
    )
    op.create_index(
        "ix_upstream_orders_problem",
        "upstream_orders",
        ["problem"],
        unique=False,
        postgresql_where=sa.text("problem IS NOT NULL"),
        sqlite_where=sa.text("problem IS NOT NULL"),
    )
    op.create_index(
        "uq_upstream_orders_chain_order_id", "upstream_orders", ["chain_order_id"], unique=True
    )
    op.create_table(
        "affiliate_sales",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("relationship_id", types.Id, nullable=False),
        sa.Column("parent_id", types.Id, nullable=False),
        sa.Column("sale_reference", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("campaign_id", types.Id, nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("commission_percent", types.Percent(precision=7, scale=4), nullable=False),
        sa.Column("commission_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.Column("reversal_id", types.Id, nullable=True),
        sa.Column("payment_id", types.Id, nullable=True),
        sa.Column("recovery_id", types.Id, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("refunded_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["embed_campaigns.id"], name=op.f("fk_affiliate_sales_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["tenants.id"], name=op.f("fk_affiliate_sales_parent_id")
        ),
        sa.ForeignKeyConstraint(
            ["payment_id"], ["ledger_transactions.id"], name=op.f("fk_affiliate_sales_payment_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_affiliate_sales_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["recovery_id"], ["ledger_transactions.id"], name=op.f("fk_affiliate_sales_recovery_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_affiliate_sales_relationship_id"),
        ),
        sa.ForeignKeyConstraint(
            ["reversal_id"], ["ledger_transactions.id"], name=op.f("fk_affiliate_sales_reversal_id")
        ),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_affiliate_sales_transaction_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affiliate_sales")),
        sa.UniqueConstraint(
            "parent_id", "sale_reference", name=op.f("uq_affiliate_sales_parent_id_sale_reference")
        ),
    )
    op.create_index(
        "ix_affiliate_sales_open",
        "affiliate_sales",
        ["relationship_id", "id"],
        unique=False,
        sqlite_where=sa.text(
            "status = 'accrued' OR (status = 'refunded' AND payment_id IS NOT NULL AND recovery_id IS NULL)"
        ),
        postgresql_where=sa.text(
            "status = 'accrued' OR (status = 'refunded' AND payment_id IS NOT NULL AND recovery_id IS NULL)"
        ),
    )
    op.create_index(
        "ix_affiliate_sales_relationship_id",
        "affiliate_sales",
        ["relationship_id", "id"],
        unique=False,
    )
    op.create_table(
        "remittances",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("chain_order_id", types.Id, nullable=False),
        sa.Column("collection_id", types.Id, nullable=False),
        sa.Column("payer_id", types.Id, nullable=False),
        sa.Column("payee_id", types.Id, nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("reason", sa.String(length=20), nullable=False),
        sa.Column("hop", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("due_tz", sa.String(length=64), nullable=False),
        sa.Column("due_at", types.UtcTime(), nullable=False),
        sa.Column("due_rules", sa.String(length=10), nullable=False),
        sa.Column("ladder", types.Document, nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("overdue_since", types.UtcTime(), nullable=True),
        sa.Column("transaction_id", types.Id, nullable=True),
        sa.Column("write_off_id", types.Id, nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("completed_at", types.UtcTime(), nullable=True),
        sa.Column("cancelled_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_remittances_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["collection_id"], ["cod_collections.id"], name=op.f("fk_remittances_collection_id")
        ),
        sa.ForeignKeyConstraint(["payee_id"], ["tenants.id"], name=op.f("fk_remittances_payee_id")),
        sa.ForeignKeyConstraint(["payer_id"], ["tenants.id"], name=op.f("fk_remittances_payer_id")),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["ledger_transactions.id"],
            name=op.f("fk_remittances_transaction_id"),
        ),
        sa.ForeignKeyConstraint(
            ["write_off_id"], ["ledger_transactions.id"], name=op.f("fk_remittances_write_off_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittances")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_remittances_transaction_id")),
        sa.UniqueConstraint("write_off_id", name=op.f("uq_remittances_write_off_id")),
    )
    op.create_index(
        "ix_remittances_cancelled_at",
        "remittances",
        ["cancelled_at"],
        unique=False,
        sqlite_where=sa.text("status = 'cancelled'"),
        postgresql_where=sa.text("status = 'cancelled'"),
    )
    op.create_index(
        "ix_remittances_chain_order_id", "remittances", ["chain_order_id"], unique=False
    )
    op.create_index(
        "ix_remittances_completed",
        "remittances",
        ["completed_at", "amount_minor"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NOT NULL"),
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_remittances_completed_at",
        "remittances",
        ["completed_at"],
        unique=False,
        sqlite_where=sa.text("status = 'completed'"),
        postgresql_where=sa.text("status = 'completed'"),
    )
    op.create_index(
        "ix_remittances_open_due_at",
        "remittances",
        ["status", "due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_remittances_open_due_rules",
        "remittances",
        ["status", "due_rules"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index(
        "ix_remittances_payee",
        "remittances",
        ["payee_id", "status", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_remittances_payee_completed",
        "remittances",
        ["payee_id", "completed_at", "amount_minor"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NOT NULL"),
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_remittances_payer",
        "remittances",
        ["payer_id", "status", "created_at", "id"],
        unique=False,
    )
    op.create_index(
        "ix_remittances_payer_completed",
        "remittances",
        ["payer_id", "completed_at", "amount_minor"],
        unique=False,
        sqlite_where=sa.text("completed_at IS NOT NULL"),
        postgresql_where=sa.text("completed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_remittances_status", "remittances", ["status", "created_at", "id"], unique=False
    )
    op.create_table(
        "stock_items",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("product_id", types.Id, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("ciphertext", types.Bytes, nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("relationship_id", types.Id, nullable=True),
        sa.Column("transfer_id", types.Id, nullable=True),
        sa.Column("fulfillment_id", types.Id, nullable=True),
        sa.Column("delivered_to_hash", sa.String(length=64), nullable=True),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("allocated_at", types.UtcTime(), nullable=True),
        sa.Column("delivered_at", types.UtcTime(), nullable=True),
        sa.CheckConstraint(
            "(status = 'available') = (relationship_id IS NULL)", name=op.f("ck_stock_items_taken")
        ),
        sa.CheckConstraint(
            "(status = 'delivered') <= (delivered_to_hash IS NOT NULL)",
            name=op.f("ck_stock_items_delivered"),
        ),
        sa.ForeignKeyConstraint(
            ["fulfillment_id"], ["fulfillments.id"], name=op.f("fk_stock_items_fulfillment_id")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["products.id"], name=op.f("fk_stock_items_product_id")
        ),
        sa.ForeignKeyConstraint(
            ["relationship_id"],
            ["reseller_relationships.id"],
            name=op.f("fk_stock_items_relationship_id"),
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_stock_items_tenant_id")
        ),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["stock_transfers.id"], name=op.f("fk_stock_items_transfer_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_items")),
        sa.UniqueConstraint("product_id", "digest", name=op.f("uq_stock_items_product_id_digest")),
    )
    op.create_index(
        "ix_stock_items_available",
        "stock_items",
        ["product_id", "id"],
        unique=False,
        sqlite_where=sa.text("status = 'available'"),
        postgresql_where=sa.text("status = 'available'"),
    )
    op.create_index(
        "ix_stock_items_fulfillment_id", "stock_items", ["fulfillment_id"], unique=False
    )
    op.create_index(
        "ix_stock_items_relationship_id", "stock_items", ["relationship_id", "id"], unique=False
    )
    op.create_index("ix_stock_items_transfer_id", "stock_items", ["transfer_id"], unique=False)
    op.create_table(
        "stock_transfer_log",
        sa.Column("transfer_id", types.Id, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("from_status", sa.String(length=20), nullable=True),
        sa.Column("to_status", sa.String(length=20), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["stock_transfers.id"], name=op.f("fk_stock_transfer_log_transfer_id")
        ),
        sa.PrimaryKeyConstraint("transfer_id", "seq", name=op.f("pk_stock_transfer_log")),
    )
    op.create_table(
        "due_changes",
        sa.Column("remittance_id", types.Id, nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("previous_due_date", sa.Date(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["remittance_id"], ["remittances.id"], name=op.f("fk_due_changes_remittance_id")
        ),
        sa.PrimaryKeyConstraint("remittance_id", "schedule_version", name=op.f("pk_due_changes")),
    )


def downgrade() -> None:
    for name in [
        "due_changes",
        "stock_transfer_log",
        "stock_items",
        "remittances",
        "affiliate_sales",
        "upstream_orders",
        "told_offers",
        "tenant_prices",
        "subscriptions",
        "stock_transfers",
        "stock_moves",
        "reseller_purchases",
        "reseller_product_access",
        "product_changes",
        "order_log",
        "order_lines",
        "mailboxes",
        "fulfillments",
        "endpoint_secrets",
        "endpoint_probes",
        "embed_campaigns",
        "draft_items",
        "courier_lines",
        "courier_differences",
        "cod_collections",
        "chain_hops",
        "api_tokens",
        "wallets",
        "wallet_transactions",
        "upstreams",
        "reseller_relationships",
        "reseller_programs",
        "reseller_invitations",
        "products",
        "payouts",
        "milestones",
        "ledger_entries",
        "ledger_checkpoints",
        "idempotency_keys",
        "holds",
        "events",
        "endpoints",
        "end_customers",
        "due_ladders",
        "draft_orders",
        "chain_orders",
        "adjustments",
        "account_freezes",
        "tenants",
        "runs",
        "replays",
        "rendered_bodies",
        "outbox",
        "order_fields",
        "manifests",
        "ledger_transactions",
        "ledger_accounts",
        "leaderships",
        "inbound_messages",
        "event_types",
        "discrepancy_log",
        "discrepancies",
        "delivery_policies",
        "deliveries",
        "courier_files",
        "attempts",
    ]:
        op.drop_table(name)
