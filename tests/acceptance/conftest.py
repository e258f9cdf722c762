"""Whole installations for whole processes: embedded, and in production shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.database import Database
from tests.installations import installed
from tests.server_kinds import new_database
from worker.bootstrap import Application
from worker.schema import upgrade

#: Of an attempt, so that a lease lasts 16 s.
DEADLINE_SECONDS = 1.0


def made(database: Database, broker_url: str, folder: Path) -> Iterator[Application]:
    """Make the schema and yield this process's view of the installation."""
    upgrade(database)
    with installed(
        database, broker_url, data_dir=folder, delivery_deadline_seconds=DEADLINE_SECONDS
    ) as application:
        yield application
    database.dispose()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Application]:
    """Return an installation on SQLite, its hints inside one process."""
    yield from made(Database(f"sqlite:///{tmp_path / 'tillbell.db'}"), "memory://", tmp_path)


@pytest.fixture
def production(postgresql_url: str, redis_url: str, tmp_path: Path) -> Iterator[Application]:
    """Return an installation on PostgreSQL and Redis."""
    with new_database(postgresql_url) as url:
        yield from made(Database(url), redis_url, tmp_path)
