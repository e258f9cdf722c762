"""Tables of upstream platforms: where orders are fulfilled elsewhere, and how far they are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, text

from engine.database import metadata
from engine.types import Bytes, Id, UtcTime

#: What is sealed of an upstream, by kind: our token, and the secret of its callbacks.
TOKEN, CALLBACK = "upstream_token", "upstream_callback"  # kinds of secret

#: One row per platform a tenant buys from: how it is asked, how often, and how it answers lately.
upstreams = Table(
    "upstreams",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant_id", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("base_url", String(2048), nullable=False),
    Column("path", String(300), nullable=False),
    Column("x_tenant", String(200)),
    Column("state", String(10), nullable=False),
    # The token we show it, and what it signs its callbacks with; both sealed.
    Column("token_key_id", String(16)),
    Column("token_sealed", Bytes),
    Column("callback_signature", String(10)),
    Column("callback_key_id", String(16)),
    Column("callback_sealed", Bytes),
    # The budget of the running minute: shared by every process that asks.
    Column("requests_per_minute", Integer, nullable=False),
    Column("minute_at", UtcTime),
    Column("minute_used", Integer, nullable=False, server_default=text("0")),
    # The circuit: failures in a row, how often it opened, until when nothing is asked.
    Column("failures_in_row", Integer, nullable=False, server_default=text("0")),
    Column("openings", Integer, nullable=False, server_default=text("0")),
    Column("blocked_until", UtcTime),
    Column("last_error", String(200)),
    Column("created_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
Index("ix_upstreams_tenant_id", upstreams.c.tenant_id)

#: One row per order that an upstream fulfils: its name there, and what was last seen of it.
upstream_orders = Table(
    "upstream_orders",
    metadata,
    Column("upstream_id", Id, ForeignKey("upstreams.id"), primary_key=True),
    Column("reference", String(200), primary_key=True),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id"), nullable=False),
    Column("seen_status", String(20)),
    # The newest message that was applied, by the upstream's numbers and by its clock; and how many
    # came after a newer one and meant nothing.
    Column("seen_sequence", BigInteger),
    Column("seen_occurred_at", UtcTime),
    Column("late", BigInteger, nullable=False, server_default=text("0")),
    Column("etag", String(200)),
    Column("last_modified", String(100)),
    Column("answer_bytes", Integer),
    Column("checked_at", UtcTime),
    Column("changed_at", UtcTime, nullable=False),
    # Null: it is final there and here, and has been for long enough.
    Column("next_check_at", UtcTime),
    Column("checks", BigInteger, nullable=False, server_default=text("0")),
    # What does not fit, and its sentence; K01 and K02 look here.
    Column("problem", String(20)),
    Column("problem_detail", String(300)),
)
Index("uq_upstream_orders_chain_order_id", upstream_orders.c.chain_order_id, unique=True)
_DUE = text("next_check_at IS NOT NULL")
Index(
    "ix_upstream_orders_due",
    upstream_orders.c.upstream_id,
    upstream_orders.c.next_check_at,
    postgresql_where=_DUE,
    sqlite_where=_DUE,
)
_PROBLEM = text("problem IS NOT NULL")
Index(
    "ix_upstream_orders_problem",
    upstream_orders.c.problem,
    postgresql_where=_PROBLEM,
    sqlite_where=_PROBLEM,
)

#: Callbacks that came from upstreams: a message that comes again is answered, and changes nothing.
inbound_messages = Table(
    "inbound_messages",
    metadata,
    Column("upstream_id", Id, primary_key=True),
    Column("message_id", String(200), primary_key=True),
    Column("event", String(100), nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("received_at", UtcTime, nullable=False),
)
Index("ix_inbound_messages_received_at", inbound_messages.c.received_at)
