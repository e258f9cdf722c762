"""Tables of due dates: who agreed on which ladder, and which dates were moved."""

from __future__ import annotations

from sqlalchemy import Column, Date, ForeignKey, Integer, String, Table

from engine.database import metadata
from engine.types import Document, Id, UtcTime

#: A tenant's ladder for one child, or (``child_id`` its own) for its relationships and those below.
due_ladders = Table(
    "due_ladders",
    metadata,
    Column("tenant_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("child_id", Id, ForeignKey("tenants.id"), primary_key=True),
    Column("ladder", Document, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("updated_by", String(200), nullable=False),
)

#: Every due date that was moved: from when, to when, why and by whom.
due_changes = Table(
    "due_changes",
    metadata,
    Column("remittance_id", Id, ForeignKey("remittances.id"), primary_key=True),
    # The version of the schedule that the change began.
    Column("schedule_version", Integer, primary_key=True),
    Column("previous_due_date", Date, nullable=False),
    Column("due_date", Date, nullable=False),
    Column("reason", String(500), nullable=False),
    Column("actor", String(200), nullable=False),
    Column("source", String(20), nullable=False),
    Column("at", UtcTime, nullable=False),
)
