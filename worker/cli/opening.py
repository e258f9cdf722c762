"""Open the installation the settings name, for one command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from config.log import configure_logging
from config.settings import Settings, load_settings
from engine.errors import DatabaseUnavailable
from engine.unit_of_work import UnitOfWork
from worker.bootstrap import Application, build
from worker.initialise import require_database_file

#: How both databases say that a table or column is not there.
_SCHEMA_MISSING = ("no such table", "no such column", "has no column", "does not exist")


@contextmanager
def opened(settings: Settings | None = None) -> Iterator[Application]:
    """Yield the application; commands of a moment log warnings only.

    Raises SettingsInvalid, KeysMissing, KeysUnreadable, or DatabaseUnavailable when there is no
    database, no schema, or no answer; what the database's driver raised is the cause.
    """
    settings = settings or load_settings()
    level = "debug" if settings.log_level == "debug" else "warning"
    configure_logging(log_format=settings.log_format, level=level)
    require_database_file(settings)
    application = build(settings)
    try:
        with database_errors(application.database.location):
            yield application
    finally:
        application.close()


@contextmanager
def database_errors(location: str) -> Iterator[None]:
    """Turn what a database's driver raises in the block into DatabaseUnavailable."""
    try:
        yield
    except DBAPIError as error:
        raise _unavailable(error, location) from error


@contextmanager
def reading() -> Iterator[Connection]:
    """Yield a connection of a short transaction that only reads."""
    with opened() as application, application.database.read() as connection:
        yield connection


@contextmanager
def writing(actor: str | None = None) -> Iterator[tuple[Application, UnitOfWork]]:
    """Yield a unit of work in the operator's name, or ``actor``'s; it commits unless it raises."""
    with opened() as application, application.units.begin(actor=actor or operator()) as work:
        yield application, work


def operator() -> str:
    """Return who acts, for the record: ``cli:`` and the user this process runs as."""
    number = os.getuid()
    try:
        return f"cli:{pwd.getpwuid(number).pw_name}"
    except KeyError:  # a container may run under a number that has no name
        return f"cli:{number}"


def _unavailable(error: DBAPIError, location: str) -> DatabaseUnavailable:
    """Return the refusal that says what the database's own error means here."""
    lines = str(error.orig).strip().splitlines() or ["no reason given"]
    if any(sign in lines[0] for sign in _SCHEMA_MISSING):
        return DatabaseUnavailable(
            f"the database lacks the schema: run 'tillbell init' ({location}: {lines[0]})",
            database=location,
        )
    return DatabaseUnavailable(f"the database failed: {location} ({lines[0]})", database=location)
