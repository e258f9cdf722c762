"""The database schema: Alembic migrations, run on both kinds of database."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from engine.database import Database
from engine.errors import DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> list[str]:
    """Bring the schema to the newest revision and return the revisions applied, oldest first."""
    before = current_revision(database)
    with database.write() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    applied = []
    for revision in ScriptDirectory.from_config(_config()).walk_revisions():
        if revision.revision == before:
            break
        applied.append(revision.revision)
    return applied[::-1]


def current_revision(database: Database) -> str | None:
    """Return the revision the database is at, or None when it is empty."""
    with database.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def newest_revision() -> str | None:
    """Return the revision this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def require_newest(database: Database) -> None:
    """Raise DatabaseUnavailable when the schema is missing or older than this code.

    A revision that this code does not know is newer: revisions only add, so that processes of both
    versions work side by side while they are replaced.
    """
    current, needed = current_revision(database), newest_revision()
    known = {each.revision for each in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is None or (current != needed and current in known):
        state = "has no schema" if current is None else f"is at revision {current}, not {needed}"
        raise DatabaseUnavailable(
            f"the database {state}: run 'tillbell init' ({database.location})"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
