"""Insert what is not there yet: a statement the two databases spell differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def insert_missing(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> set[str]:
    """Insert the rows whose ``keys`` are free and return their primary keys.

    A row of another open transaction with the same key is waited for.
    """
    if not rows:
        return set()
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(table).on_conflict_do_nothing(index_elements=list(keys))
    return set(
        connection.execute(statement.returning(table.primary_key.columns[0]), list(rows)).scalars()
    )
