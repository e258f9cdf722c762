"""Insert what is not there yet, or much at once: the two databases spell it differently."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Table, insert
from sqlalchemy.dialects import postgresql, sqlite

#: Below this many rows a statement is as quick as opening a COPY.
COPY_ROWS_MIN = 50


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


def bulk_insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert many rows; PostgreSQL takes them by COPY, which costs a tenth of a statement each.

    Values go as the driver writes them: identifiers as text, instants aware, bodies as bytes.
    """
    if connection.dialect.name == "sqlite" or len(rows) < COPY_ROWS_MIN:
        connection.execute(insert(table), list(rows))
        return
    names = list(rows[0])
    driver: Any = connection.connection.driver_connection
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in names)
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), columns)
    with driver.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            copy.write_row([row[name] for name in names])
