"""Many rows in short: the server copies rows it has, and builds indexes when all are there."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import Connection, text

from engine.database import Database, metadata

BATCH = 250_000

Told = Callable[[str], None]
#: Makes the SQL of a column, where the dialects differ.
Made = Callable[[Connection], str]
Changed = Mapping[str, Made | str]

_RANGE_POSTGRESQL = (
    "(SELECT n FROM generate_series(CAST(:start AS bigint), CAST(:stop AS bigint)) g(n))"
)
_RANGE_SQLITE = (
    "(WITH RECURSIVE s(n) AS (SELECT :start UNION ALL SELECT n + 1 FROM s WHERE n < :stop)"
    " SELECT n FROM s)"
)
#: What would be looked up or kept in order row by row; primary keys stay: copies come in order.
_CONSTRAINTS = """
    SELECT conrelid::regclass::text AS on_table, conname AS name,
        pg_get_constraintdef(oid) || CASE contype WHEN 'f' THEN ' NOT VALID' ELSE '' END AS made_by
    FROM pg_constraint WHERE contype IN ('f', 'u') AND conrelid::regclass::text = ANY(:tables)
    ORDER BY contype DESC, conname"""
_INDEXES = """
    SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS made_by
    FROM pg_index WHERE indrelid::regclass::text = ANY(:tables)
        AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)
    ORDER BY 1"""
#: Where the identifiers of copies begin: a day long ago, so that they are older than what is new.
_OLD = "016f5e66-e800-7000"
#: Every copy is older, and everything the engine makes is newer.
NEWER = "016f5e66-e800-7001-8000-000000000000"


def telling() -> Told:
    """Return what writes sentences to standard error, with the seconds since now."""
    began = time.monotonic()

    def told(sentence: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.0f} s  {sentence}\n")

    return told


def copy_id(connection: Connection, kind: int, number: str) -> str:
    """Return the SQL of an identifier from a number's SQL: version 7, of 2020, in its order.

    ``kind``, from 0 to 999, keeps the copies of different rows apart.
    """
    if connection.dialect.name == "sqlite":
        return f"printf('{_OLD}-8{kind:03d}-%012x', {number})"
    return f"CAST('{_OLD}-8{kind:03d}-' || lpad(to_hex({number}), 12, '0') AS uuid)"


def copies(
    database: Database,
    table: str,
    changed: Changed,
    numbers: range,
    *,
    where: str,
    told: Told,
) -> None:
    """Insert, for each number, a copy of every row that ``where`` chooses, in big transactions.

    ``changed`` holds the SQL of columns that differ: ``s.n`` is the number, ``t`` the row copied
    and ``t.place`` its place among them, from 1. ``told`` hears how far it is.
    """
    for start in range(numbers.start, numbers.stop, BATCH):
        stop = min(start + BATCH, numbers.stop) - 1
        with database.write() as connection:
            statement = _copying(connection, table, changed, where)
            connection.execute(text(statement), {"start": start, "stop": stop})
        told(f"{table}: {stop - numbers.start + 1:,} of {len(numbers):,}")


def _copying(
    connection: Connection,
    table: str,
    changed: Changed,
    where: str,
) -> str:
    said = {name: sql if isinstance(sql, str) else sql(connection) for name, sql in changed.items()}
    names = [column.name for column in metadata.tables[table].columns]
    chosen = ", ".join(said.get(name, f't."{name}"') for name in names)
    numbers = _RANGE_SQLITE if connection.dialect.name == "sqlite" else _RANGE_POSTGRESQL
    quoted = ", ".join(f'"{name}"' for name in names)
    key = next(iter(metadata.tables[table].primary_key)).name
    rows = f"SELECT *, row_number() OVER (ORDER BY {key}) AS place FROM {table} WHERE {where}"  # noqa: S608  # our own names
    return f"INSERT INTO {table} ({quoted}) SELECT {chosen} FROM {numbers} s CROSS JOIN ({rows}) t"  # noqa: S608  # our own names


@contextmanager
def unindexed(database: Database, tables: Sequence[str], told: Told) -> Iterator[None]:
    """Keep tables without indexes and foreign keys while the block fills them, then analyse them.

    A million rows with ten of both took minutes one by one and seconds at once. Foreign keys come
    back for new rows only. SQLite keeps its indexes, for copies come in order, and is not
    analysed: in life it is not either.
    """
    if database.sqlite:
        yield
        return
    with database.write() as connection:
        found = {"tables": list(tables)}
        constraints = connection.execute(text(_CONSTRAINTS), found).all()
        indexes = connection.execute(text(_INDEXES), found).all()
        for row in constraints:
            connection.execute(text(f"ALTER TABLE {row.on_table} DROP CONSTRAINT {row.name}"))
        for row in indexes:
            connection.execute(text(f"DROP INDEX {row.name}"))
    yield
    for row in constraints:
        _build(database, f"ALTER TABLE {row.on_table} ADD CONSTRAINT {row.name} {row.made_by}")
    for number, row in enumerate(indexes, start=1):
        told(f"index {number} of {len(indexes)}: {row.name}")
        _build(database, row.made_by)
    for table in tables:
        told(f"analysing {table}")
        vacuum(database, table)


def _build(database: Database, statement: str) -> None:
    with database.write() as connection:
        connection.execute(text("SET LOCAL maintenance_work_mem = '512MB'"))
        connection.exec_driver_sql(statement)


def vacuum(database: Database, table: str) -> None:
    """Do for one table what the server's autovacuum would do in time."""
    if database.sqlite:
        return
    free = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with free.connect() as connection:
        connection.execute(text(f"VACUUM ANALYZE {table}"))
