"""What a process shows of itself while it runs: metrics on a port of its own, and traces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import start_http_server

from config.errors import TillbellError
from config.log import get_logger
from worker.bootstrap import Application
from worker.telemetry import Telemetry
from worker.tracing import tracing

log = get_logger("process")


class MetricsPortTaken(TillbellError):
    """The port for this process's metrics cannot be listened on."""

    code = "METRICS_PORT_TAKEN"


@contextmanager
def observing(application: Application) -> Iterator[Telemetry]:
    """Yield what counts the facts of this process; raises MetricsPortTaken."""
    settings = application.settings
    with tracing(settings, application.database) as tracer:
        telemetry = Telemetry(also=() if tracer is None else (tracer.emit,))
        application.hints.emit = telemetry.emit
        with _served(telemetry, settings.metrics_host, settings.metrics_port):
            yield telemetry


@contextmanager
def _served(telemetry: Telemetry, host: str, port: int | None) -> Iterator[None]:
    """Serve ``/metrics`` while the block runs, if a port is named; 0 is any that is free."""
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=telemetry.registry)
    except OSError as error:
        raise MetricsPortTaken(
            f"metrics cannot be served on {host}:{port} ({error.strerror});"
            " TILLBELL_METRICS_PORT names another, or none",
            port=port,
        ) from None
    log.info("metrics.served", host=host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
