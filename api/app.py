"""The HTTP application: what tenants may read, and health, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from sqlalchemy.exc import SQLAlchemyError

from api import errors, upstreams, webhooks
from api.metrics import Gauges
from config.clock import Clock
from config.errors import TillbellError
from dispatcher import feed
from engine.database import Database
from reconciler.upstream_inbound import InboundCallbacks

Probes = Mapping[str, Callable[[], None]]


def create_app(
    database: Database,
    clock: Clock,
    probes: Probes,
    process_metrics: Callable[[], bytes] = bytes,
    *,
    bodies_kept: timedelta = feed.KEPT,
    inbound: InboundCallbacks | None = None,
) -> FastAPI:
    """Return the ASGI application; ``probes`` say what must hold before it is ready.

    ``process_metrics`` are the figures of this process, shown behind those of the database;
    ``bodies_kept`` is how far back the feed can be read; ``inbound`` takes what upstreams post.
    """
    app = FastAPI(title="Tillbell", version="0.1.0", docs_url=None, redoc_url=None)
    app.state.database, app.state.clock, app.state.bodies_kept = database, clock, bodies_kept
    errors.install(app)
    app.include_router(webhooks.router)
    if inbound is not None:
        app.state.inbound = inbound
        app.include_router(upstreams.router)
    gauges = Gauges(database, clock)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "ok"}

    @app.get("/readyz")
    def readyz() -> JSONResponse:
        """Answer 200 when events can be taken and delivered, 503 with the reasons when not."""
        problems = failing(probes)
        status = "ready" if not problems else "not ready"
        return JSONResponse(
            {"status": status, "problems": problems}, status_code=503 if problems else 200
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Return the figures of this installation for Prometheus."""
        text = gauges.render() + process_metrics()
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def failing(probes: Probes) -> dict[str, str]:
    """Run every probe and return the sentence of each that fails."""
    problems = {}
    for name, probe in probes.items():
        try:
            probe()
        except TillbellError as error:
            problems[name] = error.message
        except SQLAlchemyError as error:
            problems[name] = type(error).__name__
    return problems
