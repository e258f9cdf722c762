"""Health, readiness and figures over HTTP: what an operator's machines ask."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from api.app import Probes, create_app
from config.clock import FixedClock
from dispatcher import endpoint_state
from engine.database import Database
from engine.errors import DatabaseUnavailable
from reconciler.runner import Runner
from tests.dispatching import Dispatching, dispatching
from tests.installations import installed
from tests.receivers import Receiver, receiving
from tests.servers import free_port
from worker.broker import check_broker
from worker.schema import upgrade


@pytest.fixture
def dispatch(database: Database, clock: FixedClock) -> Iterator[Dispatching]:
    """Return a dispatcher on the test's database."""
    with dispatching(database, clock) as it:
        yield it


def get(dispatch: Dispatching, path: str, probes: Probes | None = None) -> httpx.Response:
    """Ask the application for one path."""
    app = create_app(dispatch.database, dispatch.clock, probes or {})

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://tillbell") as client:
            return await client.get(path)

    return asyncio.run(ask())


def figures(dispatch: Dispatching) -> Mapping[str, float]:
    """Return every figure of /metrics by its name with its labels."""
    answer = get(dispatch, "/metrics")
    assert (200, "text/plain; version=0.0.4; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    lines = [line for line in answer.text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def test_a_process_that_lives_says_so(dispatch: Dispatching) -> None:
    """/healthz asks nobody: it answers whatever else is wrong."""
    answer = get(dispatch, "/healthz", {"database": broken})
    assert (200, {"status": "ok"}) == (answer.status_code, answer.json())


def broken() -> None:
    """Refuse, as a probe of ours does."""
    raise DatabaseUnavailable("the database has no schema: run 'tillbell init'")


def test_ready_when_every_probe_holds(dispatch: Dispatching) -> None:
    """200 without problems, also where nothing has to hold."""
    for probes in ({}, {"database": lambda: None, "broker": lambda: None}):
        answer = get(dispatch, "/readyz", probes)
        assert (200, {"status": "ready", "problems": {}}) == (answer.status_code, answer.json())


def test_each_failing_probe_is_named(dispatch: Dispatching) -> None:
    """503 with a sentence of ours; of a driver's failure the class alone, it may say too much."""

    def cut() -> None:
        raise SQLAlchemyError("password=hush")

    answer = get(dispatch, "/readyz", {"a": broken, "b": lambda: None, "c": cut})
    assert 503 == answer.status_code
    assert {
        "status": "not ready",
        "problems": {
            "a": "the database has no schema: run 'tillbell init'",
            "c": "SQLAlchemyError",
        },
    } == answer.json()


def test_the_probes_of_an_installation(dispatch: Dispatching, tmp_path: Path) -> None:
    """A schema that migrations made and a broker at hand are ready; each missing one is named."""
    bare = Database(f"sqlite:///{tmp_path / 'bare.db'}")
    with installed(bare, "memory://") as application:
        answer = get(dispatch, "/readyz", application.probes())
        assert {"database"} == set(answer.json()["problems"])
        assert "tillbell init" in answer.json()["problems"]["database"]
        upgrade(bare)
        assert 200 == get(dispatch, "/readyz", application.probes()).status_code
    bare.dispose()


def test_an_unreachable_database_and_broker_are_named(dispatch: Dispatching) -> None:
    """503 says what does not answer and where, without a password."""
    port = free_port()
    gone = Database(f"postgresql+psycopg://user:hush@127.0.0.1:{port}/tillbell")
    broker = f"redis://:hush@127.0.0.1:{port}/0"
    probes = {"database": gone.now, "broker": lambda: check_broker(broker)}
    answer = get(dispatch, "/readyz", probes)  # type: ignore[arg-type]  # the answer is not looked at
    problems = answer.json()["problems"]
    assert (503, {"database", "broker"}) == (answer.status_code, set(problems))
    assert all(f"127.0.0.1:{port}" in sentence for sentence in problems.values())
    assert "hush" not in answer.text


def test_a_database_that_is_dropped_is_a_problem_not_a_crash(
    dispatch: Dispatching, database: Database
) -> None:
    """Tables gone under a running process: /readyz says so."""

    def probe() -> None:
        target = create_engine(database.url)
        try:
            with target.connect() as connection:
                connection.execute(text("SELECT 1 FROM no_such_table"))
        finally:
            target.dispose()

    answer = get(dispatch, "/readyz", {"database": probe})
    assert 503 == answer.status_code
    assert answer.json()["problems"]["database"] in {"OperationalError", "ProgrammingError"}


def test_the_figures_of_an_empty_installation_are_zero(dispatch: Dispatching) -> None:
    """Every state is there from the beginning: a graph has no gaps."""
    found = figures(dispatch)
    expected = {
        'tillbell_deliveries{state="pending"}': 0,
        'tillbell_deliveries{state="retrying"}': 0,
        'tillbell_deliveries{state="failed"}': 0,
        'tillbell_deliveries{state="cancelled"}': 0,
        'tillbell_endpoints{state="active"}': 0,
        'tillbell_endpoints{state="paused"}': 0,
        'tillbell_endpoints{state="disabled"}': 0,
        "tillbell_outbox_events": 0,
        "tillbell_mailboxes_leased": 0,
        "tillbell_backlog_age_seconds": 0,
    }
    assert expected == {name: found[name] for name in expected}


def test_the_figures_tell_what_waits_and_what_failed(dispatch: Dispatching) -> None:
    """Outbox, open deliveries by state, endpoints by state, and how old the backlog is."""
    with receiving(Receiver(statuses=(500,))) as receiver:
        tenant_id = dispatch.tenant()
        dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])
        paused = dispatch.endpoint(tenant_id, receiver.url, events=["webhook.*"])["id"]
        with dispatch.units.begin(actor="test") as work:
            endpoint_state.pause(work, paused)
        dispatch.publish(tenant_id, 2)
        assert 2 == figures(dispatch)["tillbell_outbox_events"]
        dispatch.run_once()
        dispatch.clock.advance(timedelta(seconds=90))
        found = figures(dispatch)
        expected = {
            'tillbell_deliveries{state="pending"}': 2,
            'tillbell_deliveries{state="retrying"}': 2,
            'tillbell_endpoints{state="active"}': 1,
            'tillbell_endpoints{state="paused"}': 1,
            "tillbell_outbox_events": 0,
            "tillbell_mailboxes_leased": 0,
            "tillbell_backlog_age_seconds": 90,
        }
        assert expected == {name: found[name] for name in expected}
        for _ in range(2):
            dispatch.run_once()
            dispatch.clock.advance(timedelta(seconds=90))
        assert 2 == figures(dispatch)['tillbell_deliveries{state="failed"}']


def test_a_run_about_the_future_makes_no_check_look_old(dispatch: Dispatching) -> None:
    """How long ago a check ran is counted from its last look at the present."""
    runner = Runner(dispatch.units)

    def run(as_of: datetime | None = None) -> None:
        assert 1 == len(list(runner.run(["K10"], actor="test", as_of=as_of)))

    run(dispatch.clock.now() + timedelta(days=365))
    dispatch.clock.advance(timedelta(hours=1))
    run()
    dispatch.clock.advance(timedelta(seconds=30))
    assert 30 == figures(dispatch)['tillbell_recon_last_success_seconds{check="K10"}']
