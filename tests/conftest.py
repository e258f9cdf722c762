"""Fixtures: one empty database per test, on SQLite and on PostgreSQL, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

import dispatcher.tables
import engine.tables
from config.clock import FixedClock
from engine.database import Database, metadata
from engine.unit_of_work import UnitsOfWork

assert dispatcher.tables
assert engine.tables

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Return the address of a fresh PostgreSQL database with the schema in place."""
    server = make_url("postgresql+psycopg://postgres@127.0.0.1:5432/postgres")
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"tillbell_test_{id(server):x}"
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = server.set(database=name)
    target = create_engine(url)
    metadata.create_all(target)
    target.dispose()
    yield url.render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return an empty database with the schema, once on each of the two kinds."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'test.db'}")
        metadata.create_all(database.engine)
    else:
        database = Database(request.getfixturevalue("postgresql_url"))
        with database.write() as connection:
            names = ", ".join(table.name for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {names}"))
    yield database
    database.dispose()


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that stands still on a Monday morning."""
    return FixedClock(START)


@pytest.fixture
def units(database: Database, clock: FixedClock) -> UnitsOfWork:
    """Return units of work on the test's database and clock."""
    return UnitsOfWork(database, clock)
