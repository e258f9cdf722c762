"""Deadlocks and serialization failures: what the server rolls back is made again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from config.clock import FixedClock
from dispatcher.tables import attempts, mailboxes
from engine import ledger_checks, wallet_holds, wallets
from engine.again import RETRIES_MAX, again
from engine.database import Database
from engine.events import EventDraft
from engine.tables import events
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, top_up
from tests.dispatching import dispatching
from tests.faults.load import exactly_once
from tests.faults.plugin import Reached
from tests.faults.strikes import struck
from tests.processes import until
from tests.receivers import receiving

SEED = 13
#: deadlock_detected and serialization_failure.
GAVE_WAY = ("40P01", "40001")


@pytest.mark.fault("F13")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_every_fifth_statement_of_a_dispatcher_fails(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Relay, lease and settle give way again and again: each event arrives once, none is parked."""
    events_each, endpoints = reached.times(20, 100), 10
    ids, failed = list[str](), list[int]()
    with receiving() as receiver, dispatching(database, clock) as dispatch:
        tenants_ids = [dispatch.tenant() for _ in range(endpoints)]
        for tenant_id in tenants_ids:
            dispatch.endpoint(tenant_id, receiver.url)
            ids += dispatch.publish(tenant_id, events_each)
        with struck(database, GAVE_WAY, share=0.2, seed=SEED) as strikes:

            def moved() -> bool:
                try:
                    dispatch.relay.run_once(limit=5)
                    dispatch.drainer.take()
                except OperationalError:  # the next hint tries again
                    failed.append(1)
                clock.advance(timedelta(milliseconds=10))  # as it passes: no lease runs out
                return len(receiver.callbacks) >= len(ids)

            until(moved, seconds=300)
        dispatch.drainer.run_once()
        assert ["succeeded"] * len(ids) == [row.state for row in dispatch.rows()]
        with database.read() as connection:
            assert {0} == set(connection.execute(select(mailboxes.c.crashes)).scalars())
            made = connection.execute(select(attempts.c.delivery_id)).scalars().all()
    assert len(ids) == len(made)
    exactly_once(receiver, ids)
    reached.says(
        "F13",
        f"{strikes.struck} of {strikes.statements} statements of a dispatcher failed: "
        f"{len(failed)} looks failed; {len(ids)} events, each delivered and "
        "recorded once, none parked",
        seed=SEED,
    )


@pytest.mark.fault("F13")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_transactions_that_give_way_end_as_if_one_after_the_other(
    database: Database, units: UnitsOfWork, reached: Reached
) -> None:
    """Holds on one wallet, eight at a time, one transaction in five struck: each is made once."""
    count, made = reached.times(100, 1000), list[int]()
    chain = build_chain(units)
    top_up(units, chain.r, 100 * count)

    def hold(work: UnitOfWork, number: int) -> None:
        made.append(number)
        wallet_holds.hold(work, tenant_id=chain.r, amount_minor=100, reason=f"hold {number}")
        work.raise_event(EventDraft(tenant_id=chain.r, type="webhook.test", data={"n": number}))

    def run(number: int) -> None:
        units.run(partial(hold, number=number), actor="race")

    # Some twenty statements each: so one transaction in five is struck.
    with (
        struck(database, GAVE_WAY, share=0.01, seed=SEED) as strikes,
        ThreadPoolExecutor(8) as pool,
    ):
        list(pool.map(run, range(count)))
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        wallet = wallets.show(connection, chain.r)
        told = select(func.count()).where(events.c.type == "webhook.test")
        assert count == connection.execute(told).scalar_one()
    assert (100 * count, 0) == (wallet["pending_debits_minor"], wallet["available_balance_minor"])
    assert strikes.struck > 0
    reached.says(
        "F13",
        f"{count} holds on one wallet by 8 threads, {strikes.struck} of {strikes.statements} "
        f"statements failed, {len(made) - count} transactions made again: figures, books and "
        "events as if one after the other",
        seed=SEED,
    )


class Refused(Exception):
    """What psycopg raises, with the server's code."""

    def __init__(self, sqlstate: str | None) -> None:
        """Bear a code."""
        super().__init__("refused")
        self.sqlstate = sqlstate


@pytest.mark.fault("F13")
@pytest.mark.parametrize(
    ("sqlstate", "calls"),
    [("40P01", RETRIES_MAX + 1), ("40001", RETRIES_MAX + 1), ("57014", 1), ("08006", 1), (None, 1)],
)
def test_only_who_gave_way_tries_again_and_five_times_at_most(
    sqlstate: str | None, calls: int
) -> None:
    """Waits double, spread by half; a lost connection is raised at once: what stands is unknown."""
    made, waits = list[int](), list[float]()

    def make() -> None:
        made.append(1)
        raise OperationalError("SELECT 1", {}, Refused(sqlstate))

    with pytest.raises(OperationalError):
        again(make, wait=waits.append)
    assert calls == len(made)
    assert calls - 1 == len(waits)
    for number, seconds in enumerate(waits):
        assert 0.5 <= seconds / (0.01 * 2**number) <= 1.5
