"""Insert what is not there yet, or much at once: the two databases spell it differently."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from psycopg import sql
from sqlalchemy import Connection, Table, Text, bindparam, cast, column, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

#: Below this many rows a statement is as quick as opening a COPY.
COPY_ROWS_MIN = 50


def insert_missing(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keys: Sequence[str] = ()
) -> set[str]:
    """Insert the rows whose ``keys`` are free and return their primary keys.

    Without ``keys`` any unique key of the table counts. A row of another open transaction with
    the same key is waited for.
    """
    if not rows:
        return set()
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(table).on_conflict_do_nothing(index_elements=list(keys) or None)
    return set(
        connection.execute(statement.returning(table.primary_key.columns[0]), list(rows)).scalars()
    )


def bulk_insert_missing(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> set[str]:
    """Do what ``insert_missing`` does for many rows; PostgreSQL takes them as one JSON text.

    That costs a third of what the driver takes to write each value. Values go as JSON writes them:
    identifiers and instants as text, bodies in hexadecimal.
    """
    if connection.dialect.name == "sqlite" or len(rows) < COPY_ROWS_MIN:
        return insert_missing(connection, table, rows, keys)
    statement = _insert_of_document(table, tuple(rows[0]), tuple(keys))
    document = orjson.dumps(rows, default=_as_text).decode()
    return set(connection.execute(statement, {"rows": document}).scalars())


@cache
def _insert_of_document(
    table: Table, names: tuple[str, ...], keys: tuple[str, ...]
) -> ReturningInsert[Any]:
    columns = [column(name, table.c[name].type) for name in names]
    document = cast(bindparam("rows", type_=Text()), postgresql.JSON)
    given = func.json_to_recordset(document).table_valued(*columns)
    rows = given.render_derived(name="given", with_types=True)
    statement = postgresql.insert(table).from_select(list(names), select(*rows.c))
    missing = statement.on_conflict_do_nothing(index_elements=list(keys))
    return missing.returning(table.primary_key.columns[0])


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    raise TypeError


def insert_or_change(
    connection: Connection,
    table: Table,
    row: dict[str, Any],
    keys: Sequence[str],
    changes: dict[str, Any],
) -> None:
    """Insert a row, or where one has its ``keys`` set the columns of ``changes`` on that."""
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(table).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changes))


def insert_or_replace(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Insert the rows, or where one has the same primary key put the new one in its place."""
    if not rows:
        return
    dialect_insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = dialect_insert(table)
    keys = [column.name for column in table.primary_key.columns]
    changes = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    statement = statement.on_conflict_do_update(index_elements=keys, set_=changes)
    connection.execute(statement, list(rows))


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
