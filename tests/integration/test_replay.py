"""Replay: what was settled is sent again, what waits is sent now, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from config.errors import TillbellError
from dispatcher import deliveries, endpoint_state, replay_jobs, replay_steps
from dispatcher.replay_selection import Selection, preview
from engine.database import Database
from engine.errors import InvalidInput, NotFound
from engine.events import EventDraft
from engine.ids import new_id
from engine.money import json_amount
from engine.tables import events
from tests.dispatching import Dispatching, dispatching
from tests.receivers import Receiver, receiving

OTHER = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def run(dispatch: Dispatching, selection: Selection, **options: Any) -> dict[str, Any]:
    """Replay a selection to its end and return the last record."""
    with dispatch.units.begin(actor="test") as work:
        job = replay_jobs.create(work, selection, reason="receiver mended", **options)
    steps = replay_steps.run_to_end(dispatch.units, dispatch.clock, job["id"], wait=lambda _: None)
    return list(steps)[-1]


def exhaust(dispatch: Dispatching) -> None:
    """Let every delivery use up its schedule."""
    for _ in range(4):
        dispatch.run_once()
        dispatch.clock.advance(timedelta(minutes=1))


def test_a_failed_delivery_is_sent_again_with_the_same_id_and_bytes(dispatch: Dispatching) -> None:
    """A replay is a new attempt with a new timestamp; history stays, the schedule restarts."""
    with receiving(Receiver(statuses=(500, 500, 500, 500, 200))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        exhaust(dispatch)
        assert ["failed"] == [row.state for row in dispatch.rows()]

        record = run(dispatch, Selection(state="failed"))
        assert ("completed", 1, 1) == (record["state"], record["matched"], record["armed"])
        dispatch.run_once()
        assert ["retrying"] == [row.state for row in dispatch.rows()]
        dispatch.clock.advance(timedelta(seconds=5))
        dispatch.run_once()

    assert 1 == len({(each.headers["webhook-id"], each.body) for each in receiver.callbacks})
    stamps = [each.headers["webhook-timestamp"] for each in receiver.callbacks]
    assert stamps[0] < stamps[3]
    with dispatch.database.read() as connection:
        history = deliveries.show(connection, dispatch.rows()[0].id)["history"]
    assert ["scheduled"] * 3 + ["manual", "scheduled"] == [each["trigger"] for each in history]


def test_a_waiting_delivery_is_sent_now_and_keeps_its_schedule(dispatch: Dispatching) -> None:
    """Replaying what still retries neither cuts short nor doubles the automatic schedule."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        run(dispatch, Selection(ids=(dispatch.rows()[0].id,)))
        dispatch.run_once()
        [row] = dispatch.rows()
        assert dispatch.clock.now() + timedelta(seconds=5) == row.next_attempt_at
        exhaust(dispatch)

    assert 4 == len(receiver.callbacks)
    assert ["failed"] == [row.state for row in dispatch.rows()]


def test_what_a_disabled_endpoint_missed_is_replayed_after_it_is_enabled(
    dispatch: Dispatching,
) -> None:
    """What was held stays put while disabled, and arrives by replay once enabled."""
    with receiving() as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.disable(work, endpoint["id"])
        dispatch.publish(tenant_id, 3)
        dispatch.run_once()
        held = Selection(held=True, endpoint_id=endpoint["id"])
        record = run(dispatch, held)
        assert (3, 0, 3) == (record["matched"], record["armed"], record["skipped"])
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.enable(work, endpoint["id"])
        assert 3 == run(dispatch, held)["armed"]
        assert 3 == dispatch.run_once()

    assert ["succeeded"] * 3 == [row.state for row in dispatch.rows()]


def test_a_copy_is_the_same_event_under_a_new_id_for_that_endpoint_alone(
    dispatch: Dispatching,
) -> None:
    """A receiver that drops known ids takes it again; the data is the same, byte for byte."""
    with receiving() as receiver, receiving() as other:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        dispatch.endpoint(tenant_id, other.url)
        with dispatch.units.begin(actor="test") as work:
            data = {"note": ',"id":"x"}"data":', "amount": json_amount(13800, "INR")}
            work.raise_event(EventDraft(tenant_id=tenant_id, type="webhook.test", data=data))
        dispatch.run_once()
        record = run(dispatch, Selection(endpoint_id=endpoint["id"]), new_ids=True)
        assert ("completed", 1, 1) == (record["state"], record["matched"], record["armed"])
        dispatch.run_once()

    assert 1 == len(other.callbacks)
    first, second = receiver.callbacks
    old, new = (each.headers["webhook-id"] for each in receiver.callbacks)
    assert old != new
    assert first.body.replace(old.encode(), new.encode()) == second.body
    assert new == orjson.loads(second.body)["id"]
    assert b'"amount":138.00' in second.body
    with dispatch.database.read() as connection:
        row = connection.execute(select(events).where(events.c.id == new)).one()
    assert (f"replay {old}", None) == (row.raised_by, row.dedupe_key)


def test_a_copy_never_doubles_what_is_on_its_way(dispatch: Dispatching) -> None:
    """A delivery that still retries arrives by itself: it is passed over, and said to be."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        endpoint = dispatch.endpoint(tenant_id, receiver.url)
        dispatch.publish(tenant_id)
        dispatch.run_once()
        record = run(dispatch, Selection(endpoint_id=endpoint["id"]), new_ids=True)

    assert (1, 0, 1) == (record["matched"], record["armed"], record["skipped"])
    assert 1 == len(dispatch.rows())


@pytest.fixture
def mixed(dispatch: Dispatching) -> dict[str, Any]:
    """Make a succeeded, a failed and a held delivery of two endpoints, an hour apart."""
    with receiving() as good, receiving(Receiver(statuses=(500,))) as bad:
        tenant_id = dispatch.tenant()
        first = dispatch.endpoint(tenant_id, good.url, events=["webhook.test"])
        dispatch.publish(tenant_id)
        dispatch.run_once()
        start = dispatch.clock.now()
        dispatch.clock.advance(timedelta(hours=1))
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.disable(work, first["id"])
        second = dispatch.endpoint(tenant_id, bad.url, events=["webhook.test"])
        dispatch.publish(tenant_id)
        exhaust(dispatch)
    later = start + timedelta(minutes=30)
    return {
        "tenant": tenant_id,
        "first": first["id"],
        "second": second["id"],
        "later": later,
        "ids": {(row.endpoint_id, row.state): row.id for row in dispatch.rows()},
    }


def test_every_filter_chooses_what_it_says(dispatch: Dispatching, mixed: dict[str, Any]) -> None:
    """State, endpoint, tenant, type, pattern, time, never attempted, held and ids each narrow."""
    sent, failed, held = (
        mixed["ids"][key, state]
        for key, state in (
            (mixed["first"], "succeeded"),
            (mixed["second"], "failed"),
            (mixed["first"], "cancelled"),
        )
    )
    everything, later = {sent, failed, held}, mixed["later"]
    expected = [
        (Selection(state="failed"), {failed}),
        (Selection(endpoint_id=mixed["first"].upper()), {sent, held}),
        (Selection(tenant_id=mixed["tenant"]), everything),
        (Selection(event="webhook.test"), everything),
        (Selection(event="webhook.*"), everything),
        (Selection(event="*"), everything),
        (Selection(event="remittance.*"), set()),
        (Selection(since=later), {failed, held}),
        (Selection(until=later), {sent}),
        (Selection(never_attempted=True), {held}),
        (Selection(held=True), {held}),
        (Selection(ids=(failed.upper(), sent)), {failed, sent}),
        (Selection(ids=(failed, sent), state="failed", since=later), None),
    ]
    for selection, ids in expected:
        with dispatch.database.read() as connection:
            rows = deliveries.listing(connection, selection)["data"]
        assert {row["id"] for row in rows} == ({failed} if ids is None else ids), selection


def test_a_dry_run_counts_by_endpoint_and_state_and_changes_nothing(
    dispatch: Dispatching, mixed: dict[str, Any]
) -> None:
    """What a replay would look at is told apart from what it would leave alone."""
    before = dispatch.rows()
    with dispatch.database.read() as connection:
        found = preview(connection, Selection(tenant_id=mixed["tenant"]), dispatch.clock.now())
        assert [] == replay_jobs.listing(connection)
    assert (3, 2) == (found["matched"], found["left_alone"])
    groups = {(row["endpoint_id"], row["state"], row["endpoint_state"]) for row in found["groups"]}
    assert groups == {
        (mixed["first"], "succeeded", "disabled"),
        (mixed["first"], "cancelled", "disabled"),
        (mixed["second"], "failed", "active"),
    }
    assert before == dispatch.rows()


@pytest.mark.parametrize(
    ("chosen", "field", "error"),
    [
        ({}, "selection", InvalidInput),
        ({"state": "lost"}, "state", InvalidInput),
        ({"endpoint_id": "nonsense"}, "endpoint_id", InvalidInput),
        ({"endpoint_id": OTHER}, "endpoint_id", NotFound),
        ({"tenant_id": "nonsense"}, "tenant_id", InvalidInput),
        ({"tenant_id": OTHER}, "tenant_id", NotFound),
        ({"event": "Nonsense!"}, "event", InvalidInput),
        ({"event": "no.such_type"}, "event", InvalidInput),
        ({"event": "remit*"}, "event", InvalidInput),
        ({"ids": ()}, "ids", InvalidInput),
        ({"ids": ("nonsense",)}, "ids", InvalidInput),
        ({"ids": (new_id(),)}, "ids", NotFound),
        ({"ids": (new_id(),) * 1001}, "ids", InvalidInput),
    ],
)
def test_a_selection_that_cannot_be_is_refused(
    dispatch: Dispatching, chosen: dict[str, Any], field: str, error: type[TillbellError]
) -> None:
    """Every malformed or unknown filter is named by its field; nothing is recorded."""
    with pytest.raises(error) as refusal:
        run(dispatch, Selection(**chosen))

    assert field == refusal.value.details["field"]
    with dispatch.database.read() as connection:
        assert [] == replay_jobs.listing(connection)


def test_a_time_that_cannot_be_is_refused(dispatch: Dispatching) -> None:
    """An instant without a zone and an end before the beginning are each named."""
    now = dispatch.clock.now()
    for chosen, field in (
        ({"since": now.replace(tzinfo=None)}, "since"),
        ({"until": now.replace(tzinfo=None)}, "until"),
        ({"since": now, "until": now}, "until"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            run(dispatch, Selection(**chosen))  # type: ignore[arg-type]  # instants, all of them
        assert field == refusal.value.details["field"]
