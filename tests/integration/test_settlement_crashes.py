"""A settlement that dies in its middle leaves nothing behind; done again it is done once (F57)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from engine import cash_collections, differences, ledger_checks, orders, remittances
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import dump
from tests.deep_chains import DeepChain, Route, build_deep_chain

#: One of so many statements is the last before the process dies.
EVERY = 4


class ProcessDied(Exception):
    """Stands for a kill in the middle of a transaction."""


@contextmanager
def dying_at(database: Database, statement: int) -> Iterator[None]:
    """Die before the so manieth statement of the block, counted from 1."""
    seen = 0

    def count(*_call: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == statement:
            raise ProcessDied

    event.listen(database.engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", count)


def crash_through(
    units: UnitsOfWork, database: Database, act: Callable[[UnitOfWork], Any], start: int
) -> int:
    """Let an action die at every fourth statement until it ends; return how often it died."""
    before = dump(database)
    for crashes in range(1000):
        try:
            with dying_at(database, start + EVERY * crashes), units.begin(actor="test") as work:
                act(work)
        except ProcessDied:
            assert before == dump(database)
        else:
            return crashes
    raise AssertionError("the action never ended")


@pytest.fixture
def delivering(units: UnitsOfWork) -> tuple[DeepChain, str, Route]:
    """Return an order of all eight levels on its way, to be collected in their middle."""
    chain = build_deep_chain(units, seed=5)
    route = Route(origin=7, supplier=0, collector=4)
    with units.begin(actor="test") as work:
        order_id = chain.place(work, route, quantity=2, price_minor=70_000)
        chain.ship(work, order_id, route)
    return chain, order_id, route


@pytest.mark.fault("F57")
@pytest.mark.parametrize("start", [2, 3, 4, 5])
def test_nothing_is_settled_by_half(
    units: UnitsOfWork,
    database: Database,
    delivering: tuple[DeepChain, str, Route],
    start: int,
) -> None:
    """Delivery, decision, payment and return die at each statement and are whole afterwards."""
    _, order_id, _ = delivering
    crash = partial(crash_through, units, database, start=start)
    assert crash(lambda work: orders.deliver(work, order_id, collected_minor=1)) > 5
    with database.read() as connection:
        collection = cash_collections.of_order(connection, order_id)
        owed = remittances.listing(connection, order_id=order_id)
    assert collection is not None
    decide = partial(
        differences.resolve, collection_id=collection["id"], decision="borne", reason="lost"
    )
    assert crash(decide) > 3
    assert crash(lambda work: remittances.process(work, owed[0]["id"])) > 3
    assert crash(lambda work: orders.return_(work, order_id)) > 5
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        again = remittances.listing(connection, order_id=order_id, status="pending")
    assert [owed[0]["amount_minor"]] == [row["amount_minor"] for row in again]
