"""One database, SQLite or PostgreSQL: connections, transactions and its clock."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from engine.errors import DatabaseUnavailable
from engine.ids import new_id
from engine.money import marked_up

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: A process that stalls inside a transaction is cut off: an old snapshot slows every claim.
IDLE_IN_TRANSACTION_SECONDS = 15
SQLITE_BUSY_SECONDS = 30
#: A connection that rested as long is asked whether it lives before it is used again.
RESTED_SECONDS = 1.0
#: Who waits longer for a lock is refused: a session that holds one must not gather a queue.
LOCK_SECONDS = 10


class Database:
    """The one place transactions begin; ``write`` and ``read`` are the only ways in."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """Prepare connections to ``url`` without opening one."""
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        # SQLite has one writer: waiting for a lock of ours is fair, its own busy handler is not.
        self._writer = threading.RLock() if self.sqlite else nullcontext()
        self.engine = self._create_sqlite() if self.sqlite else self._create_postgresql(pool_size)

    @property
    def sqlite(self) -> bool:
        """Whether this is the embedded database."""
        return self.dialect == "sqlite"

    def _create_sqlite(self) -> Engine:
        if self.url.database and self.url.database != ":memory:":
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            self.url,
            hide_parameters=True,  # bodies and secrets stay out of what an error says
            connect_args={"check_same_thread": False, "timeout": SQLITE_BUSY_SECONDS},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _create_postgresql(self, pool_size: int) -> Engine:
        idle = f"idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s"
        locks = f"lock_timeout={LOCK_SECONDS}s"
        engine = create_engine(
            self.url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            pool_size=pool_size,
            max_overflow=pool_size,
            connect_args={
                "options": f"-c timezone=UTC -c {idle} -c {locks}",
                "connect_timeout": 5,
                "application_name": "tillbell",
            },
        )
        event.listen(engine, "checkin", _note_rest)
        event.listen(engine, "checkout", _require_alive)
        return engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may change rows; it commits unless the block raises."""
        with self._writer, self._connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a connection that only reads, each statement what is committed by then.

        On PostgreSQL that needs no transaction, which would be two more round trips.
        """
        with self._connect(read_only=True) as connection, connection.begin():
            yield connection

    def _connect(self, *, read_only: bool = False) -> Connection:
        try:
            connection = self.engine.connect()
            if read_only and not self.sqlite:
                return connection.execution_options(isolation_level="AUTOCOMMIT")
            return connection.execution_options(tillbell_read_only=read_only)
        except OperationalError as error:
            raise DatabaseUnavailable(
                f"the database does not answer: {self.location} ({_first_line(error)})",
                database=self.location,
            ) from error

    @property
    def location(self) -> str:
        """The address without its password."""
        return self.url.render_as_string(hide_password=True)

    def now(self) -> datetime:
        """Return the database's clock: the one that decides what is due."""
        with self.read() as connection:
            return database_now(connection)

    def dispose(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()


def database_now(connection: Connection) -> datetime:
    """Return the database's current instant inside an open transaction."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)


def _note_rest(_driver_connection: Any, record: ConnectionPoolEntry) -> None:
    """Remember since when a connection rests."""
    record.info["rests_since"] = time.monotonic()


def _require_alive(driver_connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection that rested whether it still lives; one just used would only be slower."""
    if time.monotonic() - record.info.get("rests_since", math.inf) < RESTED_SECONDS:
        return
    try:
        driver_connection.autocommit = True
        driver_connection.execute("")
        driver_connection.autocommit = False
    except psycopg.Error as error:
        raise InvalidatePoolError(str(error)) from error


def wait_for_locks(connection: Connection, seconds: float) -> None:
    """Let the rest of an open transaction wait so long for each lock; SQLite has one for all."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(seconds * 1000)}")


def held_up(error: Exception) -> bool:
    """Tell whether a statement ended because it would have waited longer than it may."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return code in {"55P03", "57014"}  # lock_not_available, query_canceled


def away(error: Exception) -> bool:
    """Tell whether the database is away, not that it refused what it was given.

    A connection that it ended, as it does when a transaction stood idle, is away whatever it says.
    """
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, (OperationalError, DatabaseUnavailable))


def _prepare_sqlite(driver_connection: Any, _record: Any) -> None:
    """Set what SQLite forgets between connections, and give it our identifiers."""
    driver_connection.isolation_level = None
    driver_connection.create_function("tillbell_uuid7", 0, new_id)
    driver_connection.create_function("least", 2, partial(_extreme, min), deterministic=True)
    driver_connection.create_function("greatest", 2, partial(_extreme, max), deterministic=True)
    driver_connection.create_function("tillbell_marked_up", 2, marked_up, deterministic=True)
    # INSERT OR REPLACE fires the triggers of a deletion only where triggers are recursive.
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "recursive_triggers=ON")
    for pragma in pragmas:
        driver_connection.execute(f"PRAGMA {pragma}")


def _extreme(choose: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """Behave like PostgreSQL's LEAST and GREATEST, which pass over null."""
    if left is None or right is None:
        return right if left is None else left
    return choose(left, right)


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at once: a read turned into a write later could not wait for it."""
    read_only = connection.get_execution_options().get("tillbell_read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _first_line(error: OperationalError) -> str:
    return str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason given"


class DatabaseClock:
    """The database's clock, read now and then and carried on by this machine's steady counter.

    A worker whose wall clock is wrong still decides and signs by the database's time.
    """

    def __init__(self, database: Database, *, resync_seconds: float = 10.0) -> None:
        self._database = database
        self._resync_seconds = resync_seconds
        self._anchor: datetime | None = None
        self._anchored_at = 0.0

    def now(self) -> datetime:
        """Return the database's current instant; asks it only the first time and in ``sync``."""
        if self._anchor is None:
            self.sync()
        assert self._anchor is not None
        return self._anchor + timedelta(seconds=time.monotonic() - self._anchored_at)

    def sync(self) -> None:
        """Ask the database again if the last answer is old; called between batches, not in them."""
        if self._anchor is not None and time.monotonic() - self._anchored_at < self._resync_seconds:
            return
        self._anchor = self._database.now()
        self._anchored_at = time.monotonic()
