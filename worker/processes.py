"""Long-running processes: start, wait for a signal, stop within 30 seconds."""

from __future__ import annotations

import resource
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import uvicorn

from api.app import create_app
from config.log import get_logger
from dispatcher.facts import nowhere
from reconciler.schedule import Schedule
from worker.bootstrap import Application
from worker.broker import create_worker, declare_actors, stop_worker
from worker.observing import observing
from worker.telemetry import Telemetry

log = get_logger("process")

#: After SIGTERM what is in flight is finished or released within this.
GRACE_SECONDS = 25.0


@contextmanager
def dispatching(application: Application, telemetry: Telemetry | None = None) -> Iterator[None]:
    """Consume hints and drain mailboxes while the block runs; then finish what is in flight."""
    _allow_many_sockets()
    drainer = application.drainer(None if telemetry is None else telemetry.observe)
    drainer.start()
    declare_actors(application.broker, application.relay(), drainer)
    worker = create_worker(application.broker, threads=application.settings.worker_threads)
    worker.start()
    log.info("worker.started", database=application.database.location)
    try:
        yield
    finally:
        stop_worker(worker, 5_000)
        finished = drainer.stop(GRACE_SECONDS)
        log.info("worker.stopped", everything_settled=finished)


@contextmanager
def scheduling(application: Application, telemetry: Telemetry | None = None) -> Iterator[None]:
    """Sweep and reconcile on schedule while the block runs."""
    schedule = Schedule(
        application.database,
        application.units,
        application.sweep(),
        hints=application.hints,
        sweep_seconds=application.settings.sweep_seconds,
        retention=application.retention(),
        manifests=application.manifests(),
        emit=nowhere if telemetry is None else telemetry.emit,
    )
    schedule.start()
    log.info("scheduler.started", sweep_seconds=application.settings.sweep_seconds)
    try:
        yield
    finally:
        schedule.stop()
        log.info("scheduler.stopped")


def run_worker(application: Application) -> None:
    """Deliver until SIGTERM or SIGINT; raises what keeps the process from its work.

    On ``memory://`` no other process's hint arrives: it looks for itself.
    """
    application.require_ready()
    stop = stop_signal()
    with observing(application) as telemetry:
        embedded = application.settings.embedded
        alone = scheduling(application, telemetry) if embedded else nullcontext()
        with dispatching(application, telemetry), alone:
            stop.wait()


def run_scheduler(application: Application) -> None:
    """Sweep and reconcile until SIGTERM or SIGINT; raises what keeps it from that."""
    application.require_ready()
    stop = stop_signal()
    with observing(application) as telemetry, scheduling(application, telemetry):
        stop.wait()


def run_api(application: Application) -> None:
    """Serve HTTP until SIGTERM or SIGINT."""
    _serve_http(application, stop_signal())


def run_everything(application: Application) -> None:
    """Serve HTTP, deliver, sweep and reconcile in this one process until SIGTERM or SIGINT."""
    application.require_ready()
    stop = stop_signal()
    with (
        observing(application) as telemetry,
        dispatching(application, telemetry),
        scheduling(application, telemetry),
    ):
        _serve_http(application, stop, telemetry.render)


def _allow_many_sockets() -> None:
    """Raise the limit of open files to what the system lets us: thousands of calls run at once."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def stop_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _serve_http(
    application: Application, stop: threading.Event, metrics: Callable[[], bytes] = bytes
) -> None:
    """Serve until ``stop``; uvicorn sets it too, for it raises the signal that ended it again."""
    app = create_app(application.database, application.clock, application.probes(), metrics)
    config = uvicorn.Config(
        app,
        host=application.settings.api_host,
        port=application.settings.api_port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)

    def end_early() -> None:
        stop.wait()  # a signal that came before uvicorn listened for signals
        server.should_exit = True

    threading.Thread(target=end_early, daemon=True).start()
    server.run()
