"""F16: the disk of PostgreSQL is full: refused cleanly, nothing half written, then it goes on."""

from __future__ import annotations

from http.client import HTTPConnection

import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import func, select

from config.clock import FixedClock
from engine import orders
from engine.database import Database
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, dump, order_of
from tests.dispatching import dispatching
from tests.faults.load import exactly_once
from tests.faults.plugin import Reached
from tests.faults.strikes import struck
from tests.http_interface import serving
from tests.processes import until
from tests.receivers import receiving

DISK_FULL = ("53100",)
served_by_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


@served_by_postgresql
@pytest.mark.fault("F16")
@pytest.mark.parametrize("table", ["chain_orders", "events", "outbox"])
def test_a_write_on_a_full_disk_is_503_and_leaves_nothing(
    database: Database, units: UnitsOfWork, clock: FixedClock, table: str, reached: Reached
) -> None:
    """Whichever insert finds no room: DATABASE_UNAVAILABLE, no row of it, and it works after."""
    chain = build_chain(units)
    before = dump(database)

    def place() -> dict[str, bool]:
        with units.begin(actor="test") as work:
            orders.place(work, chain.r, order_of())
        return {"placed": True}

    def post(app: FastAPI, port: int) -> tuple[int, str]:
        del app
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("POST", "/orders")
        reply = connection.getresponse()
        found = orjson.loads(reply.read())
        connection.close()
        return reply.status, found.get("errorCode", "")

    with serving(database, clock) as (app, port):
        app.post("/orders")(place)
        with struck(database, DISK_FULL, only=f"INSERT INTO {table} ") as strikes:
            refused = [post(app, port) for _ in range(3)]
        assert before == dump(database)
        assert (200, "") == post(app, port)
    assert [(503, "DATABASE_UNAVAILABLE")] * 3 == refused
    assert 3 == strikes.struck
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(events)).scalar_one() > 0
    reached.says("F16", f"no room for {table}: 3 writes refused with 503, nothing left of them")


@served_by_postgresql
@pytest.mark.fault("F16")
def test_a_dispatcher_waits_for_room_and_goes_on(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """What was answered while nothing could be written is recorded later, once, not sent again."""
    with receiving() as receiver, dispatching(database, clock) as dispatch:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        ids = dispatch.publish(tenant_id, 20)
        dispatch.relay.run_until_empty()
        with struck(database, DISK_FULL, only="INSERT INTO attempts") as strikes:
            dispatch.drainer.take()
            until(lambda: len(receiver.callbacks) >= 10 and strikes.struck >= 2)
        until(lambda: dispatch.drainer.active == 0)
        dispatch.run_once()
        assert {"succeeded"} == {row.state for row in dispatch.rows()}
    exactly_once(receiver, ids)
    reached.says(
        "F16",
        f"{len(ids)} answers came while no attempt could be written ({strikes.struck} tries): "
        "each recorded once when there was room, none sent again",
    )
