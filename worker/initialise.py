"""Make what an installation needs before it can run: data folder, keys, schema."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.settings import Settings
from engine.database import Database
from worker.keys import ensure_keys
from worker.schema import current_revision, upgrade


@dataclass(frozen=True, slots=True)
class Made:
    """What was made now; None or empty where it stood already."""

    key_file: Path | None
    revisions: tuple[str, ...]
    revision: str | None
    database: str


def initialise(settings: Settings) -> Made:
    """Make the data folder, a key where none is set, and the newest schema; safe to repeat.

    Raises DatabaseUnavailable, or OSError when the data folder cannot be written.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    key_file = ensure_keys(settings)
    database = Database(settings.database)
    try:
        revisions = tuple(upgrade(database))
        revision = current_revision(database)
    finally:
        database.dispose()
    return Made(key_file, revisions, revision, database.location)
