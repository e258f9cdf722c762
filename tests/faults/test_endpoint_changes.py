"""Endpoints that change while callbacks wait or fly: moved, deleted, rotated, ordered, shared."""

from __future__ import annotations

import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook

from config.clock import FixedClock
from dispatcher import endpoint_secrets, endpoints
from dispatcher.health import CircuitRules
from dispatcher.tables import endpoint_secrets as sealed
from dispatcher.tables import endpoints as endpoint_table
from engine.database import Database
from engine.events import EventDraft
from tests.dispatching import dispatching
from tests.faults.load import exactly_once
from tests.faults.plugin import Reached
from tests.processes import until
from tests.receivers import Callback, Receiver, receiving
from tests.wire import OK, Conversation, on_each_loop, post, receiving_raw, transport_to

served_by_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


class ByEvent(Receiver):
    """Refuses each event's first call, takes every other; what came is kept in order."""

    def take(self, callback: Callback) -> int:
        """Answer 500 to the first call of an event."""
        super().take(callback)
        with self.lock:
            told = [each.headers["webhook-id"] for each in self.callbacks]
        return 500 if told.count(callback.headers["webhook-id"]) == 1 else 200


@pytest.mark.fault("F41")
@on_each_loop
async def test_hundreds_of_kept_connections_close_just_before_reuse() -> None:
    """Each call finds its connection closed: one new one, the same attempt, no failure."""

    async def once_per_connection(conversation: Conversation) -> None:
        await conversation.hear()
        await conversation.say(OK)
        await conversation.hear()

    async with receiving_raw(once_per_connection) as receiver, transport_to() as transport:
        for _ in range(501):
            assert (await post(transport, receiver.url)).status_code == 200
        counts = transport.counts()
    assert (501, 500, 501) == (
        counts.calls,
        counts.calls_on_reused_connections,
        counts.connections_made,
    )


@pytest.mark.fault("F47")
def test_poison_is_parked_and_the_rest_of_its_batch_arrives(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """URLs that cannot be, secrets that do not open, endpoints that went: the others are served."""
    count, each = reached.times(2, 20), 40
    with receiving() as receiver, dispatching(database, clock) as dispatch:
        poisoned, ids = defaultdict[str, list[str]](list), list[str]()
        for kind in ("bad_url", "wide_url", "unreadable", "deleted"):
            for _ in range(count):
                tenant_id = dispatch.tenant()
                made = dispatch.endpoint(tenant_id, receiver.url)
                poisoned[kind].append(made["id"])
                dispatch.publish(tenant_id)
        tenant_id = dispatch.tenant("sound")
        dispatch.endpoint(tenant_id, receiver.url)
        ids = dispatch.publish(tenant_id, each * count)
        dispatch.relay.run_until_empty()
        with database.write() as connection:
            for kind, url in (("bad_url", "http://xn--/"), ("wide_url", "http://[::1:99999/")):
                of_kind = endpoint_table.c.id.in_(poisoned[kind])
                connection.execute(update(endpoint_table).where(of_kind).values(url=url))
            of_kind = sealed.c.endpoint_id.in_(poisoned["unreadable"])
            connection.execute(update(sealed).where(of_kind).values(ciphertext=b"damaged"))
        with dispatch.units.begin(actor="test") as work:
            for endpoint_id in poisoned["deleted"]:
                endpoints.delete(work, endpoint_id)
        for _ in range(6):
            dispatch.run_once()
            clock.advance(timedelta(minutes=1))
        found = {row.endpoint_id: row for row in dispatch.rows()}
    exactly_once(receiver, ids)
    for kind, states in (("bad_url", "failed"), ("wide_url", "failed"), ("deleted", "cancelled")):
        assert {states} == {found[each].state for each in poisoned[kind]}, kind
    # Somebody may bring the key back: what cannot be signed waits, unattempted.
    waiting = [found[each] for each in poisoned["unreadable"]]
    assert {("pending", 0)} == {(row.state, row.attempts) for row in waiting}
    reached.says(
        "F47",
        f"4 kinds of poison, {count} each, among {len(ids)} sound events: all sound ones "
        "delivered once, the poison failed, cancelled or held, no crash",
    )


@served_by_postgresql
@pytest.mark.fault("F48")
def test_keys_rotate_under_load(database: Database, clock: FixedClock, reached: Reached) -> None:
    """Whatever the moment, a callback verifies with the secret before and with the one after."""
    rotations, each = reached.times(6, 50), 20
    with receiving() as receiver, dispatching(database, clock) as dispatch:
        tenant_id = dispatch.tenant()
        made = dispatch.endpoint(tenant_id, receiver.url)
        secrets, ids, checked = [made["secret"]], list[str](), 0
        for _ in range(rotations):
            ids += dispatch.publish(tenant_id, each)
            dispatch.relay.run_until_empty()
            dispatch.drainer.take()
            with dispatch.units.begin(actor="test") as work:
                secrets.append(
                    endpoint_secrets.rotate(work, dispatch.guard.keyring, made["id"], tenant_id)
                )
            ids += dispatch.publish(tenant_id, each)
            dispatch.run_once()
            until(lambda: dispatch.drainer.run_once() == 0)
            for callback in receiver.callbacks[checked:]:
                assert any(verifies(callback, secret) for secret in secrets[-2:])
            # After the rotation both sign, for a day.
            assert all(verifies(receiver.callbacks[-1], secret) for secret in secrets[-2:])
            checked = len(receiver.callbacks)
            clock.advance(timedelta(hours=25))
    exactly_once(receiver, ids)
    reached.says(
        "F48", f"{rotations} rotations, {len(ids)} callbacks: each verifies with old or new secret"
    )


def verifies(callback: Callback, secret: str) -> bool:
    """Tell whether a signature fits, whatever the time."""
    body, header = callback.body.decode(), callback.headers["webhook-signature"]
    of = Webhook(secret)
    moment = callback.headers["webhook-timestamp"]
    at = datetime.fromtimestamp(int(moment), UTC)
    return of.sign(callback.headers["webhook-id"], at, body) in header.split(" ")


@served_by_postgresql
@pytest.mark.fault("F52")
def test_what_waits_for_a_retry_goes_to_the_new_url(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Edited while retries wait, each goes to the new address with its id and its bytes."""
    count = reached.times(10, 100)
    with (
        receiving(Receiver(statuses=(500,))) as old,
        receiving() as new,
        dispatching(database, clock) as dispatch,
    ):
        for number in range(count):
            tenant_id = dispatch.tenant(f"tenant {number}")
            made = dispatch.endpoint(tenant_id, old.url)
            dispatch.publish(tenant_id)
            dispatch.run_once()
            with dispatch.units.begin(actor="test") as work:
                endpoints.change(work, dispatch.guard, made["id"], url=new.url)
        clock.advance(timedelta(seconds=6))
        dispatch.run_once()
    sent = [
        {each.headers["webhook-id"]: each.body for each in receiver.callbacks}
        for receiver in (old, new)
    ]
    assert sent[0] == sent[1]
    assert (count, count) == (len(old.callbacks), len(new.callbacks))
    reached.says("F52", f"{count} edits between two attempts: each retry went to the new URL")


@served_by_postgresql
@pytest.mark.fault("F53")
def test_nothing_is_sent_to_who_was_deleted_in_flight(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """What was out when the endpoint went is recorded; no attempt begins afterwards."""
    count, gate = reached.times(10, 200), threading.Event()
    with (
        receiving(Receiver(statuses=(500,), gate=gate)) as receiver,
        dispatching(database, clock) as dispatch,
    ):
        made = []
        for number in range(count):
            tenant_id = dispatch.tenant(f"tenant {number}")
            made.append(dispatch.endpoint(tenant_id, receiver.url, max_in_flight=1)["id"])
            dispatch.publish(tenant_id, 2)
        dispatch.relay.run_until_empty()
        dispatch.drainer.take()
        until(lambda: len(receiver.callbacks) == count)
        with dispatch.units.begin(actor="test") as work:
            for endpoint_id in made:
                endpoints.delete(work, endpoint_id)
        gate.set()
        dispatch.run_once()
        leased = len(receiver.callbacks)
        for _ in range(3):
            clock.advance(timedelta(minutes=1))
            dispatch.run_once()
        states = {row.state for row in dispatch.rows()}
    # What one lease had read already may still go; nothing after it.
    assert leased <= 2 * count
    assert leased == len(receiver.callbacks)
    assert {"cancelled"} == states
    reached.says(
        "F53",
        f"{count} endpoints deleted with a call out: {leased - count} more within the lease, "
        "none after",
    )


@served_by_postgresql
@pytest.mark.fault("F54")
def test_order_of_a_subject_survives_its_first_failure(
    database: Database, clock: FixedClock, reached: Reached
) -> None:
    """Every event's first call fails: each subject arrives in order, others do not wait for it."""
    subjects, each = reached.times(10, 100), 4
    patient = CircuitRules(1_000_000)  # every event fails once: no reason to stop here
    with (
        receiving(ByEvent()) as receiver,
        dispatching(database, clock, circuit=patient) as dispatch,
    ):
        tenant_id = dispatch.tenant()
        dispatch.endpoint(
            tenant_id,
            receiver.url,
            ordering="subject",
            max_in_flight=4,
            head_of_line_seconds=86_400,
        )
        with database.write() as connection:
            connection.execute(update(endpoint_table).values(retry_schedule=[0, 5, 5, 5]))
        with dispatch.units.begin(actor="test") as work:
            for sequence in range(1, each + 1):
                for number in range(subjects):
                    work.raise_event(
                        EventDraft(
                            tenant_id=tenant_id,
                            type="webhook.test",
                            data={"subject": number},
                            subject_type="order",
                            subject_id=f"order-{number}",
                            sequence=sequence,
                        )
                    )
        for _ in range(400):
            dispatch.run_once()
            if {"succeeded"} == {row.state for row in dispatch.rows()}:
                break
            clock.advance(timedelta(seconds=31))
        assert {"succeeded"} == {row.state for row in dispatch.rows()}
    came = defaultdict[int, list[int]](list)
    for callback in receiver.callbacks:
        body = orjson.loads(callback.body)
        came[body["data"]["subject"]].append(body["sequence"])
    in_turn = [sequence for sequence in range(1, each + 1) for _ in range(2)]
    assert [in_turn] * subjects == list(came.values())
    reached.says("F54", f"{subjects} subjects of {each} events, each failing first: order kept")
