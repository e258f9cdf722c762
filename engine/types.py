"""Column types that mean the same on PostgreSQL and on SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, LargeBinary, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

#: An identifier: text in Python, ``uuid`` on PostgreSQL, readable text on SQLite.
Id: TypeEngine[str] = Uuid(as_uuid=False).with_variant(String(36), "sqlite")

#: A JSON document.
Document: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")

#: Exact bytes.
Bytes: TypeEngine[bytes] = LargeBinary()


class UtcTime(TypeDecorator[datetime]):
    """An instant: aware and in UTC in Python, ``timestamptz`` on PostgreSQL, sortable text on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive instants; hand SQLite the bare UTC reading."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "an instant without a zone cannot be stored"
            raise ValueError(msg)
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Return every instant aware and in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
