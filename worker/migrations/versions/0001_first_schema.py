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
        sa.Column("check", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("expected", types.Document, nullable=True),
        sa.Column("actual", types.Document, nullable=True),
        sa.Column("status", sa.String(length=12), nullable=False),
        sa.Column("heal_action", sa.String(length=200), nullable=True),
        sa.Column("first_seen_at", types.UtcTime(), nullable=False),
        sa.Column("last_seen_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_discrepancies")),
    )
    op.create_index(
        "uq_discrepancies_open",
        "discrepancies",
        ["check", "subject"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
        sqlite_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "event_types",
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("json_schema", types.Document, nullable=True),
        sa.Column("registered_at", types.UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_event_types")),
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
        sa.Column("event_at", types.UtcTime(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
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
        sa.Column("check", sa.String(length=10), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("as_of", types.UtcTime(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("scanned", sa.Integer(), nullable=False),
        sa.Column("found", sa.Integer(), nullable=False),
        sa.Column("healed", sa.Integer(), nullable=False),
        sa.Column("started_at", types.UtcTime(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("problem", sa.String(length=500), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index("ix_runs_check", "runs", ["check", "as_of"], unique=False)
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
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.CheckConstraint("depth >= 0 AND depth < 8", name=op.f("ck_tenants_depth")),
        sa.ForeignKeyConstraint(["parent_id"], ["tenants.id"], name=op.f("fk_tenants_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenants")),
    )
    op.create_index("ix_tenants_parent_id", "tenants", ["parent_id"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("id", types.Id, nullable=False),
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scopes", types.Document, nullable=False),
        sa.Column("label", sa.String(length=200), nullable=True),
        sa.Column("created_by", sa.String(length=200), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("last_used_at", types.UtcTime(), nullable=True),
        sa.Column("expires_at", types.UtcTime(), nullable=True),
        sa.Column("revoked_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenants.id"], name=op.f("fk_api_tokens_tenant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_tokens_prefix")),
    )
    op.create_index("ix_api_tokens_tenant_id", "api_tokens", ["tenant_id"], unique=False)
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
        "ix_chain_orders_status", "chain_orders", ["chain_status", "updated_at"], unique=False
    )
    op.create_index(
        "ix_chain_orders_updated_at", "chain_orders", ["updated_at", "id"], unique=False
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
    op.create_index(
        "uq_holds_open",
        "holds",
        ["reference_id", "reason"],
        unique=True,
        sqlite_where=sa.text("status = 'open'"),
        postgresql_where=sa.text("status = 'open'"),
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
        sa.CheckConstraint("stock_quantity >= 0", name=op.f("ck_products_stock_quantity")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_products_tenant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_products")),
        sa.UniqueConstraint("tenant_id", "sku", name=op.f("uq_products_tenant_id_sku")),
    )
    op.create_table(
        "wallets",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("credit_limit_minor", sa.BigInteger(), nullable=False),
        sa.Column("low_threshold_minor", sa.BigInteger(), nullable=True),
        sa.Column("low_state", sa.String(length=4), nullable=False),
        sa.Column("low_episode", sa.Integer(), nullable=False),
        sa.Column("created_at", types.UtcTime(), nullable=False),
        sa.Column("updated_at", types.UtcTime(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_wallets_tenant_id")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_wallets")),
    )
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
        sa.Column("flow_type", sa.String(length=20), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("expected_minor", sa.BigInteger(), nullable=False),
        sa.Column("collected_minor", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("transaction_id", types.Id, nullable=False),
        sa.Column("collected_at", types.UtcTime(), nullable=False),
        sa.Column("settled_at", types.UtcTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["chain_order_id"], ["chain_orders.id"], name=op.f("fk_cod_collections_chain_order_id")
        ),
        sa.ForeignKeyConstraint(
            ["collector_tenant_id"],
            ["tenants.id"],
            name=op.f("fk_cod_collections_collector_tenant_id"),
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
        "ix_cod_collections_collector", "cod_collections", ["collector_tenant_id"], unique=False
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
        "subscriptions",
        sa.Column("tenant_id", types.Id, nullable=False),
        sa.Column("event_type", sa.String(length=100), nullable=False),
        sa.Column("endpoint_id", types.Id, nullable=False),
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
    op.create_index("ix_tenant_prices_parent_id", "tenant_prices", ["parent_id"], unique=False)
    op.create_index("ix_tenant_prices_tenant_id", "tenant_prices", ["tenant_id"], unique=False)
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
        sa.Column("hop", sa.Integer(), nullable=False),
        sa.Column("due_date", sa.Date(), nullable=False),
        sa.Column("due_tz", sa.String(length=64), nullable=False),
        sa.Column("due_at", types.UtcTime(), nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("overdue_since", types.UtcTime(), nullable=True),
        sa.Column("transaction_id", types.Id, nullable=True),
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
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remittances")),
        sa.UniqueConstraint("transaction_id", name=op.f("uq_remittances_transaction_id")),
    )
    op.create_index(
        "ix_remittances_chain_order_id", "remittances", ["chain_order_id"], unique=False
    )
    op.create_index(
        "ix_remittances_open_due_at",
        "remittances",
        ["due_at"],
        unique=False,
        sqlite_where=sa.text("status = 'pending'"),
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_index("ix_remittances_payee", "remittances", ["payee_id", "status"], unique=False)
    op.create_index("ix_remittances_payer", "remittances", ["payer_id", "status"], unique=False)


def downgrade() -> None:
    for name in [
        "remittances",
        "tenant_prices",
        "subscriptions",
        "order_log",
        "order_lines",
        "mailboxes",
        "endpoint_secrets",
        "cod_collections",
        "chain_hops",
        "wallets",
        "products",
        "milestones",
        "ledger_entries",
        "holds",
        "events",
        "endpoints",
        "chain_orders",
        "api_tokens",
        "tenants",
        "runs",
        "replays",
        "rendered_bodies",
        "outbox",
        "manifests",
        "ledger_transactions",
        "ledger_accounts",
        "leaderships",
        "event_types",
        "discrepancies",
        "delivery_policies",
        "deliveries",
        "attempts",
    ]:
        op.drop_table(name)
