"""Metrics: the database's figures, a process's own on its port, the dashboard of both."""

from __future__ import annotations

import json
import logging
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert, update

from api.metrics import Gauges
from config.clock import FixedClock
from config.log import configure_logging
from config.settings import Settings, load_settings
from dispatcher.tables import deliveries, endpoints, mailboxes
from engine import products
from engine.database import Database
from engine.events import EventDraft
from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from reconciler import run_rows
from reconciler.tables import discrepancies, runs
from tests.chains import build_chain, tell_products
from tests.dispatching import dispatching
from tests.integration.conftest import KEY
from tests.receivers import Receiver, receiving
from worker.bootstrap import Application, build
from worker.observing import MetricsPortTaken, observing
from worker.telemetry import Telemetry

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana-dashboard.json"
Samples = dict[tuple[str, str], float]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put logging back: its lines would go where this test captured them."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def samples(text: str) -> Samples:
    """Return every sample by its name and the values of its labels."""
    return {
        (each.name, " ".join(each.labels.values())): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def gauges(database: Database, clock: FixedClock) -> Samples:
    """Return the database's figures."""
    return samples(Gauges(database, clock).render().decode())


def test_the_backlog_is_counted_by_state(database: Database, clock: FixedClock) -> None:
    """Open and failed deliveries, what waits in the outbox, and since when."""
    with dispatching(database, clock) as found, receiving(Receiver()) as receiver:
        tenant_id = found.tenant()
        found.endpoint(tenant_id, receiver.url)
        found.publish(tenant_id, 3)
        found.relay.run_until_empty()
        found.publish(tenant_id, 2)
    clock.advance(timedelta(seconds=90))
    shown = gauges(database, clock)
    assert 3 == shown["tillbell_deliveries", "pending"]
    assert (2, 90) == (
        shown["tillbell_outbox_events", ""],
        shown["tillbell_outbox_age_seconds", ""],
    )
    assert 90 == shown["tillbell_backlog_age_seconds", ""]
    assert (1, 0) == (shown["tillbell_endpoints", "active"], shown["tillbell_endpoints", "paused"])
    with database.write() as connection:
        ended = {"state": "failed", "next_attempt_at": None, "settled_at": clock.now()}
        connection.execute(update(deliveries).values(ended))
        connection.execute(update(endpoints).values(deleted_at=clock.now()))
        held = {"circuit": "open", "lease_until": clock.now() - timedelta(seconds=1)}
        connection.execute(update(mailboxes).values(held))
    shown = gauges(database, clock)
    assert (0, 3) == (
        shown["tillbell_deliveries", "pending"],
        shown["tillbell_deliveries", "failed"],
    )
    assert 0 == shown["tillbell_endpoints", "active"]
    assert 1 == shown["tillbell_circuits", "open"]
    assert (1, 1) == (shown["tillbell_mailboxes_leased", ""], shown["tillbell_leases_expired", ""])


def test_products_with_changes_to_tell_are_counted(
    database: Database, clock: FixedClock, units: UnitsOfWork
) -> None:
    """A product once, however often it changed, since its first change; told, none."""
    chain = build_chain(units)
    for cost in (101, 102):
        with units.begin(actor="test") as work:
            products.update(work, chain.product_id, {"base_cost": cost})
        clock.advance(timedelta(seconds=4))
    names = ("tillbell_product_changes", "tillbell_product_change_age_seconds")
    assert [1, 8] == [gauges(database, clock)[name, ""] for name in names]
    tell_products(units)
    assert [0, 0] == [gauges(database, clock)[name, ""] for name in names]


def test_the_reconciler_is_watched(database: Database, clock: FixedClock) -> None:
    """What does not agree, by check; and how long ago each check last finished well."""
    run = run_rows.begin("K07", "test", new_id(), clock.now()).row | {"state": "completed"}
    finding = {
        "id": "01900000-0000-7000-8000-000000000001",
        "check": "K13",
        "subject": "account 1",
        "severity": "critical",
        "policy": "never",
        "status": "open",
        "first_seen_at": clock.now(),
        "last_seen_at": clock.now(),
    }
    with database.write() as connection:
        for number, problem in enumerate((None, None, "broke off")):
            at = clock.now() - timedelta(minutes=5 - number)
            connection.execute(
                insert(runs).values(
                    {
                        **run,
                        "id": f"01900000-0000-7000-8000-00000000000{number}",
                        "as_of": at,
                        "started_at": at,
                        "problem": problem,
                    }
                )
            )
        connection.execute(insert(discrepancies).values(finding))
    shown = gauges(database, clock)
    assert 1 == shown["tillbell_recon_discrepancies", "K13 critical"]
    assert 240 == shown["tillbell_recon_last_success_seconds", "K07"]


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Return settings of an installation on the test's database, with metrics on a free port."""
    return load_settings(
        data_dir=tmp_path,
        database_url=database.url.render_as_string(hide_password=False),
        secret_keys=[KEY],
        egress_allow=["127.0.0.0/8"],
        allow_http=True,
        metrics_port=0,
        retry_schedule=[0, 0],
    )


@pytest.fixture
def application(settings: Settings) -> Iterator[Application]:
    """Return a process put together, nothing of it running."""
    found = build(settings)
    yield found
    found.close()


def fetch(port: int) -> str:
    """Return what a process serves on its metrics port."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def port_of(line: str) -> int:
    """Return the port that a process's log names."""
    return int(next(json.loads(each)["port"] for each in line.splitlines() if "port" in each))


def test_a_process_shows_its_own_attempts_and_leaks_nothing(
    database: Database, application: Application, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counters on the process's port; no secret, body, path, query or answer in line or metric."""
    configure_logging(log_format="json", level="debug")
    clock = FixedClock(datetime.now(UTC))
    with observing(application) as telemetry:
        port = port_of(capsys.readouterr().err)
        with (
            dispatching(database, clock, telemetry) as found,
            receiving(Receiver(statuses=(500, 200), headers={"x-canary": "canary"})) as receiver,
        ):
            tenant_id = found.tenant()
            url = f"{receiver.url}/canary?token=canary"
            secrets = [found.endpoint(tenant_id, url)["secret"]]
            secrets.append(found.endpoint(tenant_id, f"{url}&x", profile="flat")["secret"])
            draft = EventDraft(tenant_id=tenant_id, type="webhook.test", data={"card": "canary"})
            with found.units.begin(actor="test") as work:
                work.raise_event(draft)
            while found.run_once():
                clock.set(datetime.now(UTC) + timedelta(seconds=60))
        text = fetch(port)
    lines = capsys.readouterr().err
    assert samples(text)["tillbell_attempts_total", "succeeded"] >= 1
    assert samples(text)["tillbell_attempts_total", "retrying"] >= 1
    assert "delivery.attempted" in lines
    for canary in ("canary", "token", *secrets):
        assert canary not in lines
        assert canary not in text


def test_a_database_error_says_nothing_of_the_row(database: Database) -> None:
    """What a statement carried, a body or a secret, is not in the sentence of its error."""
    row = {"id": "01900000-0000-7000-8000-000000000001", "subject": "canary"}
    with pytest.raises(Exception, match="discrepancies") as caught, database.write() as connection:
        connection.execute(insert(discrepancies).values(row))
    assert "canary" not in str(caught.value).split("DETAIL")[0]


def test_a_port_that_is_taken_is_refused(application: Application, settings: Settings) -> None:
    """The refusal names the port and the setting, and nothing is left running."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        object.__setattr__(
            application, "settings", settings.model_copy(update={"metrics_port": port})
        )
        with pytest.raises(MetricsPortTaken, match="TILLBELL_METRICS_PORT"), observing(application):
            pass


def test_every_metric_of_the_dashboard_exists(database: Database, clock: FixedClock) -> None:
    """Each name an expression uses is exported, and each panel asks for something."""
    document = json.loads(DASHBOARD.read_text())
    panels = [panel for panel in document["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    assert len(panels) <= len(expressions)
    used = {name for each in expressions for name in re.findall(r"tillbell_\w+", each)}
    assert set() == used - exported(database, clock)


def exported(database: Database, clock: FixedClock) -> set[str]:
    """Return every sample name that the API and a worker can show."""
    text = (Gauges(database, clock).render() + Telemetry().render()).decode()
    suffixes = {
        "counter": ("_total",),
        "gauge": ("",),
        "histogram": ("_bucket", "_count", "_sum"),
    }
    found = re.findall(r"^# TYPE (tillbell_\w+) (counter|gauge|histogram)$", text, re.MULTILINE)
    return {
        f"{name.removesuffix('_total') if kind == 'counter' else name}{suffix}"
        for name, kind in found
        if not name.endswith("_created")
        for suffix in suffixes[kind]
    }


def test_every_metric_is_on_the_dashboard(database: Database, clock: FixedClock) -> None:
    """Nothing is measured that nobody would see."""
    shown = DASHBOARD.read_text()
    names = {re.sub("_(bucket|count|sum)$", "", name) for name in exported(database, clock)}
    assert set() == {name for name in names if name not in shown}
