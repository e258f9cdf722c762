"""The ledger is append-only in the database itself, however its schema was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, create_engine, delete, event, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from config.clock import FixedClock
from engine import ledger_checks, ledger_verification
from engine.database import Database
from engine.ids import new_id
from engine.ledger_guard import TABLES, missing_guards, removals, restore
from engine.ledger_tables import ledger_entries, ledger_transactions
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, deliver, dump, place, top_up
from tests.server_kinds import new_database
from worker.schema import upgrade

CHANGES: list[Callable[[Connection], object]] = [
    lambda on: on.execute(update(ledger_entries).values(amount_minor=1)),
    lambda on: on.execute(update(ledger_transactions).values(kind="other")),
    lambda on: on.execute(delete(ledger_entries)),
    lambda on: on.execute(
        delete(ledger_transactions).where(ledger_transactions.c.id.not_in([new_id()]))
    ),
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_ledger_cannot_be_changed(
    units: UnitsOfWork, database: Database, change: Callable[[Connection], object]
) -> None:
    """An update or a deletion fails, says what to do instead, and changes nothing."""
    top_up(units, build_chain(units).r, 100)
    before = dump(database)
    with pytest.raises(DBAPIError, match="append-only"), database.write() as connection:
        change(connection)
    assert before == dump(database)


def test_a_missing_guard_is_named(database: Database, clock: FixedClock) -> None:
    """Whoever took a trigger away is found out by verification, until it is put back."""
    names = [table.name for table in TABLES]
    with database.write() as connection:
        assert [] == missing_guards(connection)
        for table in TABLES:
            for statement in removals(table, connection.dialect.name):
                connection.execute(text(statement))
        assert names == missing_guards(connection)
    found = ledger_verification.verify(database, clock.now()).findings
    assert [f"table {name}: triggers" for name in names] == [each["subject"] for each in found]
    with database.write() as connection:
        assert names == restore(connection)
    assert [] == ledger_verification.verify(database, clock.now()).findings


def test_a_row_cannot_be_replaced(units: UnitsOfWork, database: Database) -> None:
    """Neither SQLite's INSERT OR REPLACE nor PostgreSQL's ON CONFLICT passes the triggers by."""
    top_up(units, build_chain(units).r, 100)
    before = dump(database)
    verb = "INSERT OR REPLACE" if database.sqlite else "INSERT"
    more = "" if database.sqlite else " ON CONFLICT (id) DO UPDATE SET amount_minor = 1"
    statement = text(f"{verb} INTO ledger_entries SELECT * FROM ledger_entries WHERE true{more}")  # noqa: S608  # no input
    with pytest.raises(DBAPIError, match="append-only"), database.write() as connection:
        connection.execute(statement)
    assert before == dump(database)


@contextmanager
def own_role(url: str) -> Iterator[str]:
    """Yield a role of its own name on the server; what it had in databases went with them."""
    role = f"tillbell_test_{new_id().replace('-', '')}"
    admin = create_engine(url, poolclass=NullPool)
    with admin.begin() as connection:
        connection.execute(text(f"CREATE ROLE {role}"))
    try:
        yield role
    finally:
        with admin.begin() as connection:
            connection.execute(text(f"DROP ROLE {role}"))


@pytest.fixture
def owned(postgresql_url: str) -> Iterator[tuple[Database, Database]]:
    """Return a new database as its owner and as the application, which has a role of its own."""
    with own_role(postgresql_url) as role, new_database(postgresql_url) as url:
        owner, application = Database(url), Database(url)
        everything = f"GRANT ALL ON TABLES TO {role}, PUBLIC"
        with owner.write() as connection:
            connection.execute(text(f"GRANT USAGE ON SCHEMA public TO {role}"))
            connection.execute(text(f"ALTER DEFAULT PRIVILEGES {everything}"))
        upgrade(owner)
        event.listen(
            application.engine,
            "connect",
            lambda driver, _: driver.execute(f"SET ROLE {role}") and driver.commit(),
        )
        yield owner, application
        application.dispose()
        owner.dispose()


def test_the_application_has_no_right_to_change_the_ledger(
    owned: tuple[Database, Database],
) -> None:
    """It can trade; what it wrote it cannot change, and neither can the owner by mistake."""
    owner, application = owned
    units = UnitsOfWork(application)
    deliver(units, place(units, build_chain(units)))
    with application.read() as connection:
        assert [] == ledger_checks.verify(connection)
        assert [] == missing_guards(connection)
    for verb in ("UPDATE {} SET created_at = created_at", "DELETE FROM {}", "TRUNCATE {} CASCADE"):
        for table in TABLES:
            statement = text(verb.format(table.name))
            with pytest.raises(DBAPIError, match="permission"), application.write() as connection:
                connection.execute(statement)
            with pytest.raises(DBAPIError, match="append-only"), owner.write() as connection:
                connection.execute(statement)
