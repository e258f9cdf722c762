"""Tables of the reconciler: runs, discrepancies, who leads, and what couriers reported."""

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
    text,
)

from engine.database import metadata
from engine.types import Document, Id, UtcTime

#: One check, run once: when, by whom, as of when, and what came of it.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    # All checks of one call have the same.
    Column("batch_id", Id, nullable=False),
    Column("check", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    # Everything open was looked at, not only what changed.
    Column("sweep", Boolean, nullable=False),
    # running between two slices, then completed or stopped.
    Column("state", String(12), nullable=False),
    Column("cursor", String(300)),
    Column("scanned", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    Column("healed", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    # Found, neither healed nor accepted; and of those what fails the run.
    Column("left_open", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("problem", String(500)),
)
Index("ix_runs_check", runs.c.check, runs.c.as_of)
Index("ix_runs_batch_id", runs.c.batch_id)
_BROKEN_OFF = text("state = 'running'")
Index("ix_runs_running", runs.c.check, postgresql_where=_BROKEN_OFF, sqlite_where=_BROKEN_OFF)

#: What did not agree. A row stands until it is settled: healed, or no longer found; accepted and
#: false_positive ones stand too, so that finding them again opens nothing.
discrepancies = Table(
    "discrepancies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("check", String(20), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("policy", String(10), nullable=False),
    Column("tenant_id", Id),
    Column("expected", Document),
    Column("actual", Document),
    # What the check needs to look at it again, or to heal it.
    Column("key", Document),
    Column("amount_minor", BigInteger),
    Column("currency", String(3)),
    # Exceptions have somebody who answers for them, and a day.
    Column("owner", String(200)),
    Column("due_at", UtcTime),
    Column("status", String(20), nullable=False),
    Column("heal_action", String(200)),
    Column("heal_reference", String(200)),
    Column("last_run_id", Id),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
    Column("settled_at", UtcTime),
)
_STANDING = text("settled_at IS NULL")
Index(
    "uq_discrepancies_standing",
    discrepancies.c.check,
    discrepancies.c.subject,
    unique=True,
    postgresql_where=_STANDING,
    sqlite_where=_STANDING,
)
Index("ix_discrepancies_last_run_id", discrepancies.c.last_run_id)
_SETTLED = text("settled_at IS NOT NULL")
Index(
    "ix_discrepancies_settled_at",
    discrepancies.c.settled_at,
    postgresql_where=_SETTLED,
    sqlite_where=_SETTLED,
)

#: Append-only: what became of a discrepancy, who did it and why.
discrepancy_log = Table(
    "discrepancy_log",
    metadata,
    Column("id", Id, primary_key=True),
    Column("discrepancy_id", Id, nullable=False),
    Column("run_id", Id),
    Column("action", String(20), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("note", String(1000)),
    Column("at", UtcTime, nullable=False),
)
Index("ix_discrepancy_log_discrepancy_id", discrepancy_log.c.discrepancy_id)

#: One row per duty: any number of schedulers may run, one leads while its lease lasts.
leaderships = Table(
    "leaderships",
    metadata,
    Column("duty", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("lease_until", UtcTime, nullable=False),
)

#: What a courier said of the cash it took, file by file; the same file is read once.
courier_files = Table(
    "courier_files",
    metadata,
    Column("id", Id, primary_key=True),
    Column("courier", String(100), nullable=False),
    Column("currency", String(3), nullable=False),
    # SHA-256 of the file and of what was said with it.
    Column("digest", String(64), nullable=False, unique=True),
    Column("lines", Integer, nullable=False),
    # The days whose orders the file had to name; null where nothing says which.
    Column("from_at", UtcTime),
    Column("until_at", UtcTime),
    Column("actor", String(200), nullable=False),
    Column("imported_at", UtcTime, nullable=False),
)

courier_lines = Table(
    "courier_lines",
    metadata,
    Column("file_id", Id, ForeignKey("courier_files.id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("reference", String(100), nullable=False),
    Column("batch", String(100), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("paid_at", UtcTime),
    # The order this line is of: one line an order, over all files.
    Column("chain_order_id", Id, ForeignKey("chain_orders.id")),
)
_MATCHED = text("chain_order_id IS NOT NULL")
Index(
    "uq_courier_lines_chain_order_id",
    courier_lines.c.chain_order_id,
    unique=True,
    postgresql_where=_MATCHED,
    sqlite_where=_MATCHED,
)

#: What of a file did not match; resolved where a later file made it good.
courier_differences = Table(
    "courier_differences",
    metadata,
    Column("id", Id, primary_key=True),
    Column("file_id", Id, ForeignKey("courier_files.id"), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("reference", String(100), nullable=False),
    Column("line", Integer),
    Column("chain_order_id", Id, ForeignKey("chain_orders.id")),
    Column("expected_minor", BigInteger),
    Column("actual_minor", BigInteger),
    Column("found_at", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
)
_UNRESOLVED = text("resolved_at IS NULL")
Index(
    "ix_courier_differences_unresolved",
    courier_differences.c.id,
    postgresql_where=_UNRESOLVED,
    sqlite_where=_UNRESOLVED,
)
Index(
    "ix_courier_differences_order",
    courier_differences.c.chain_order_id,
    postgresql_where=_UNRESOLVED,
    sqlite_where=_UNRESOLVED,
)

#: What a probe of an endpoint last brought: of a disabled one the answer to a test, of one that is
#: called until when its receiver's certificate lasts. ``next_probe_at`` is also the claim.
endpoint_probes = Table(
    "endpoint_probes",
    metadata,
    Column("endpoint_id", Id, ForeignKey("endpoints.id"), primary_key=True),
    Column("next_probe_at", UtcTime, nullable=False),
    Column("probed_at", UtcTime),
    Column("status_code", Integer),
    Column("error", String(20)),
    Column("certificate_ends_at", UtcTime),
)
