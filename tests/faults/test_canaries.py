"""A canary in every secret field, and nothing that any process shows holds one (F63, R3)."""

from __future__ import annotations

import base64
import socket
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
import structlog
from redis import Redis
from sqlalchemy import make_url

from config.log import configure_logging, get_logger
from dispatcher.tables import attempts, deliveries, replays
from engine.database import metadata
from reconciler.tables import discrepancies, runs
from tests.command_line import CommandLine, command_line
from tests.faults.canaries import (
    FORMS,
    SEALING_KEY,
    leaks,
    pytest_runtest_makereport,
    redis_content,
    rows_of,
    secrets_in,
)
from tests.faults.plugin import Reached
from tests.faults.secret_scene import (
    CANARIES,
    NEW_SECRET,
    SHOWN_BY_COMMANDS,
    STORED_PLAIN,
    Scene,
    filled,
    secret_scene,
)
from tests.installations import states
from tests.processes import Running, free_port, running, until
from tests.receivers import Receiver, receiving

COMMANDS = (
    ("doctor",),
    ("tenants", "list"),
    ("endpoints", "list"),
    ("deliveries", "list"),
    ("deliveries", "list", "--state", "retrying"),
    ("tokens", "list"),
    ("upstreams", "list"),
    ("reconcile", "run"),
    ("reconcile", "list"),
    ("orders", "list"),
)


@pytest.fixture
def scene(postgresql_url: str, tmp_path: Path) -> Iterator[Scene]:
    """Return the installation that the canaries live in."""
    with secret_scene(postgresql_url, tmp_path) as found:
        yield found


def asked(port: int, path: str, *, body: bytes | None = None, **headers: str) -> bytes:
    """Return head and body of an answer on this machine, whatever its status."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)  # loopback
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # as above
            return bytes(answer.headers) + bytes(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return bytes(error.headers) + error.read()


def pages(scene: Scene, port: int) -> dict[str, bytes]:
    """Return what the interface answers: lists, metrics, and every kind of error page."""
    ours, forged = f"Bearer {scene.token}", f"Bearer {CANARIES['token that is wrong']}"
    webhooks, query = "/api/v1/webhooks", f"?key={CANARIES['query of a request']}"
    secret = CANARIES["upstream callback secret"]
    return {
        "page of events": asked(port, f"{webhooks}/events", authorization=ours),
        "page of endpoints": asked(port, f"{webhooks}/endpoints", authorization=ours),
        "page of deliveries": asked(port, f"{webhooks}/deliveries", authorization=ours),
        "error of a token": asked(port, f"{webhooks}/events", authorization=forged),
        "error of a path": asked(port, f"/nowhere{query}", authorization=ours),
        "error of a query": asked(port, f"{webhooks}/events{query}&limit=x", authorization=ours),
        "error of a callback": asked(
            port,
            f"/api/v1/upstreams/{scene.upstream_id}/callbacks{query}",
            body=f'{{"broken": "{secret}'.encode(),
            apikey=secret,
        ),
        "metrics of the API": asked(port, "/metrics"),
    }


def metrics_of(process: Running) -> bytes:
    """Return a process's own metrics."""
    return asked(int(orjson.loads(process.said("metrics.served"))["port"]), "/metrics")


def spoken(tillbell: CommandLine, commands: Iterable[Sequence[str]], name: str) -> dict[str, bytes]:
    """Return what commands say on both streams, for people and for machines."""
    found = {}
    for command in commands:
        for form in ((), ("--json",)):
            answer = tillbell(*command, *form)
            found[f"{name} {' '.join(command[:2])}"] = (answer.out + answer.err).encode()
    return found


def processes_and_pages(scene: Scene) -> dict[str, bytes]:
    """Deliver everything through real processes; return their logs, metrics and pages."""
    port = free_port()
    settings = {**scene.environment, "TILLBELL_API_PORT": str(port)}
    with ExitStack() as stack:
        started = {
            verb: stack.enter_context(running([verb], settings))
            for verb in ("api", "worker", "scheduler")
        }
        for verb in ("worker", "scheduler"):
            started[verb].said(".started")
        until(lambda: listens(port))
        until(lambda: set(states(scene.application)) == {"succeeded"})
        places = pages(scene, port)
        for verb in ("worker", "scheduler"):
            places[f"metrics of the {verb}"] = metrics_of(started[verb])
        places["Redis"] = redis_content(scene.redis_url)
        for verb, process in started.items():
            process.stop()
            places[f"log of the {verb}"] = "".join([*process.out, *process.err]).encode()
    assert len(places["log of the worker"]) > 1000
    return places


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of this machine."""
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.fault("F63")
def test_no_process_shows_a_secret(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    reached: Reached,
) -> None:
    """Logs, metrics, Redis, attempts, pages, errors, commands: none holds a canary in any form."""
    with receiving(Receiver(statuses=(500, 503, 200), echoes=True)) as receiver:
        filled(scene, receiver.url)
        places = processes_and_pages(scene)
    assert any(CANARIES["custom header"] in each.headers.values() for each in receiver.callbacks)
    assert any(CANARIES["delivery_data"].encode() in each.body for each in receiver.callbacks)
    database = scene.application.database
    for table in (attempts, deliveries, replays, runs, discrepancies):
        places[f"rows of {table.name}"] = rows_of(database, table)
    for name, value in scene.environment.items():
        monkeypatch.setenv(name, value)
    with command_line(capfd) as tillbell:
        said = spoken(tillbell, COMMANDS, "command")
        monkeypatch.setenv("TILLBELL_BROKER_URL", at_a_closed_port(scene.redis_url))
        said |= spoken(tillbell, [("doctor",)], "without Redis,")
        url = scene.environment["TILLBELL_DATABASE_URL"]
        monkeypatch.setenv("TILLBELL_DATABASE_URL", at_a_closed_port(url))
        said |= spoken(tillbell, [("doctor",), ("events", "list")], "without a database,")
    every = rows_of(database, *metadata.sorted_tables)
    sealed = {name: text for name, text in CANARIES.items() if name not in STORED_PLAIN}
    commanded = {name: text for name, text in CANARIES.items() if name not in SHOWN_BY_COMMANDS}
    owners = {"page of endpoints": places.pop("page of endpoints")}
    found = (
        leaks(CANARIES, places) + leaks(commanded, said | owners) + leaks(sealed, {"tables": every})
    )
    assert [] == found
    reached.says(
        "F63",
        f"{len(CANARIES)} canaries in {len(FORMS)} forms: 0 hits in {len(places) + len(said)}"
        f" logs, metrics, pages, rows and outputs, nor sealed ones in"
        f" {len(metadata.sorted_tables)} tables",
    )


def at_a_closed_port(url: str) -> str:
    """Return a server's address with a port where nobody listens."""
    return make_url(url).set(port=free_port()).render_as_string(hide_password=False)


@pytest.mark.fault("F63")
@pytest.mark.parametrize("form", FORMS)
def test_a_planted_leak_is_found(
    form: str, redis_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The search has teeth: in a log line, in Redis, in a page, in each form."""
    canary = CANARIES["custom header"]
    shown = FORMS[form](canary)
    configure_logging(log_format="json", level="info")
    get_logger("test").info("planted", reason=f"the header was {shown}")
    structlog.reset_defaults()
    with closing(Redis.from_url(redis_url)) as redis:
        redis.hset("planted", "field", f"before{shown}after")
    places = {"log": capfd.readouterr().err.encode(), "Redis": redis_content(redis_url)}
    found = leaks({"header": canary}, places)
    assert {f"log: header ({form})", f"Redis: header ({form})"} <= set(found)


@pytest.mark.fault("F63")
def test_a_test_that_logs_a_secret_fails() -> None:
    """What the suite itself is searched for: secrets by their looks, and the sealing key."""
    secret = f"whsec_{base64.b64encode(NEW_SECRET).decode()}"
    assert ["whsec_Y2FuYX"] == secrets_in(f'{{"error": "{secret}"}}')
    assert ["the sealing key"] == secrets_in(f"key {SEALING_KEY} is used")
    assert 1 == len(secrets_in("Bearer tbk_0a1b2c3d4e5f_" + "x" * 43))
    assert [] == secrets_in("whsec_ and the base64 of 24 to 64 bytes; tbk_…")
    report = SimpleNamespace(
        sections=[("Captured stderr call", secret)], outcome="passed", longrepr=None
    )
    looking = pytest_runtest_makereport(SimpleNamespace(nodeid="a test"))  # type: ignore[arg-type]  # what it reads
    next(looking)
    with pytest.raises(StopIteration):
        looking.send(report)
    assert "failed" == report.outcome
