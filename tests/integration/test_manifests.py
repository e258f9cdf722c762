"""Manifests on both databases: one signed line per endpoint and day, chained, made once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
import svix
from sqlalchemy import select
from standardwebhooks import Webhook

from config.clock import FixedClock
from dispatcher import body_hashes as body_hashes_of_days
from dispatcher import endpoint_secrets, endpoints, manifest_views, manifests
from dispatcher.hints import NoHints
from dispatcher.manifest_proof import FIRST_DIGEST, Manifest, check_manifests
from dispatcher.manifests import ManifestMaker
from dispatcher.profiles import render
from dispatcher.replay import arm
from dispatcher.signing import decode_secret
from dispatcher.sweep import Sweep
from dispatcher.tables import manifests as stored
from engine.database import Database
from engine.errors import InvalidInput
from engine.events import EventDraft
from engine.sealing import KeyRing
from engine.tables import events
from reconciler import schedule
from tests.dispatching import Dispatching, dispatching
from tests.proofs import body_hashes, due, listed, make

URL = "http://127.0.0.1:9/hook"
MONDAY = date(2026, 3, 2)
DAY = timedelta(days=1)


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def test_a_day_is_one_signed_line(dispatch: Dispatching) -> None:
    """It counts the day's events, names the first and last, and hashes ids and bodies as defined.

    The public Standard Webhooks libraries find the same signature.
    """
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    ids = due(dispatch, endpoint["tenant_id"], 3)
    dispatch.clock.set(datetime(2026, 3, 3, 1, tzinfo=UTC))
    assert 1 == make(dispatch)
    [line] = listed(dispatch)
    assert (3, ids[0], ids[-1]) == (
        line["events_count"],
        line["first_event_id"],
        line["last_event_id"],
    )
    hashes = body_hashes(dispatch, ids)
    text = "".join(f"{each} {hashes[each]}\n" for each in ids)
    assert hashlib.sha256(text.encode()).hexdigest() == line["events_digest"]
    assert FIRST_DIGEST == line["previous_digest"]
    assert f"manifest_{endpoint['id']}_2026-03-02" == line["message_id"]
    at = datetime.fromtimestamp(line["timestamp"], UTC)
    for library in (Webhook(endpoint["secret"]), svix.Webhook(endpoint["secret"])):
        assert line["signature"] == library.sign(line["message_id"], at, line["body"])


def test_days_are_chained_and_empty_ones_show(dispatch: Dispatching) -> None:
    """Each line holds the digest of the one before, and a day without events has one too."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    due(dispatch, endpoint["tenant_id"])
    dispatch.clock.advance(2 * DAY)
    due(dispatch, endpoint["tenant_id"], 2)
    dispatch.clock.advance(DAY)
    assert 3 == make(dispatch)
    lines = listed(dispatch, endpoint_id=endpoint["id"])
    assert ["2026-03-02", "2026-03-03", "2026-03-04"] == [line["day"] for line in lines]
    assert [1, 0, 2] == [line["events_count"] for line in lines]
    assert hashlib.sha256(b"").hexdigest() == lines[1]["events_digest"]
    for before, after in pairwise(lines):
        assert hashlib.sha256(before["body"].encode()).hexdigest() == after["previous_digest"]
    proved = [Manifest.read(line) for line in lines]
    assert [] == check_manifests(proved, [decode_secret(endpoint["secret"])])


def test_a_day_is_closed_an_hour_after_midnight(dispatch: Dispatching) -> None:
    """Not before, not even by hand; and a second look makes nothing."""
    dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.set(datetime(2026, 3, 3, 0, 59, 59, tzinfo=UTC))
    assert 0 == make(dispatch)
    with pytest.raises(InvalidInput, match="2026-03-01"):
        make(dispatch, until=MONDAY)
    dispatch.clock.advance(timedelta(seconds=1))
    assert [1, 0] == [make(dispatch), make(dispatch)]


def test_a_day_belongs_to_utc(dispatch: Dispatching) -> None:
    """What was due in the last second of a day is its, the next second is the next day's."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.set(datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC))
    [last] = due(dispatch, endpoint["tenant_id"])
    dispatch.clock.advance(timedelta(microseconds=1))
    [first] = due(dispatch, endpoint["tenant_id"])
    dispatch.clock.advance(DAY + manifests.SETTLING)
    make(dispatch)
    assert [last, first] == [line["first_event_id"] for line in listed(dispatch)]


def test_a_replay_does_not_change_a_closed_day(dispatch: Dispatching) -> None:
    """What is sent again later leaves the line as it is and enters no later one."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    due(dispatch, endpoint["tenant_id"], 2)
    dispatch.clock.advance(DAY)
    make(dispatch)
    closed = listed(dispatch)
    with dispatch.units.begin(actor="test") as work:
        assert 2 == arm(work.connection, [row.id for row in dispatch.rows()], work.now)
    dispatch.clock.advance(DAY)
    make(dispatch)
    assert closed == listed(dispatch)[:1]
    assert [2, 0] == [line["events_count"] for line in listed(dispatch)]


def test_many_schedulers_make_each_line_once(dispatch: Dispatching) -> None:
    """Six at once make every line of ten endpoints and three days once, and the chain holds."""
    tenant_id = dispatch.tenant()
    made = [dispatch.endpoint(tenant_id, URL) for _ in range(10)]
    due(dispatch, tenant_id, 3)
    dispatch.clock.advance(3 * DAY)

    def close(_number: int) -> int:
        return ManifestMaker(dispatch.database, dispatch.guard.keyring, dispatch.clock).run_once()

    with ThreadPoolExecutor(6) as pool:
        assert 30 == sum(pool.map(close, range(6)))
    for endpoint in made:
        lines = [Manifest.read(each) for each in listed(dispatch, endpoint_id=endpoint["id"])]
        assert 3 == len(lines)
        assert [] == check_manifests(lines, [decode_secret(endpoint["secret"])])


def test_a_day_once_done_is_not_looked_at_again(dispatch: Dispatching) -> None:
    """The tick after the last of a day reads nothing until the next day is closed."""
    dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.advance(DAY)
    maker = ManifestMaker(dispatch.database, dispatch.guard.keyring, dispatch.clock)
    assert 1 == maker.run_once()
    with dispatch.database.write() as connection:
        connection.execute(stored.delete())
    assert 0 == maker.run_once()
    dispatch.clock.advance(DAY)
    assert 2 == maker.run_once()


def test_the_scheduler_that_leads_closes_days(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else needs to be run for the lines to appear."""
    monkeypatch.setattr(schedule, "MANIFEST_SECONDS", 0.02)
    dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.advance(DAY)
    database, done = dispatch.database, threading.Event()

    class Watched(ManifestMaker):
        """Says when it has made something."""

        def run_once(self) -> int:
            """Make what is due."""
            made = super().run_once()
            if made:
                done.set()
            return made

    maker = Watched(database, dispatch.guard.keyring, dispatch.clock)
    sweep = Sweep(database, dispatch.clock, NoHints())
    running = schedule.Schedule(
        database, dispatch.units, sweep, hints=NoHints(), sweep_seconds=1, manifests=maker
    )
    running.start()
    assert done.wait(10)
    running.stop()
    assert 1 == len(listed(dispatch))


def test_many_endpoints_and_events_are_read_in_steps(
    dispatch: Dispatching, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps of two endpoints and a few events give what one reading would."""
    monkeypatch.setattr(manifests, "ENDPOINTS_PER_STEP", 2)
    monkeypatch.setattr(manifests, "KEYS_PER_READ", 4)
    monkeypatch.setattr(body_hashes_of_days, "EVENTS_PER_READ", 3)
    tenant_id = dispatch.tenant()
    made = [dispatch.endpoint(tenant_id, URL)["id"] for _ in range(5)]
    ids = due(dispatch, tenant_id, 7)
    dispatch.clock.advance(DAY)
    assert 5 == make(dispatch)
    lines = listed(dispatch)
    assert sorted(made) == [line["endpoint_id"] for line in lines]
    assert [(7, ids[0], ids[-1])] * 5 == [
        (line["events_count"], line["first_event_id"], line["last_event_id"]) for line in lines
    ]
    assert 1 == len({line["events_digest"] for line in lines})


def test_a_secret_that_cannot_be_opened_leaves_its_endpoint_waiting(
    dispatch: Dispatching,
) -> None:
    """The others get their line; the endpoint gets its, in order, when the key is back."""
    dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.advance(DAY)
    now = dispatch.clock.now()
    other = KeyRing([b"o" * 32])
    assert (0, False) == manifests.close_days(dispatch.database, other, now)
    assert (1, True) == manifests.close_days(dispatch.database, dispatch.guard.keyring, now)


def test_a_rotated_secret_signs_beside_the_new_one(dispatch: Dispatching) -> None:
    """While two secrets count, either proves the line."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    dispatch.clock.set(datetime(2026, 3, 2, 23, tzinfo=UTC))
    keyring = dispatch.guard.keyring
    with dispatch.units.begin(actor="test") as work:
        fresh = endpoint_secrets.rotate(work, keyring, endpoint["id"], endpoint["tenant_id"])
    dispatch.clock.set(datetime(2026, 3, 3, 1, tzinfo=UTC))
    make(dispatch)
    line = Manifest.read(listed(dispatch)[0])
    for secret in (endpoint["secret"], fresh):
        assert [] == check_manifests([line], [decode_secret(secret)])


@pytest.mark.parametrize("hours_later", [16, 40])
def test_the_last_day_of_a_removed_endpoint_is_proved(
    dispatch: Dispatching, hours_later: int
) -> None:
    """The day of the removal has its line, the next has none, and then nothing can sign."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL)
    event_ids = due(dispatch, endpoint["tenant_id"], 2)
    with dispatch.units.begin(actor="test") as work:
        endpoints.delete(work, endpoint["id"])
    dispatch.clock.advance(timedelta(hours=hours_later))
    assert 1 == make(dispatch)
    dispatch.clock.advance(DAY)
    assert 0 == make(dispatch)
    [line] = listed(dispatch, endpoint_id=endpoint["id"])
    assert (2, min(event_ids)) == (line["events_count"], line["first_event_id"])
    secrets = [decode_secret(endpoint["secret"])]
    assert [] == check_manifests([Manifest.read(line)], secrets)


def test_the_bytes_of_the_endpoint_s_profile_are_hashed(dispatch: Dispatching) -> None:
    """A flat receiver's line is over the flat bodies that it got."""
    endpoint = dispatch.endpoint(dispatch.tenant(), URL, profile="flat")
    line = {"deliver_id": "d", "order_detail_id": 1, "status": 1, "delivery_data": ["pin"]}
    draft = EventDraft(tenant_id=endpoint["tenant_id"], type="order.line_updated", data=line)
    with dispatch.units.begin(actor="test") as work:
        work.raise_event(draft)
    dispatch.relay.run_until_empty()
    dispatch.clock.advance(DAY)
    make(dispatch)
    shown = manifest_views.show(dispatch.database, endpoint["id"], MONDAY)
    with dispatch.database.read() as connection:
        flat = render("flat", connection.execute(select(events.c.body)).scalar_one())
    assert b'"DeliveryData"' in flat
    assert [{"id": draft.id, "sha256": hashlib.sha256(flat).hexdigest()}] == shown["events"]
