"""A session that locks one tenant's rows and goes to lunch: every other tenant is served."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from engine.database import Database
from tests.faults.load import at_work, everything_succeeded, exactly_once, own_database, wait
from tests.faults.plugin import Reached
from tests.http_interface import Caller, serving, token
from tests.installations import installed, publish, subscribe
from tests.processes import until
from tests.receivers import Receiver, receiving
from worker.bootstrap import Application

#: What a rogue may hold of one tenant, and what the server may do about it.
LOCKS = {
    "mailbox": "SELECT FROM mailboxes m JOIN endpoints e ON e.id = m.endpoint_id"
    " WHERE e.tenant_id = :tenant_id FOR UPDATE OF m",
    "deliveries": "SELECT FROM deliveries WHERE tenant_id = :tenant_id FOR UPDATE",
    "endpoint": "SELECT FROM endpoints WHERE tenant_id = :tenant_id FOR UPDATE",
    "tenant": "SELECT FROM tenants WHERE id = :tenant_id FOR UPDATE",
}

#: How long an answer may wait to be written down: the default deadline and what a lease adds.
LEASE_SECONDS = 30


@pytest.fixture
def served(postgresql_url: str) -> Iterator[Database]:
    """Return a PostgreSQL database of this test alone."""
    with own_database(postgresql_url) as database:
        yield database


@contextmanager
def held(database: Database, statement: str, tenant_id: str) -> Iterator[None]:
    """Hold rows of a tenant in a session that does nothing else, while the block runs."""
    with database.engine.connect() as rogue, rogue.begin():
        rogue.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        rogue.execute(text(statement), {"tenant_id": tenant_id})
        yield


def come(receiver: Receiver, count: int) -> bool:
    """Tell whether so many callbacks came."""
    return len(receiver.callbacks) >= count


def listed(application: Application, tenant_id: str, what: str) -> int:
    """Ask for a tenant's rows over HTTP as its program does; return how many there are."""
    key = token(application.units, tenant_id)["token"]
    with serving(application.database, application.clock) as (_, port):
        reply = Caller(port, f"Bearer {key}").get(f"/api/v1/webhooks/{what}?limit=200")
    assert 200 == reply.status, reply.body
    rows: list[object] = next(each for each in reply.document.values() if isinstance(each, list))
    return len(rows)


@pytest.mark.fault("F14")
@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_locked_holds_up_its_tenant_only(
    served: Database, reached: Reached, lock: str
) -> None:
    """Relay, delivery, settlement and API of others go on; the locked one's follow.

    They come once each, unless the lock outlasts the lease they were sent under.
    The pull feed stands still for everybody meanwhile: an open transaction may yet commit events
    that belong before those it would show.
    """
    seconds = reached.times(4, 60)
    gate = threading.Event()
    with (
        receiving(Receiver(gate=gate)) as theirs,
        receiving() as ours,
        capture_logs(),
        installed(served, "memory://") as application,
        at_work(application),
    ):
        locked, free = subscribe(application, theirs.url), subscribe(application, ours.url)
        ids = {locked: publish(application, locked, 3), free: publish(application, free, 3)}
        until(lambda: len(theirs.callbacks) == 3 and len(ours.callbacks) == 3)
        slowest, rounds = 0.0, 0
        with held(served, LOCKS[lock], locked):
            gate.set()
            ends_at = time.monotonic() + seconds
            while time.monotonic() < ends_at:
                ids[locked] += publish(application, locked, 1) if lock != "tenant" else []
                began, wanted = time.monotonic(), len(ours.callbacks) + 5
                ids[free] += publish(application, free, 5)
                until(partial(come, ours, wanted))
                slowest, rounds = max(slowest, time.monotonic() - began), rounds + 1
                wait(0.2)
            found = listed(application, free, "deliveries")
            assert min(200, len(ids[free])) == found
            listed(application, free, "events")  # answers, with what is safe to pass
        everything_succeeded(application, len(ids[locked]) + len(ids[free]))
    exactly_once(ours, ids[free])
    assert set(ids[locked]) == {each.headers["webhook-id"] for each in theirs.callbacks}
    again = len(theirs.callbacks) - len(ids[locked])
    assert again == 0 or seconds > LEASE_SECONDS
    reached.says(
        "F14",
        f"{lock} of one tenant locked for {seconds} s: {rounds} rounds of another tenant, the "
        f"slowest {slowest:.1f} s from commit to callback; nothing lost, {again} sent again",
    )
