"""The demo's surroundings: its own data folder and keys, receivers, and workers."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.errors import TillbellError
from config.settings import Settings, load_settings
from worker.bootstrap import Application
from worker.processes import dispatching, scheduling

START_SECONDS = 10.0
STOP_SECONDS = 30.0
#: How each receiver answers a callback: statuses in turn, and seconds before an answer.
BEHAVIOUR = {
    "healthy": ("200", 0.0),
    "flaky": ("500,500,200", 0.0),
    "slow": ("200", 2.0),
    "dead": ("200", 0.0),
}


class DemoFailed(TillbellError):
    """The demo could not be set up or did not end as it must."""

    code = "DEMO_FAILED"


def demo_settings(folder: Path) -> Settings:
    """Return the environment's settings, with loopback allowed and short waits."""
    given = load_settings()
    return load_settings(
        data_dir=folder,
        secret_keys=given.secret_keys or [base64.b64encode(os.urandom(32)).decode()],
        egress_allow=["127.0.0.0/8"],
        allow_http=True,
        retry_schedule=[0, 1, 2],
        product_window_seconds=1,
        # The dead receiver is to use up its schedule within seconds, so that there is a replay.
        circuit_failures=1_000_000,
        delivery_deadline_seconds=5.0,
        log_level="error",
    )


@dataclass(slots=True)
class ReceiverProcess:
    """One receiver: a process of its own that verifies and logs every callback."""

    name: str
    folder: Path
    port: int
    secret: str = ""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, or will."""
        return f"http://127.0.0.1:{self.port}/hooks/{self.name}"

    @property
    def log(self) -> Path:
        """Where it writes a line per callback."""
        return self.folder / f"{self.name}.jsonl"

    def start(self) -> None:
        """Start listening; returns when the port answers."""
        secret_file = self.folder / f"{self.name}.secret"
        if self.secret:
            secret_file.write_text(self.secret)
        respond, delay = BEHAVIOUR[self.name]
        self.process = start_python(
            "worker.receiver",
            [
                *("--port", str(self.port), "--secret-file", str(secret_file)),
                *("--log", str(self.log), "--respond", respond, "--delay", str(delay)),
                "--by-message",
            ],
        )
        _wait_for_port(self.port, self.process)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            stop_process(self.process)


@dataclass(slots=True)
class Stage:
    """Everything around the story."""

    folder: Path
    receivers: dict[str, ReceiverProcess] = field(default_factory=dict)
    closing: ExitStack = field(default_factory=ExitStack)

    def add_receivers(self) -> None:
        """Reserve a port for each receiver; all but the dead one start later, with their secret."""
        for name in BEHAVIOUR:
            receiver = ReceiverProcess(name, self.folder, free_port())
            self.receivers[name] = receiver
            self.closing.callback(receiver.stop)


@contextmanager
def running(application: Application) -> Iterator[str]:
    """Run what delivers and schedules while the block runs; yields a sentence that says what."""
    if application.settings.embedded:
        with dispatching(application), scheduling(application):
            yield "one process, hints in memory"
        return
    environment = application.settings.as_environment()
    kinds = ("worker", "worker", "scheduler")
    processes = [start_python("worker", [kind], environment) for kind in kinds]
    try:
        yield "two workers and a scheduler as processes of their own, hints through Redis"
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            stop_process(process)


def start_python(
    module: str, arguments: list[str], environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of ours in a process of its own."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, env=environment)  # noqa: S603 - our own module, our arguments


def stop_process(process: subprocess.Popen[Any]) -> None:
    """Ask a process to end, and insist after half a minute."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise DemoFailed(f"the receiver on port {port} did not start")
