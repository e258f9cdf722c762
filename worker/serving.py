"""The processes that serve HTTP; a worker does not load what they need."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import uvicorn

from api.app import create_app
from worker.bootstrap import Application
from worker.observing import observing
from worker.processes import dispatching, scheduling, stop_signal


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


def _serve_http(
    application: Application, stop: threading.Event, metrics: Callable[[], bytes] = bytes
) -> None:
    """Serve until ``stop``; uvicorn sets it too, for it raises the signal that ended it again."""
    app = create_app(
        application.database,
        application.clock,
        application.probes(),
        metrics,
        bodies_kept=timedelta(days=application.settings.retain_bodies_days),
        inbound=application.inbound(),
    )
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
