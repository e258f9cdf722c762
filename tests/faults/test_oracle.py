"""The oracle itself: a history that holds passes, and each way to break it is told by its name."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, delete, insert, update

from config.clock import FixedClock
from dispatcher.egress import EgressPolicy
from dispatcher.tables import attempts, deliveries
from engine.database import Database
from engine.ledger_tables import holds, ledger_accounts
from engine.settlement_tables import milestones
from engine.tables import events, outbox
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, deliver, dump, place
from tests.dispatching import SCHEDULE, dispatching
from tests.faults import figures, oracle
from tests.faults.figures import Figures
from tests.faults.oracle import Heard
from tests.receivers import Receiver, receiving

Breaking = Callable[[Connection, Any], object]


@pytest.fixture
def history(
    database: Database, clock: FixedClock, units: UnitsOfWork
) -> tuple[Database, list[Heard]]:
    """Return a database in which callbacks were sent, one of them twice, and what was heard."""
    chain: Chain = build_chain(units)
    with receiving(Receiver(statuses=(500, 200))) as receiver, dispatching(database, clock) as made:
        endpoint_id = made.endpoint(chain.r, receiver.url)["id"]
        deliver(units, place(units, chain))
        made.relay.run_until_empty()
        made.drainer.run_once()
        clock.advance(timedelta(seconds=10))
        made.drainer.run_once()
        calls = [(each.headers["webhook-id"], each.body) for each in receiver.callbacks]
    return database, [Heard(endpoint_id, event_id, body) for event_id, body in calls]


def everything(database: Database, heard: list[Heard], repeats_max: int = 1) -> list[str]:
    """Return what the oracle says."""
    return oracle.broken(database, heard, repeats_max=repeats_max, policy=SCHEDULE)


def test_a_history_that_holds_breaks_nothing(history: tuple[Database, list[Heard]]) -> None:
    """What the product did by itself is not told of."""
    assert len(history[1]) > 3
    assert [] == everything(*history)


def a_delivery(connection: Connection) -> Any:
    """Return a delivery that took two attempts."""
    return connection.execute(deliveries.select().where(deliveries.c.attempts == 2)).one()


def _set(table: Any, **values: Any) -> Breaking:
    """Return what sets columns of one row: of the delivery, its event or its attempts."""
    column = {"deliveries": "id", "events": "id", "attempts": "delivery_id"}[table.name]
    source = "event_id" if table.name == "events" else "id"
    return lambda connection, row: connection.execute(
        update(table).where(table.c[column] == getattr(row, source)).values(values)
    )


def _milestone(**values: Any) -> Breaking:
    return lambda connection, _: connection.execute(update(milestones).values(values))


def _outbox(connection: Connection, row: Any) -> None:
    connection.execute(
        insert(outbox).values(
            event_id=row.event_id,
            tenant_id=row.tenant_id,
            event_type=row.event,
            created_at=row.created_at,
        )
    )


def _gone(connection: Connection, row: Any) -> None:
    connection.execute(delete(deliveries).where(deliveries.c.id == row.id))


def _again_at_once(connection: Connection, row: Any) -> None:
    mine = (attempts.c.delivery_id == row.id) & (attempts.c.number == 2)
    connection.execute(update(attempts).where(mine).values(started_at=row.created_at))


def _late(connection: Connection, row: Any) -> None:
    mine = (attempts.c.delivery_id == row.id) & (attempts.c.number == 2)
    later = row.settled_at + timedelta(seconds=1)
    connection.execute(update(attempts).where(mine).values(started_at=later))


def _overdrawn(connection: Connection, _row: Any) -> None:
    wallet = ledger_accounts.c.code == "wallet"
    connection.execute(update(ledger_accounts).where(wallet).values(posted_credits=10**9))


def _set_aside(connection: Connection, _row: Any) -> None:
    connection.execute(update(holds).values(kind="discretionary", amount_minor=10**9))


@pytest.mark.parametrize(
    ("told", "breaking"),
    [
        pytest.param("I1: 1 events are still in the outbox", _outbox, id="outbox"),
        pytest.param("has no delivery for endpoint", _gone, id="no delivery"),
        pytest.param("I2: event", _gone, id="sent without delivery"),
        pytest.param(
            "I1: delivery", _set(deliveries, state="retrying", settled_at=None), id="unfinished"
        ),
        pytest.param("I3: milestone", _milestone(outcome="emitted"), id="milestone untold"),
        pytest.param("I4: event", _set(events, body=b'{"tenant_id":null}'), id="other bytes"),
        pytest.param("counts 3 attempts", _set(deliveries, attempts=3), id="attempt missing"),
        pytest.param("was tried behind its end", _late, id="attempt behind the end"),
        pytest.param("came too early", _again_at_once, id="attempt too early"),
        pytest.param("L2:", _overdrawn, id="account changed"),
        pytest.param("L5: the wallet of", _overdrawn, id="overdrawn"),
        pytest.param("L5: the wallet of", _set_aside, id="too much set aside"),
    ],
)
def test_what_is_broken_is_told(
    history: tuple[Database, list[Heard]], told: str, breaking: Breaking
) -> None:
    """Each invariant of the rows speaks up when its row is changed."""
    database, heard = history
    with database.write() as connection:
        breaking(connection, a_delivery(connection))
    found = everything(database, heard)
    assert any(told in each for each in found), found


def test_what_was_heard_is_compared(history: tuple[Database, list[Heard]]) -> None:
    """A call that never came, one of nobody's event, and one of another tenant are told of."""
    database, heard = history
    others = [each for each in heard if each.event_id != heard[0].event_id]
    assert any("never arrived" in each for each in everything(database, others))
    unknown = heard[0]._replace(event_id="nobody's")
    assert any("never committed" in each for each in everything(database, [*heard, unknown]))
    stranger = heard[0]._replace(body=heard[0].body.replace(b'"tenant_id":"0', b'"tenant_id":"1'))
    found = everything(database, [*heard, stranger], repeats_max=2)
    assert any(each.startswith("I6: event") for each in found)
    assert any(
        "2 callbacks came again" in each for each in everything(database, [*heard, heard[0]])
    )


def test_a_refused_call_changes_nothing(history: tuple[Database, list[Heard]]) -> None:
    """L6 compares every row of every table."""
    database, _ = history
    before = dump(database)
    assert [] == list(oracle.changed(before, dump(database)))
    with database.write() as connection:
        connection.execute(update(events).values(raised_by="somebody"))
    assert ["L6: events changed"] == list(oracle.changed(before, dump(database)))


def test_processes_are_judged_by_their_figures() -> None:
    """R1 to R3: what grew, what was slow, and a secret that was told."""
    quiet, grown = Figures(100.0, 20, 5), Figures(300.0, 50, 30)
    assert [] == list(figures.grown(quiet, quiet))
    assert 3 == len(list(figures.grown(quiet, grown)))
    assert [] == list(figures.slow(10, 80))
    assert 1 == len(list(figures.slow(10, 81)))
    assert ["R3: a log holds secret 1"] == list(figures.told([("a log", "xx b")], ["c", "b"]))


def test_the_sockets_of_a_process_are_seen() -> None:
    """I7: a connection to an address that may not be called is told of, the servers' are not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            connected = figures.remotes(os.getpid())
    assert ("127.0.0.1", port) in connected
    strict = EgressPolicy()
    ours = {each for _, each in connected} - {port}
    assert [f"I7: a socket leads to 127.0.0.1 port {port}"] == list(
        figures.forbidden(connected, strict, ours)
    )
    opened = EgressPolicy.from_settings(["127.0.0.0/8"], allow_http=True)
    assert [] == list(figures.forbidden(connected, opened, ours))
    assert figures.of(os.getpid()).rss_megabytes > 1
