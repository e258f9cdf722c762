"""Tables of the engine that every part needs: tenants, their tokens, events and the outbox."""

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
    UniqueConstraint,
    text,
)

from engine.database import metadata
from engine.types import Bytes, Document, FeedPosition, Id, UtcTime

tenants = Table(
    "tenants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("parent_id", Id, ForeignKey("tenants.id")),
    Column("role", String(20), nullable=False),
    Column("depth", Integer, nullable=False),
    # The ids from the root to this tenant, joined by "/": one read gives the whole chain.
    Column("path", String(400), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("status", String(20), nullable=False),
    # Whether the levels above see what its customers pay.
    Column("hide_origin_total", Boolean, nullable=False, default=False),
    # Whether its parent has to approve what it orders.
    Column("needs_approval", Boolean, nullable=False, default=False),
    Column("created_at", UtcTime, nullable=False),
    CheckConstraint("depth >= 0 AND depth < 8", name="depth"),
)
Index("ix_tenants_parent_id", tenants.c.parent_id)

#: Keys of the HTTP interface: the value is shown once, only its SHA-256 is kept.
api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    # The public part of the token: it finds the row and names the token in lists.
    Column("prefix", String(16), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("scopes", Document, nullable=False),
    # A reseller's key: it operates this relationship and nothing else (document 002).
    Column("relationship_id", Id, ForeignKey("reseller_relationships.id")),
    Column("label", String(200)),
    Column("created_by", String(200), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_used_at", UtcTime),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)
Index("ix_api_tokens_tenant_id", api_tokens.c.tenant_id)

event_types = Table(
    "event_types",
    metadata,
    Column("name", String(100), primary_key=True),
    Column("json_schema", Document),
    Column("registered_at", UtcTime, nullable=False),
)

#: Append-only: what happened, once per receiving tenant, with the exact bytes every delivery sends.
events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("type", String(100), nullable=False),
    Column("subject_type", String(40), nullable=False),
    Column("subject_id", String(200), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("dedupe_key", String(300)),
    Column("body", Bytes, nullable=False),
    Column("raised_by", String(200), nullable=False),
    # The W3C trace context of whoever raised it, where there was one.
    Column("traceparent", String(55)),
    # Where it stands in the pull feed: the transaction that wrote it, for no id or time of its own
    # tells in which order transactions commit.
    Column("position", BigInteger, nullable=False, server_default=FeedPosition()),
    # False: made for one endpoint alone (a test, a copy), so no other lacks it.
    Column("relayed", Boolean, nullable=False, server_default=text("true")),
    Column("occurred_at", UtcTime, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    UniqueConstraint("tenant_id", "dedupe_key"),
)
Index("ix_events_feed", events.c.tenant_id, events.c.position, events.c.id)
Index("ix_events_subject", events.c.subject_id, events.c.sequence)
#: Retention empties bodies that are old: it must not look at those it has emptied before.
Index(
    "ix_events_body_kept",
    events.c.created_at,
    postgresql_where=text("length(body) > 0"),
    sqlite_where=text("length(body) > 0"),
)

#: Transient: events not yet fanned out; the relay deletes what it has expanded.
outbox = Table(
    "outbox",
    metadata,
    Column("event_id", Id, primary_key=True),
    Column("tenant_id", Id, nullable=False),
    Column("event_type", String(100), nullable=False),
    Column("created_at", UtcTime, nullable=False),
)
