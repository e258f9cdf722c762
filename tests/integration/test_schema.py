"""Migrations make exactly the schema the code describes, on both databases, repeatably."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, make_url, text

import dispatcher.tables
import engine.schema
import reconciler.tables
from engine.database import Database, metadata
from engine.errors import DatabaseUnavailable
from engine.ids import new_id
from worker.schema import current_revision, newest_revision, require_newest, upgrade

assert dispatcher.tables
assert engine.schema
assert reconciler.tables


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Return a database without any table, of each kind."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
        yield database
        database.dispose()
        return
    server = make_url(request.getfixturevalue("postgresql_url"))
    name = f"tillbell_empty_{new_id().replace('-', '')}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = server.set(database=name)
    database = Database(url.render_as_string(hide_password=False))
    yield database
    database.dispose()
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def test_migrations_make_the_schema_the_code_describes(empty: Database) -> None:
    """After an upgrade nothing differs between the database and the metadata."""
    with pytest.raises(DatabaseUnavailable, match="tillbell init"):
        require_newest(empty)
    assert upgrade(empty)[-1] == newest_revision()
    require_newest(empty)
    with empty.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_upgrade_can_be_repeated(empty: Database) -> None:
    """A second upgrade applies nothing and keeps the revision."""
    upgrade(empty)
    assert upgrade(empty) == []
    assert current_revision(empty) == newest_revision()
