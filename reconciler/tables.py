"""Tables of the reconciler: runs, discrepancies and who leads."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, text

from engine.database import metadata
from engine.types import Document, Id, UtcTime

#: One check, run once: when, by whom, as of when, and what came of it.
runs = Table(
    "runs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("check", String(10), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("as_of", UtcTime, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", String(12), nullable=False),
    Column("scanned", Integer, nullable=False),
    Column("found", Integer, nullable=False),
    Column("healed", Integer, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("problem", String(500)),
)
Index("ix_runs_check", runs.c.check, runs.c.as_of)

#: What did not agree; at most one open row per check and subject.
discrepancies = Table(
    "discrepancies",
    metadata,
    Column("id", Id, primary_key=True),
    Column("check", String(10), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("expected", Document),
    Column("actual", Document),
    Column("status", String(12), nullable=False),
    Column("heal_action", String(200)),
    Column("first_seen_at", UtcTime, nullable=False),
    Column("last_seen_at", UtcTime, nullable=False),
)
Index(
    "uq_discrepancies_open",
    discrepancies.c.check,
    discrepancies.c.subject,
    unique=True,
    postgresql_where=text("status = 'open'"),
    sqlite_where=text("status = 'open'"),
)

#: One row per duty: any number of schedulers may run, one leads while its lease lasts.
leaderships = Table(
    "leaderships",
    metadata,
    Column("duty", String(40), primary_key=True),
    Column("holder", String(200), nullable=False),
    Column("lease_until", UtcTime, nullable=False),
)
