"""The dead-man ping: heard while the checks are on time, silent otherwise, and never in the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from config.clock import FixedClock
from config.settings import SettingsInvalid, load_settings
from dispatcher.egress import EgressPolicy
from dispatcher.hints import NoHints
from dispatcher.sweep import Sweep
from dispatcher.transport import CallbackTransport
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from reconciler import schedule
from reconciler.deadman import DeadMan
from reconciler.leadership import lead
from reconciler.runner import Runner
from tests.dispatching import POLICY
from tests.platforms import Asked, Platform, platform, says
from worker.bootstrap import build

NOBODY = "http://127.0.0.1:9/ping"
PATIENCE_SECONDS = 20


@pytest.fixture
def listener() -> Iterator[Platform]:
    """Return somebody outside who listens."""
    with platform(says({})) as served:
        yield served


def deadman(
    database: Database, clock: FixedClock, url: str, policy: EgressPolicy = POLICY
) -> DeadMan:
    """Return a dead man that may call loopback, if no transaction is open when it does."""

    def make_transport() -> CallbackTransport:
        assert "Current Checked out connections: 0" in database.engine.pool.status()
        return CallbackTransport(policy, deadline_seconds=5)

    return DeadMan(database, clock, url, make_transport)


def test_it_is_heard_while_every_check_is_on_time(
    database: Database, clock: FixedClock, units: UnitsOfWork, listener: Platform
) -> None:
    """One GET a ping; none once a check is late, and again when that has run."""
    mine = deadman(database, clock, f"{listener.url}/ping/uuid")
    assert mine.ping()
    list(Runner(units).run(["K10"], actor="test"))
    assert mine.ping()
    clock.advance(timedelta(days=5))
    assert not mine.ping()
    list(Runner(units).run(["K10"], actor="test"))
    assert mine.ping()
    assert ["/ping/uuid"] * 3 == [asked.path for asked in listener.asked]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_success_is_only_said(
    database: Database, clock: FixedClock, listener: Platform, status: int
) -> None:
    """Nothing is raised, and a redirect is not followed."""
    listener.answer = says({}, status, location=f"{listener.url}/elsewhere")
    assert not deadman(database, clock, f"{listener.url}/ping").ping()
    assert 1 == len(listener.asked)


def test_nobody_there_and_a_closed_network_are_only_said(
    database: Database, clock: FixedClock, listener: Platform
) -> None:
    """No connection raises nothing; an address the policy closes is never called."""
    assert not deadman(database, clock, NOBODY).ping()
    closed = EgressPolicy.from_settings([], allow_http=True)
    assert not deadman(database, clock, f"{listener.url}/ping", closed).ping()
    assert [] == listener.asked


@pytest.mark.parametrize("leading", [True, False])
def test_only_the_scheduler_that_leads_is_heard(
    database: Database,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    leading: bool,  # noqa: FBT001  # pytest gives it by name
) -> None:
    """Of two schedulers one pings; the one that waits for the lead keeps silent."""
    monkeypatch.setattr(schedule, "DEADMAN_SECONDS", 0.02)
    if not leading:
        with database.write() as connection:
            lead(connection, schedule.DUTY, "somebody else", database.now())
    heard = threading.Event()

    def answer(_asked: Asked) -> tuple[int, Mapping[str, str], bytes]:
        heard.set()
        return 200, {}, b""

    with platform(answer) as served:
        transport = CallbackTransport
        running = schedule.Schedule(
            database,
            UnitsOfWork(database),
            Sweep(database, clock, NoHints()),
            hints=NoHints(),
            sweep_seconds=1,
            deadman=DeadMan(database, clock, served.url, lambda: transport(POLICY)),
        )
        running.start()
        try:
            assert leading == heard.wait(PATIENCE_SECONDS if leading else 1)
        finally:
            running.stop()


@pytest.mark.parametrize("url", ["http://example.org/", "https://10.0.0.1/", "https://a@b.org/"])
def test_a_url_that_may_not_be_called_keeps_the_scheduler_from_starting(
    tmp_path: Path, url: str
) -> None:
    """It is vetted like an endpoint's; the setting is named, and its secret path is not said."""
    key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    settings = load_settings(data_dir=tmp_path, secret_keys=[key], deadman_url=f"{url}s3cret")
    application = build(settings)
    with pytest.raises(SettingsInvalid, match="TILLBELL_DEADMAN_URL") as refused:
        application.deadman()
    assert "s3cret" not in str(refused.value)
    application.close()


def test_no_url_no_ping(tmp_path: Path) -> None:
    """Nothing is called that nobody named; one that may be called is."""
    key = "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
    for url in (None, "", "https://example.org/uuid"):
        application = build(load_settings(data_dir=tmp_path, secret_keys=[key], deadman_url=url))
        assert bool(url) == (application.deadman() is not None)
        application.close()
