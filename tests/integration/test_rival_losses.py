"""Where others lose events: between two stores, at a restart, behind a cap, for want of a hearer.

Each test names whose defect it was; docs/rival-defects.md has the whole list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from config.clock import FixedClock
from dispatcher import feed, retention
from dispatcher import sweep as sweep_module
from dispatcher.drain import Drainer
from dispatcher.hints import NoHints
from dispatcher.relay import Relay
from dispatcher.sweep import Sweep
from engine.database import Database
from engine.errors import EventTooLarge
from engine.events import BODY_BYTES_MAX, EventDraft, publish
from engine.tables import events, outbox
from engine.unit_of_work import UnitsOfWork
from tests.dispatching import Dispatching, dispatching, make_drainer
from tests.feeds import everything_readable
from tests.processes import until
from tests.receivers import Receiver, receiving


class Killed(BaseException):
    """Stands for the end of a process: nothing of ours catches it."""


class Followed:
    """Hints that are acted on at once, in this thread."""

    def __init__(self, relay: Relay, drainer: Drainer) -> None:
        self._relay, self._drainer = relay, drainer

    def relay(self) -> None:
        """Relay everything."""
        self._relay.run_until_empty()

    def drain(self, endpoint_ids: Sequence[str]) -> None:
        """Drain the mailboxes named, and no others."""
        self._drainer.take(endpoint_ids)
        until(lambda: self._drainer.active == 0)


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def sweep_of(dispatch: Dispatching) -> Sweep:
    """Return a sweep whose every word is acted on."""
    hints = Followed(dispatch.relay, dispatch.drainer)
    return Sweep(dispatch.database, dispatch.clock, hints)


def draft(tenant_id: str, **changes: Any) -> EventDraft:
    """Return an event that names its own payment."""
    named = {"type": "webhook.test", "data": {"payment": 1}, "dedupe_key": "payment-1"}
    return EventDraft(tenant_id=tenant_id, **{**named, **changes})


def test_a_crash_between_commit_and_enqueue_loses_nothing(dispatch: Dispatching) -> None:
    """Committed is delivered, whoever dies before saying so (Lago's window; Svix, Polar, clevis).

    Whoever raises it again for want of an answer gets the same id, and not a refusal in place of
    the delivery (Svix answers 409 to that, and sends nothing).
    """

    def die() -> None:
        raise Killed

    dying = UnitsOfWork(dispatch.database, dispatch.clock, hint=die)
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        first = draft(tenant_id)
        with pytest.raises(Killed), dying.begin(actor="test") as work:
            work.raise_event(first)
        with dispatch.database.write() as connection:
            assert first.id == publish(connection, draft(tenant_id))
        sweep = sweep_of(dispatch)
        while sweep.run_once():
            pass

    assert [first.id] == [each.headers["webhook-id"] for each in receiver.callbacks]


def test_a_hint_never_comes_before_its_commit(database: Database, clock: FixedClock) -> None:
    """Whoever is told to look finds the row: no task runs ahead of its rows (Saleor #17086)."""
    seen: list[int] = []

    def look() -> None:
        with database.read() as connection:
            seen.append(len(connection.execute(select(outbox)).all()))

    with dispatching(database, clock) as dispatch:
        tenant_id = dispatch.tenant()
        units = UnitsOfWork(database, clock, hint=look)
        with units.begin(actor="test") as work:
            work.raise_event(draft(tenant_id))
    assert [1] == seen


@pytest.mark.parametrize("committed", [True, False])
def test_an_event_is_part_of_a_foreign_application_s_transaction(
    dispatch: Dispatching, *, committed: bool
) -> None:
    """Business rows and event stand or fall together: no gap between them (all four rivals)."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        with Session(dispatch.database.engine) as session:
            publish(session, draft(tenant_id))
            if committed:
                session.commit()
            else:
                session.rollback()
        dispatch.clock.advance(timedelta(days=400))  # rows carry the database's own time
        dispatch.run_once()
    assert int(committed) == len(receiver.callbacks) == len(dispatch.rows())


def test_what_nobody_hears_is_kept_and_can_be_read(dispatch: Dispatching) -> None:
    """An event without a subscriber stays in the feed with its bytes (Outpost #611)."""
    tenant_id = dispatch.tenant()
    [event_id] = dispatch.publish(tenant_id)
    dispatch.run_once()
    everything_readable(dispatch.database)
    with dispatch.database.read() as connection:
        page = feed.read_page(connection, tenant_id, now=dispatch.clock.now())
        assert [] == connection.execute(select(outbox)).all()
    assert [event_id] == [each["id"] for each in page.events]
    assert b'"number":0' in page.events[0]["body"]


def test_a_retry_that_is_due_at_once_needs_no_other_record(dispatch: Dispatching) -> None:
    """The delivery is its own schedule: no log must be flushed for it to go on (Outpost)."""
    with receiving(Receiver(statuses=(500, 503, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, retry_schedule=[0, 0, 0])
        dispatch.publish(tenant_id)
        dispatch.run_once()
    assert 3 == len(receiver.callbacks)
    assert [("succeeded", 3)] == [(row.state, row.attempts) for row in dispatch.rows()]


def test_what_waits_is_never_written_off(dispatch: Dispatching) -> None:
    """A delivery no worker looked at for a year is still sent, not reaped (django-webhook2)."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        ids = dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        dispatch.clock.advance(timedelta(days=450))
        kept = {"bodies": timedelta(30), "attempts_kept": timedelta(90), "dedupe": timedelta(400)}
        steps = retention.steps(**kept)
        retention.run_once(dispatch.database, steps, dispatch.clock.now())
        dispatch.run_once()
    assert ids == sorted(each.headers["webhook-id"] for each in receiver.callbacks)


def test_a_sweep_that_is_capped_comes_back_for_the_rest(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More due mailboxes than one look takes are all drained by the next looks (dograh PR #478)."""
    monkeypatch.setattr(sweep_module, "MAILBOXES_PER_SWEEP", 3)
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        for _ in range(8):
            dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.relay.run_until_empty()
        sweep, looks = sweep_of(dispatch), 0
        while sweep.run_once():
            looks += 1
    assert (8, 3) == (len(receiver.callbacks), looks)


def test_how_long_an_endpoint_has_failed_survives_restarts(
    database: Database, clock: FixedClock
) -> None:
    """The owner is told after a day of failures, although the worker began anew (Svix's cache)."""
    with receiving(Receiver(statuses=(500,))) as broken, receiving() as other:
        with dispatching(database, clock) as dispatch:
            tenant_id = dispatch.tenant()
            every_hour = [0, *[3600] * 30]
            dispatch.endpoint(
                tenant_id, broken.url, retry_schedule=every_hour, events=["webhook.*"]
            )
            dispatch.endpoint(tenant_id, other.url, events=["endpoint.*"])
            dispatch.publish(tenant_id)
            dispatch.run_once()
        for _ in range(25):
            clock.advance(timedelta(hours=1, minutes=16))
            restarted = make_drainer(database, dispatch.guard.keyring, clock)
            Relay(database, clock, NoHints()).run_until_empty()
            restarted.run_once()
            restarted.stop(5)
    assert 1 == len(other.callbacks)
    assert b"endpoint.failing" in other.callbacks[0].body


def test_what_is_too_large_is_refused_and_not_dropped(dispatch: Dispatching) -> None:
    """Whoever raises it is told at once, and nothing is written (GitHub skips it silently)."""
    tenant_id = dispatch.tenant()
    large = draft(tenant_id, data={"text": "x" * BODY_BYTES_MAX})
    with pytest.raises(EventTooLarge), dispatch.units.begin(actor="test") as work:
        work.raise_event(large)
    with dispatch.database.read() as connection:
        assert [] == connection.execute(select(events)).all()
