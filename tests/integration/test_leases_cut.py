"""A lease whose mailbox the database failed to be read for is given back: nobody died."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select, update
from sqlalchemy.exc import DBAPIError

from config.clock import FixedClock
from dispatcher.poison import CRASHES_MAX
from dispatcher.tables import mailboxes
from engine.database import Database
from tests.dispatching import Dispatching, dispatching
from tests.processes import until
from tests.receivers import receiving


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


@contextmanager
def reads_failing(database: Database) -> Iterator[None]:
    """Let the database fail whoever asks for endpoints: it goes away between lease and reading."""

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM endpoints" in statement:
            error = sqlite3.OperationalError("the database went away")
            raise DBAPIError.instance(statement, None, error, sqlite3.Error)

    event.listen(database.engine, "before_cursor_execute", fail)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", fail)


def take_in_vain(dispatch: Dispatching) -> Any:
    """Take what is due while reading fails, and return the mailbox once it was given back."""
    with reads_failing(dispatch.database), pytest.raises(DBAPIError):
        dispatch.drainer.take()

    def row() -> Any:
        with dispatch.database.read() as connection:
            return connection.execute(select(mailboxes)).one()

    until(lambda: row().lease_until is None)
    return row()


def test_a_database_away_three_times_condemns_nothing(dispatch: Dispatching) -> None:
    """The mailbox is due again at once, no crash is counted, and all of it is delivered."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id, 3)
        dispatch.relay.run_until_empty()
        for _ in range(CRASHES_MAX + 1):
            row = take_in_vain(dispatch)
            assert (0, None) == (row.crashes, row.suspect_delivery_id)
            assert row.due_at is not None
            dispatch.clock.advance(timedelta(minutes=1))
        assert 3 == dispatch.run_once()
    assert {"succeeded"} == {row.state for row in dispatch.rows()}


def test_a_lease_given_back_untried_forgets_no_crash(dispatch: Dispatching) -> None:
    """What killed two processes and is then not reached still needs one crash, not three."""
    tenant_id = dispatch.tenant()
    dispatch.endpoint(tenant_id, "http://127.0.0.1:9/hook")
    dispatch.publish(tenant_id)
    dispatch.relay.run_until_empty()
    [delivery] = dispatch.rows()
    with dispatch.database.write() as connection:
        connection.execute(
            update(mailboxes).values(crashes=CRASHES_MAX - 1, suspect_delivery_id=delivery.id)
        )
    row = take_in_vain(dispatch)
    assert (CRASHES_MAX - 1, delivery.id) == (row.crashes, row.suspect_delivery_id)
