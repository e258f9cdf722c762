"""Long-running processes: start, wait for a signal, stop within 30 seconds."""

from __future__ import annotations

import gc
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from config.log import get_logger
from dispatcher.facts import UNWATCHED, Watch
from reconciler.schedule import Schedule
from worker.bootstrap import Application
from worker.broker import DrainHere, create_worker, declare_actors, stop_worker
from worker.lookout import Lookout
from worker.observing import observing

log = get_logger("process")

#: After SIGTERM what is in flight is finished or released within this.
GRACE_SECONDS = 25.0
#: New containers, less those that went, before the collector looks at the youngest.
GARBAGE_THRESHOLD = 50_000


@contextmanager
def dispatching(application: Application, watch: Watch = UNWATCHED) -> Iterator[None]:
    """Consume hints and drain mailboxes while the block runs; then finish what is in flight."""
    _allow_many_sockets()
    _collect_seldom()
    drainer = application.drainer(watch)
    drainer.start()
    here = DrainHere(drainer, application.hints)
    relay = application.relay(watch, here)
    lookout = Lookout(relay, drainer)
    declare_actors(application.broker, relay, drainer, lookout.heard)
    worker = create_worker(application.broker, threads=application.settings.worker_threads)
    worker.start()
    if not application.settings.embedded:
        lookout.start()
    log.info("worker.started", database=application.database.location)
    try:
        yield
    finally:
        lookout.stop()
        stop_worker(worker, 5_000)
        finished = drainer.stop(GRACE_SECONDS)
        log.info("worker.stopped", everything_settled=finished)


@contextmanager
def scheduling(application: Application, watch: Watch = UNWATCHED) -> Iterator[None]:
    """Sweep and reconcile on schedule while the block runs."""
    schedule = Schedule(
        application.database,
        application.units,
        application.sweep(),
        hints=application.hints,
        sweep_seconds=application.settings.sweep_seconds,
        retention=application.retention(),
        manifests=application.manifests(),
        products=application.products(),
        emit=watch.emit,
        upstreams=application.upstreams(),
        deadman=application.deadman(),
        caller=application.caller(),
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


def _allow_many_sockets() -> None:
    """Raise the limit of open files to what the system lets us: thousands of calls run at once."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _collect_seldom() -> None:
    """Look for cycles seldom: a batch makes thousands of objects, and next to none in a cycle."""
    gc.collect()
    gc.freeze()  # what is loaded by now stays
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


def stop_signal() -> threading.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
