"""Look an installation over: what is wrong with it, and how to mend that."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.exc import DBAPIError

from config.clock import Clock, SystemClock
from config.errors import TillbellError
from config.settings import Settings, load_settings
from dispatcher.resealing import unreadable
from dispatcher.tables import mailboxes
from engine import ledger_guard
from engine.database import Database
from engine.tables import outbox
from worker.broker import check_broker
from worker.initialise import require_database_file
from worker.keys import load_keyring
from worker.schema import current_revision, require_newest

OK, WARN, FAIL = "ok", "warn", "fail"
#: Receivers refuse signatures that are five minutes away from their clock.
CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 2.0, 60.0
OUTBOX_WARN_SECONDS, OUTBOX_FAIL_SECONDS = 10.0, 300.0
INIT = "run 'tillbell init'"
START_WORKER = "start 'tillbell serve', or 'tillbell worker' and 'tillbell scheduler'"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What one look found; ``mend`` says what to do where it is not ``ok``."""

    check: str
    status: str
    message: str
    mend: str | None = None


def examine(clock: Clock | None = None) -> Iterator[Diagnosis]:
    """Yield one diagnosis after another; what cannot be looked at any more is left out."""
    try:
        settings = load_settings()
    except TillbellError as error:
        yield Diagnosis("settings", FAIL, error.message, "correct the environment")
        return
    kind = "embedded" if settings.embedded else "production"
    yield Diagnosis("settings", OK, f"{kind}, data folder {settings.data_dir.resolve()}")
    yield _broker(settings)
    try:
        require_database_file(settings)
    except TillbellError as error:
        yield Diagnosis("database", FAIL, _without_advice(error), INIT)
        return
    database = Database(settings.database)
    try:
        yield from _database(database, settings, clock or SystemClock())
    finally:
        database.dispose()


def _without_advice(error: TillbellError) -> str:
    return error.message.replace(f": {INIT}", "")


def _broker(settings: Settings) -> Diagnosis:
    if settings.embedded:
        return Diagnosis("broker", OK, "hints stay inside 'tillbell serve' (memory://)")
    try:
        check_broker(settings.broker_url)
    except TillbellError as error:
        return Diagnosis("broker", FAIL, error.message, "start Redis, or set TILLBELL_BROKER_URL")
    return Diagnosis("broker", OK, "answers, and keeps what it is given")


def _database(database: Database, settings: Settings, clock: Clock) -> Iterator[Diagnosis]:
    try:
        began = time.monotonic()
        theirs = database.now()
        took_ms = (time.monotonic() - began) * 1000
        revision = current_revision(database)
    except (TillbellError, DBAPIError) as error:
        message = error.message if isinstance(error, TillbellError) else str(error.orig)
        mend = "start the database, or set TILLBELL_DATABASE_URL"
        yield Diagnosis("database", FAIL, message, mend)
        return
    yield Diagnosis("database", OK, f"answers in {took_ms:.0f} ms ({database.location})")
    yield clock_diagnosis((clock.now() - theirs).total_seconds())
    try:
        require_newest(database)
    except TillbellError as error:
        yield Diagnosis("schema", FAIL, _without_advice(error), INIT)
        return
    yield Diagnosis("schema", OK, f"revision {revision}, the newest")
    with database.read() as connection:
        yield _ledger(connection)
        yield _keys(connection, settings)
        yield _leases(connection, theirs)
        yield _outbox(connection, theirs)


def clock_diagnosis(ahead_seconds: float) -> Diagnosis:
    """Judge how far this machine's clock is ahead of the database's, which decides."""
    apart = abs(ahead_seconds)
    message = f"{apart:.1f} s {'ahead of' if ahead_seconds > 0 else 'behind'} the database's"
    if apart < CLOCK_WARN_SECONDS:
        return Diagnosis("clock", OK, "agrees with the database's")
    status = WARN if apart < CLOCK_FAIL_SECONDS else FAIL
    return Diagnosis("clock", status, message, "let both machines keep time by NTP")


def _ledger(connection: Connection) -> Diagnosis:
    """See whether the database itself refuses to change what was posted."""
    missing = ledger_guard.missing_guards(connection)
    if not missing:
        return Diagnosis("ledger", OK, "append-only, the database refuses changes")
    mend = f"{INIT} to put them back, then 'tillbell ledger verify --full'"
    return Diagnosis("ledger", FAIL, f"triggers are missing on {', '.join(missing)}", mend)


def _keys(connection: Connection, settings: Settings) -> Diagnosis:
    """Try everything that is sealed."""
    try:
        keyring = load_keyring(settings)
    except TillbellError as error:
        return Diagnosis("keys", FAIL, error.message, "run 'tillbell init' or restore the key")
    count, closed = unreadable(connection, keyring)
    if closed:
        message = f"{len(closed)} of {count} sealed things cannot be opened: {closed[0]}"
        mend = "add the missing key to TILLBELL_SECRET_KEYS, or rotate those endpoints' secrets"
        return Diagnosis("keys", FAIL, message, mend)
    return Diagnosis("keys", OK, f"{count} sealed things, all can be opened")


def _leases(connection: Connection, now: datetime) -> Diagnosis:
    query = select(func.count()).where(mailboxes.c.lease_until < now)
    expired = connection.execute(query).scalar_one()
    if expired:
        message = f"{expired} mailboxes are held by workers that are gone"
        return Diagnosis("leases", WARN, message, START_WORKER)
    return Diagnosis("leases", OK, "none is held by a worker that is gone")


def _outbox(connection: Connection, now: datetime) -> Diagnosis:
    query = select(func.count(), func.min(outbox.c.created_at))
    waiting, oldest = connection.execute(query).one()
    if not waiting:
        return Diagnosis("outbox", OK, "every event is fanned out")
    age_seconds = (now - oldest).total_seconds()
    message = f"{waiting} events wait to be fanned out, the oldest for {age_seconds:.0f} s"
    if age_seconds < OUTBOX_WARN_SECONDS:
        return Diagnosis("outbox", OK, message)
    status = WARN if age_seconds < OUTBOX_FAIL_SECONDS else FAIL
    return Diagnosis("outbox", status, message, START_WORKER)
