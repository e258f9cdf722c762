"""Change what cannot be changed: what an owner of the database could do behind our back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, text

from engine.database import Database
from engine.ledger_guard import TABLES, removals, statements


@contextmanager
def tampering(database: Database) -> Iterator[Connection]:
    """Open a transaction in which the ledger can be changed; it commits."""
    with database.write() as connection, unguarded(connection):
        yield connection


@contextmanager
def unguarded(connection: Connection, tables: Iterable[Table] = TABLES) -> Iterator[None]:
    """Take the triggers away for the length of the block."""
    dialect = connection.dialect.name
    for table in tables:
        for statement in removals(table, dialect):
            connection.execute(text(statement))
    yield
    for table in tables:
        for statement in statements(table, dialect):
            connection.execute(text(statement))
