"""K23.probe: endpoints are called, politely, to see whether they could be called again."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import trustme

from config.clock import FixedClock
from dispatcher import endpoint_state, probes, signing
from dispatcher.egress import EgressPolicy
from dispatcher.transport import CallbackTransport
from engine.database import Database
from reconciler import discrepancy_views, probe_checks
from tests.dispatching import POLICY
from tests.receivers import Receiver, receiving
from tests.reconciling import Reconciling, reconciling

NAME = "K23.probe"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Return an authority that our client trusts."""
    return trustme.CA()


@pytest.fixture
def scene(database: Database, authority: trustme.CA) -> Iterator[Reconciling]:
    """Return a reconciler that trusts the authority; certificates know the real time only."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    transport = partial(CallbackTransport, POLICY, ssl_context=context)
    with reconciling(database, FixedClock(datetime.now(UTC)), transport=transport) as it:
        yield it


def serving(authority: trustme.CA, ends_at: datetime) -> ssl.SSLContext:
    """Return the server's side of a certificate that ends then."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    begins_at = min(datetime.now(UTC), ends_at) - DAY
    certificate = authority.issue_cert("127.0.0.1", not_before=begins_at, not_after=ends_at)
    certificate.configure_cert(context)
    return context


def run(scene: Reconciling, **options: Any) -> tuple[int, int]:
    """Run the check and return how many endpoints it called and how much it found."""
    [row] = scene.run(NAME, **options)
    return row["scanned"], row["found"]


def disabled(scene: Reconciling, url: str, reason: str = "failing") -> dict[str, Any]:
    """Return an endpoint that was disabled for a reason."""
    endpoint = scene.dispatch.endpoint(scene.dispatch.tenant(), url)
    with scene.dispatch.units.begin(actor="test") as work:
        endpoint_state.disable(work, endpoint["id"], reason=reason)
    scene.dispatch.run_once()
    return endpoint


def open_ones(scene: Reconciling) -> list[dict[str, Any]]:
    """Return the discrepancies that are open."""
    with scene.database.read() as connection:
        return [
            row
            for row in discrepancy_views.listing(connection, limit=100)
            if row["status"] == "open"
        ]


def test_a_certificate_that_ends_soon_is_told_until_it_is_renewed(
    scene: Reconciling, authority: trustme.CA
) -> None:
    """With its day, for every endpoint of the receiver; one that lasts is asked once a day."""
    ends_at = (datetime.now(UTC) + 10 * DAY).replace(microsecond=0)
    context = serving(authority, ends_at)
    with receiving(tls=context) as receiver:
        for name in ("one", "two"):
            scene.dispatch.endpoint(scene.dispatch.tenant(name), f"{receiver.url}/{name}")
        assert (2, 2) == run(scene)
        assert [ends_at] * 2 == [row["due_at"] for row in open_ones(scene)]
        assert (0, 2) == run(scene)
        renewed = authority.issue_cert("127.0.0.1", not_after=datetime.now(UTC) + 90 * DAY)
        renewed.configure_cert(context)
        scene.clock.advance(timedelta(hours=1))
        assert (2, 0) == run(scene)
        assert [] == open_ones(scene)
        scene.clock.advance(timedelta(hours=23))
        assert (0, 0) == run(scene)
        scene.clock.advance(timedelta(hours=1))
        assert (2, 0) == run(scene)
    assert [] == receiver.callbacks


def test_a_certificate_that_ended_is_told(scene: Reconciling, authority: trustme.CA) -> None:
    """The handshake that fails at a delivery fails here too, and says so."""
    with receiving(tls=serving(authority, datetime.now(UTC) - DAY)) as receiver:
        scene.dispatch.endpoint(scene.dispatch.tenant(), receiver.url)
        assert (1, 1) == run(scene)
    assert [{"handshake": "refused"}] == [row["actual"] for row in open_ones(scene)]


def test_a_disabled_endpoint_that_answers_is_told_until_it_is_enabled(scene: Reconciling) -> None:
    """It gets one signed test, which is no event and no delivery; enabled, the finding is gone."""
    with receiving() as receiver:
        endpoint = disabled(scene, receiver.url)
        before = scene.content()
        assert (1, 1) == run(scene)
        assert (0, 1) == run(scene)
        assert before == scene.content()
        [callback] = receiver.callbacks
        secret = signing.decode_secret(endpoint["secret"])
        signing.verify([secret], callback.headers, callback.body, scene.clock.now())
        [found] = open_ones(scene)
        assert ({"a_test_is_answered": 200}, "warning") == (found["actual"], found["severity"])
        with scene.dispatch.units.begin(actor="test") as work:
            endpoint_state.enable(work, endpoint["id"])
        assert (0, 0) == run(scene)
    assert [] == open_ones(scene)


@pytest.mark.parametrize("reason", ["manual", "gone", "receiver", "blocked_address"])
def test_who_was_told_to_stop_is_not_called(scene: Reconciling, reason: str) -> None:
    """Only what was disabled for failing is tried."""
    with receiving() as receiver:
        disabled(scene, receiver.url, reason)
        assert (0, 0) == run(scene)
    assert [] == receiver.callbacks


def test_a_receiver_that_still_fails_is_tried_four_times_a_day_for_a_month(
    scene: Reconciling,
) -> None:
    """Nothing is found, and after thirty days nobody asks any more."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        disabled(scene, receiver.url)
        for expected in (1, 0, 0, 0, 0, 0, 1):
            assert (expected, 0) == run(scene)
            scene.clock.advance(timedelta(hours=1))
        scene.clock.advance(30 * DAY)
        assert (0, 0) == run(scene)
    assert 2 == len(receiver.callbacks)


def test_a_receiver_that_hangs_costs_its_deadline(
    scene: Reconciling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run ends without its answer, and no transaction was open while it waited."""
    monkeypatch.setattr(probes, "DEADLINE_SECONDS", 0.3)
    wrote = []

    class Gate(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            """Write while the probe waits: with its transaction open SQLite would refuse."""
            with scene.dispatch.units.begin(actor="receiver"):
                wrote.append(1)
            return super().wait(timeout)

    with receiving(Receiver(gate=Gate())) as receiver:
        disabled(scene, receiver.url)
        assert (1, 0) == run(scene)
    assert [1] == wrote


def test_the_egress_guard_stands_before_every_probe(database: Database, clock: FixedClock) -> None:
    """An address that may no longer be called is not called by a probe either."""
    closed = partial(CallbackTransport, EgressPolicy(allow_http=True))
    with (
        receiving() as receiver,
        reconciling(database, clock, transport=closed) as scene,
    ):
        disabled(scene, receiver.url)
        assert (1, 0) == run(scene)
    assert [] == receiver.callbacks


def test_a_run_calls_so_many_and_no_more(
    scene: Reconciling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest waits for the next run; a dry run and one as of another day call nobody."""
    monkeypatch.setattr(probe_checks, "PROBES_MAX", 2)
    with receiving() as receiver:
        for _ in range(3):
            disabled(scene, receiver.url)
        assert (0, 0) == run(scene, dry_run=True)
        assert (0, 0) == run(scene, as_of=scene.clock.now() + DAY)
        assert [(2, 2), (1, 3), (0, 3)] == [run(scene) for _ in range(3)]
    assert 3 == len(receiver.callbacks)
