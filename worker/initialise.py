"""Make what an installation needs before it can run: data folder, keys, schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from config.errors import TillbellError
from config.settings import Settings
from engine.database import Database
from engine.errors import DatabaseUnavailable
from engine.ledger_guard import restore
from worker.keys import ensure_keys
from worker.schema import current_revision, upgrade


class DataFolderUnusable(TillbellError):
    """The data folder cannot be made or written."""

    code = "DATA_FOLDER_UNUSABLE"


@dataclass(frozen=True, slots=True)
class Made:
    """What was made now; None or empty where it stood already."""

    key_file: Path | None
    revisions: tuple[str, ...]
    revision: str | None
    database: str


def initialise(settings: Settings) -> Made:
    """Make the data folder, a key where none is set, and the newest schema; safe to repeat.

    Raises DatabaseUnavailable or DataFolderUnusable.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        key_file = ensure_keys(settings)
        database = Database(settings.database)
    except OSError as error:
        raise DataFolderUnusable(
            f"{settings.data_dir.resolve()} cannot be used ({error.strerror});"
            " set TILLBELL_DATA_DIR to a folder that can be written"
        ) from None
    try:
        revisions = tuple(upgrade(database))
        revision = current_revision(database)
        with database.write() as connection:
            restore(connection)
    finally:
        database.dispose()
    return Made(key_file, revisions, revision, database.location)


def require_database_file(settings: Settings) -> None:
    """Raise DatabaseUnavailable when the embedded database was never made; do not make it."""
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    if not Path(url.database).exists():
        raise DatabaseUnavailable(
            f"there is no database at {url.database}: run 'tillbell init'", database=url.database
        )
