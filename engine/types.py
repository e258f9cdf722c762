"""Column types that mean the same on PostgreSQL and on SQLite."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import JSON, DateTime, LargeBinary, Numeric, String, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

#: An identifier: text in Python, ``uuid`` on PostgreSQL, readable text on SQLite.
Id: TypeEngine[str] = Uuid(as_uuid=False).with_variant(String(36), "sqlite")

#: A JSON document.
Document: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")

#: Exact bytes.
Bytes: TypeEngine[bytes] = LargeBinary()


class UtcTime(TypeDecorator[datetime]):
    """An instant: aware UTC in Python, ``timestamptz`` on PostgreSQL, sortable text on SQLite."""

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


class Percent(TypeDecorator[Decimal]):
    """A percentage with four digits after the point: NUMERIC(7,4), exact text on SQLite."""

    impl = Numeric(7, 4)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column: SQLite knows no exact decimals."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(12))
        return dialect.type_descriptor(Numeric(7, 4))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """Hand SQLite the text."""
        return str(value) if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, _dialect: Dialect) -> Decimal | None:
        """Return an exact decimal."""
        return None if value is None else Decimal(value).quantize(Decimal("0.0001"))


class FeedPosition(FunctionElement[int]):
    """The number of the transaction a row is written in.

    A reader of the feed passes only what lies below the oldest transaction still open. SQLite has
    one writer, so there the order of rows is the order of commits, and this is 0.
    """

    inherit_cache = True


@compiles(FeedPosition, "postgresql")
def _position_postgresql(_element: FeedPosition, _compiler: Any, **_options: Any) -> str:
    return "(pg_current_xact_id()::text::bigint)"


@compiles(FeedPosition, "sqlite")
def _position_sqlite(_element: FeedPosition, _compiler: Any, **_options: Any) -> str:
    return "0"
