"""What every measurement stands on: an empty installation, receivers, processes and their cost."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from config.settings import Settings, load_settings
from dispatcher import endpoints
from dispatcher.hints import NoHints
from dispatcher.relay import Relay
from engine import tenants
from engine.events import EventDraft, publish_many
from worker.bootstrap import Application, build
from worker.demo.stage import free_port, start_python, stop_process
from worker.initialise import initialise

#: What an event carries: about 600 bytes once it is in its envelope.
BODY = {"note": "x" * 330, "amount": 138.0, "items": [{"sku": "PROD-001", "quantity": 2}]}
EVENT = "webhook.test"
BATCH = 1000
_TICKS = os.sysconf("SC_CLK_TCK")


def bench_settings(folder: Path, **changes: object) -> Settings:
    """Return the environment's settings with loopback allowed and keys at hand."""
    given = load_settings()
    return load_settings(
        **{
            "data_dir": folder,
            "secret_keys": given.secret_keys or [base64.b64encode(os.urandom(32)).decode()],
            "egress_allow": ["127.0.0.0/8"],
            "allow_http": True,
            "log_level": "error",
            **changes,
        }
    )


@dataclass
class Fleet:
    """A process of receivers on one port."""

    port: int
    process: subprocess.Popen[bytes]

    def ask(self, path: str) -> bytes:
        """Return what the receivers say about what came."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def counts(self) -> tuple[int, int]:
        """Return how many calls came, and how many distinct events."""
        total, distinct = self.ask("/count").split()
        return int(total), int(distinct)

    def arrivals(self) -> list[tuple[str, int]]:
        """Return every arrival: the event's id and when, in nanoseconds of this machine's clock."""
        rows = (line.split() for line in self.ask("/arrivals").splitlines())
        return [(identifier.decode(), int(at)) for identifier, at in rows]

    def instants(self) -> list[float]:
        """Return when each call came, in seconds since 1970."""
        return [at / 1e9 for _, at in self.arrivals()]


@contextmanager
def fleet(delay_ms: float = 0.0) -> Iterator[Fleet]:
    """Run receivers while the block runs."""
    port = free_port()
    process = start_python("bench.fleet", ["--port", str(port), "--delay-ms", str(delay_ms)])
    try:
        _wait_for_port(port)
        yield Fleet(port, process)
    finally:
        stop_process(process)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


@dataclass
class Stand:
    """One installation under measurement."""

    application: Application
    tenant_ids: list[str] = field(default_factory=list)

    def add_endpoints(self, port: int, count: int, **options: object) -> None:
        """Make ``count`` tenants with one endpoint each."""
        application = self.application
        with application.units.begin(actor="bench") as work:
            for number in range(count):
                tenant_id = tenants.create(work, name=f"bench {number}")["id"]
                url = f"http://127.0.0.1:{port}/hook/{number}"
                endpoints.create(
                    work,
                    application.guard,
                    tenant_id=tenant_id,
                    url=url,
                    events=[EVENT],
                    **options,  # type: ignore[arg-type]  # the caller's keywords
                )
                self.tenant_ids.append(tenant_id)

    def publish(self, count: int) -> float:
        """Publish events round-robin, a thousand a transaction; return the seconds it took."""
        began = time.monotonic()
        for start in range(0, count, BATCH):
            drafts = [
                EventDraft(
                    tenant_id=self.tenant_ids[number % len(self.tenant_ids)], type=EVENT, data=BODY
                )
                for number in range(start, min(start + BATCH, count))
            ]
            with self.application.database.write() as connection:
                publish_many(connection, drafts)
        return time.monotonic() - began

    def relay(self) -> float:
        """Fan out everything in this process, with nobody draining; return the seconds."""
        began = time.monotonic()
        Relay(self.application.database, self.application.clock, NoHints()).run_until_empty()
        return time.monotonic() - began


def kinds(stand: Stand, workers: int = 1) -> list[str]:
    """Return the processes that deliver: an embedded worker sweeps by itself."""
    alone = stand.application.settings.embedded
    return ["worker"] if alone else [*["worker"] * workers, "scheduler"]


@contextmanager
def standing(folder: Path, **changes: object) -> Iterator[Stand]:
    """Make an empty installation and hold it open while the block runs."""
    settings = bench_settings(folder, **changes)
    initialise(settings)
    application = build(settings)
    try:
        yield Stand(application)
    finally:
        application.close()


@contextmanager
def running(
    application: Application, kinds: Sequence[str]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run processes of the product while the block runs."""
    environment = application.settings.as_environment()
    with ExitStack() as stack:
        processes = []
        for kind in kinds:
            process = start_python("worker", [kind], environment)
            stack.callback(stop_process, process)
            processes.append(process)
        yield processes


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return the processor time that processes have used, that of their ended children too."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue
        total += sum(int(each) for each in fields[11:15])
    return total / _TICKS


def processes_named(name: str) -> list[int]:
    """Return the processes of a name, such as the database server's."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == name:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def memory_peak_megabytes(pids: Sequence[int]) -> float:
    """Return the most memory that any of these processes ever held."""
    peaks = [0.0]
    for pid in pids:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peaks += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")]
    return max(peaks)
