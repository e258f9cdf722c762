"""Tables of the dispatcher: endpoints, mailboxes, deliveries and attempts.

Rows of the hot path (deliveries, attempts) carry no foreign keys: each is inserted from a join on
its parents, and a key check per row would lock the parent and double the cost of the insert.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    text,
)

from engine.database import metadata
from engine.types import Bytes, Document, Id, UtcTime

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("url", String(2048), nullable=False),
    # Patterns as the owner wrote them ("chain_order.*"); subscriptions holds them expanded.
    Column("events", Document, nullable=False),
    Column("profile", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_reason", String(200)),
    Column("paused_until", UtcTime),
    Column("max_in_flight", Integer, nullable=False),
    Column("rate_per_second", Float),
    # none, endpoint or subject: what is delivered strictly one after the other.
    Column("ordering", String(20), nullable=False),
    # How long the first of an order may hold up the rest before it is skipped and the gap marked.
    Column("head_of_line_seconds", Integer, nullable=False, server_default=text("3600")),
    Column("deadline_seconds", Float),
    Column("retry_schedule", Document),
    # After this a delivery is no longer worth sending, whatever its schedule says.
    Column("deliver_within_seconds", Integer),
    Column("permanent_statuses", Document),
    # v1 always; v1a where the owner asked for it.
    Column("signatures", Document),
    # The owner's own headers, sealed: they may hold a credential. Only their names are shown.
    Column("header_names", Document),
    Column("headers_key_id", String(16)),
    Column("headers_sealed", Bytes),
    # Since when, and over how many attempts, nothing but failures came back.
    Column("failing_since", UtcTime),
    Column("failing_attempts", Integer, nullable=False, server_default=text("0")),
    Column("failing_notices", Integer, nullable=False, server_default=text("0")),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    # When it was last enabled again: what it missed until then is made good.
    Column("enabled_at", UtcTime),
    Column("deleted_at", UtcTime),
)
Index("ix_endpoints_tenant_id", endpoints.c.tenant_id)

#: Signing secrets, encrypted; the newest signs, and an older one signs beside it until it expires.
endpoint_secrets = Table(
    "endpoint_secrets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("endpoint_id", Id, ForeignKey("endpoints.id"), nullable=False),
    # signing (v1), ed25519 (v1a) or apikey (profile flat).
    Column("kind", String(10), nullable=False, server_default="signing"),
    Column("key_id", String(16), nullable=False),
    Column("ciphertext", Bytes, nullable=False),
    # What anyone may see of a key pair (whpk_); a secret has nothing to show.
    Column("public_key", String(60)),
    Column("created_at", UtcTime, nullable=False),
    # A rotation may be scheduled: the secret signs from here on.
    Column("starts_at", UtcTime),
    Column("expires_at", UtcTime),
)
Index("ix_endpoint_secrets_endpoint_id", endpoint_secrets.c.endpoint_id)
Index(
    "ix_endpoint_secrets_expires_at",
    endpoint_secrets.c.expires_at,
    endpoint_secrets.c.id,
    postgresql_where=text("expires_at IS NOT NULL"),
    sqlite_where=text("expires_at IS NOT NULL"),
)

#: Which endpoint hears which type: the fan-out is one join on this table.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("event_type", String(100), primary_key=True),
    Column("endpoint_id", Id, ForeignKey("endpoints.id"), primary_key=True),
    # What was raised earlier was not for this endpoint.
    Column("since", UtcTime, nullable=False),
)

#: One row per endpoint: when it is next due, who holds it, and what holds it back.
#: ``lease_token`` only grows; a settle or release must name the current one (a fencing token).
mailboxes = Table(
    "mailboxes",
    metadata,
    Column("endpoint_id", Id, ForeignKey("endpoints.id"), primary_key=True),
    Column("due_at", UtcTime),
    Column("blocked_until", UtcTime),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    Column("lease_until", UtcTime),
    Column("leased_by", String(100)),
    # Leases that ran out in a row: the process died while holding this mailbox.
    Column("crashes", Integer, nullable=False, server_default=text("0")),
    # The circuit: failures in a row, how often it opened without closing, and, while it recovers,
    # how many calls may run at once.
    Column("failures_in_row", Integer, nullable=False, server_default=text("0")),
    Column("circuit", String(10), nullable=False, server_default="closed"),
    Column("circuit_openings", Integer, nullable=False, server_default=text("0")),
    Column("ramp_width", Integer),
    Column("suspect_delivery_id", Id),
    # Of an endpoint with strict order: the delivery all others wait for.
    Column("head_delivery_id", Id),
)
Index(
    "ix_mailboxes_due",
    mailboxes.c.due_at,
    postgresql_where=text("lease_until IS NULL AND due_at IS NOT NULL"),
    sqlite_where=text("lease_until IS NULL AND due_at IS NOT NULL"),
)
Index(
    "ix_mailboxes_leased",
    mailboxes.c.lease_until,
    postgresql_where=text("lease_until IS NOT NULL"),
    sqlite_where=text("lease_until IS NOT NULL"),
)

#: One event for one endpoint. Open rows, and only they, have a ``next_attempt_at``.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("event_id", Id, nullable=False),
    Column("endpoint_id", Id, nullable=False),
    Column("tenant_id", Id, nullable=False),
    Column("event", String(100), nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # Attempts made before the schedule last began: a replay starts it anew and keeps the history.
    Column("attempts_before", Integer, nullable=False, server_default=text("0")),
    Column("trigger", String(10), nullable=False, server_default="scheduled"),
    Column("next_attempt_at", UtcTime),
    Column("last_status_code", Integer),
    Column("last_error", String(200)),
    Column("created_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
)
Index("uq_deliveries_event_endpoint", deliveries.c.event_id, deliveries.c.endpoint_id, unique=True)
Index(
    "ix_deliveries_open",
    deliveries.c.endpoint_id,
    deliveries.c.next_attempt_at,
    deliveries.c.id,
    postgresql_where=text("next_attempt_at IS NOT NULL"),
    sqlite_where=text("next_attempt_at IS NOT NULL"),
)
#: Operations people look for what failed; what succeeded is the bulk and is not indexed by state.
Index(
    "ix_deliveries_failed",
    deliveries.c.endpoint_id,
    deliveries.c.id,
    postgresql_where=text("state IN ('failed', 'cancelled')"),
    sqlite_where=text("state IN ('failed', 'cancelled')"),
)
#: What ended badly since somebody last looked.
Index(
    "ix_deliveries_failed_settled",
    deliveries.c.settled_at,
    deliveries.c.id,
    postgresql_where=text("state IN ('failed', 'cancelled')"),
    sqlite_where=text("state IN ('failed', 'cancelled')"),
)

#: A day's deliveries, for its manifests. A BRIN index costs the hot path next to nothing: rows come
#: in the order of their time, so one entry describes a hundred pages.
Index("ix_deliveries_created_at", deliveries.c.created_at, postgresql_using="brin")

#: What happened on the wire. The token tells apart two workers that both made attempt n.
attempts = Table(
    "attempts",
    metadata,
    Column("delivery_id", Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("lease_token", BigInteger, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status_code", Integer),
    Column("error", String(200)),
    Column("response_excerpt", String(4096)),
    Column("trigger", String(10), nullable=False),
    # False where the worker had lost its lease: recorded, but it decided nothing.
    Column("decided", Boolean, nullable=False, server_default=text("true")),
)

#: Bodies of profiles other than the envelope: rendered once, at the first attempt, then kept.
rendered_bodies = Table(
    "rendered_bodies",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("profile", String(20), primary_key=True),
    Column("body", Bytes, nullable=False),
)

#: Every replay that was asked for: by whom, why, of what, and how far it is.
replays = Table(
    "replays",
    metadata,
    Column("id", Id, primary_key=True),
    Column("actor", String(200), nullable=False),
    Column("reason", String(500)),
    Column("selection", Document, nullable=False),
    Column("state", String(12), nullable=False),
    Column("matched", Integer, nullable=False, server_default=text("0")),
    Column("armed", Integer, nullable=False, server_default=text("0")),
    # Looked at and left alone: endpoint disabled, body no longer kept, on its way already.
    Column("skipped", Integer, nullable=False, server_default=text("0")),
    Column("rate_per_second", Float),
    Column("new_ids", Boolean, nullable=False, server_default=text("false")),
    # How far it is: the last delivery looked at, and when the next may be armed.
    Column("cursor_id", Id),
    Column("next_step_at", UtcTime),
    Column("lease_until", UtcTime),
    Column("problem", String(500)),
    # Who paused, resumed or cancelled it, and when.
    Column("changes", Document),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime),
    Column("finished_at", UtcTime),
)
Index(
    "ix_replays_open",
    replays.c.next_step_at,
    postgresql_where=text("state = 'running'"),
    sqlite_where=text("state = 'running'"),
)

#: What a kind of event is worth: its schedule, and until when it is worth sending at all.
delivery_policies = Table(
    "delivery_policies",
    metadata,
    Column("event_type", String(100), primary_key=True),
    Column("retry_schedule", Document),
    Column("deliver_within_seconds", Integer),
    Column("updated_at", UtcTime, nullable=False),
)

#: One signed line per endpoint and day: what was sent, chained to the day before.
manifests = Table(
    "manifests",
    metadata,
    Column("endpoint_id", Id, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("events_count", Integer, nullable=False),
    Column("first_event_id", Id),
    Column("last_event_id", Id),
    Column("events_digest", String(64), nullable=False),
    Column("previous_digest", String(64), nullable=False),
    Column("body", Bytes, nullable=False),
    Column("signature", String(500), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
