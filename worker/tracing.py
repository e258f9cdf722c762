"""OpenTelemetry: one span per attempt, made after the fact, off the path of deliveries.

All attempts of an event share a trace: that of whoever raised it, where the event carries a W3C
``traceparent``, else one whose id is the event's own. Only this file knows OpenTelemetry, which is
an extra (``tillbell[otel]``).
"""

from __future__ import annotations

import queue
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from config.errors import TillbellError
from config.log import get_logger
from config.settings import Settings
from dispatcher.facts import DeliveryAttempted, Fact
from dispatcher.tables import deliveries
from engine.database import Database
from engine.tables import events

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

log = get_logger("tracing")

#: Attempts that may wait to become spans; beyond that they are only counted.
WAITING_MAX = 10_000
#: Attempts whose events are read at once.
BATCH = 500
SERVICE = "tillbell"
TRACES_PATH = "/v1/traces"


class AttemptTracer:
    """Turns attempts into spans on a thread of its own; ``emit`` never waits."""

    def __init__(self, database: Database, exporter: SpanExporter) -> None:
        """Start; raises ImportError when the extra is not installed."""
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - an extra

        self.lost = 0
        self._database = database
        self._ids = _event_ids()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": SERVICE}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer(SERVICE)
        self._waiting: queue.Queue[DeliveryAttempted | None] = queue.Queue(WAITING_MAX)
        self._thread = threading.Thread(target=self._run, name="tracing", daemon=True)
        self._thread.start()

    def emit(self, fact: Fact) -> None:
        """Take an attempt, if there is room; anything else is no span."""
        if isinstance(fact, DeliveryAttempted):
            try:
                self._waiting.put_nowait(fact)
            except queue.Full:
                self.lost += 1

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Send what is waiting, as far as time allows, and end."""
        try:
            self._waiting.put(None, timeout=timeout_seconds)
        except queue.Full:
            log.warning("tracing.cut", reason="the collector is too slow")
        self._thread.join(timeout_seconds)
        self._provider.shutdown()
        if self.lost:
            log.warning("tracing.lost", count=self.lost)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, over = self._more(first)
            try:
                self._trace(batch)
            except (TillbellError, SQLAlchemyError) as error:
                self.lost += len(batch)
                log.warning("tracing.failed", reason=str(error)[:200])
            if over:
                return

    def _more(self, first: DeliveryAttempted) -> tuple[list[DeliveryAttempted], bool]:
        """Return what is waiting behind the first, and whether that was the last."""
        batch = [first]
        while len(batch) < BATCH:
            try:
                fact = self._waiting.get_nowait()
            except queue.Empty:
                break
            if fact is None:
                return batch, True
            batch.append(fact)
        return batch, False

    def _trace(self, batch: Sequence[DeliveryAttempted]) -> None:
        about = self._events({fact.delivery_id for fact in batch})
        for fact in batch:
            if fact.delivery_id in about:
                self._span(fact, about[fact.delivery_id])

    def _events(self, delivery_ids: set[str]) -> dict[str, Any]:
        """Return what the attempts' deliveries carried, by the id of the delivery."""
        query = (
            select(deliveries.c.id, deliveries.c.event_id, deliveries.c.event, events.c.traceparent)
            .join(events, events.c.id == deliveries.c.event_id)
            .where(deliveries.c.id.in_(delivery_ids))
        )
        with self._database.read() as connection:
            return {row.id: row for row in connection.execute(query)}

    def _span(self, fact: DeliveryAttempted, about: Any) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode  # noqa: PLC0415 - an extra

        self._ids.trace_id = uuid.UUID(about.event_id).int
        began = _nanoseconds(fact.started_at)
        span = self._tracer.start_span(
            f"deliver {about.event}",
            context=_parent(about.traceparent),
            kind=SpanKind.CLIENT,
            start_time=began,
            attributes=_attributes(fact, about),
        )
        if fact.error is not None:
            span.set_status(Status(StatusCode.ERROR, fact.error))
        span.end(began + fact.duration_ms * 1_000_000)


@contextmanager
def tracing(settings: Settings, database: Database) -> Iterator[AttemptTracer | None]:
    """Yield the tracer the settings ask for, or None: it is off unless they name a collector."""
    tracer = None
    if settings.otel_endpoint is not None:
        try:
            tracer = AttemptTracer(database, _exporter(settings.otel_endpoint))
        except ImportError:
            log.warning("tracing.off", reason="pip install 'tillbell[otel]' brings what it needs")
    try:
        yield tracer
    finally:
        if tracer is not None:
            tracer.close()


def _exporter(endpoint: str) -> SpanExporter:
    """Return what sends spans by OTLP over HTTP; a bare address gets the usual path."""
    from opentelemetry.exporter.otlp.proto.http import trace_exporter  # noqa: PLC0415 - an extra

    bare = urlsplit(endpoint).path in {"", "/"}
    url = endpoint.rstrip("/") + TRACES_PATH if bare else endpoint
    return trace_exporter.OTLPSpanExporter(endpoint=url)


def _event_ids() -> Any:
    """Return a source of ids whose trace id is that of the event at hand."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415 - an extra

    class EventIds(RandomIdGenerator):
        """Spans of one event are one trace."""

        trace_id = 0

        def generate_trace_id(self) -> int:
            """Return the event's id as a number: both have 128 bits."""
            return self.trace_id

    return EventIds()


def _parent(traceparent: str | None) -> Any:
    """Return the context an event was raised in, or an empty one."""
    from opentelemetry.context import Context  # noqa: PLC0415 - an extra
    from opentelemetry.trace.propagation import tracecontext  # noqa: PLC0415 - an extra

    if traceparent is None:
        return Context()
    carrier = {"traceparent": traceparent}
    return tracecontext.TraceContextTextMapPropagator().extract(carrier, Context())


def _attributes(fact: DeliveryAttempted, about: Any) -> dict[str, str | int]:
    """Return what a span says: identifiers and classes, no address and no content."""
    named = {
        "tillbell.event.id": about.event_id,
        "tillbell.event.type": about.event,
        "tillbell.delivery.id": fact.delivery_id,
        "tillbell.endpoint.id": fact.endpoint_id,
        "tillbell.attempt.number": fact.number,
        "tillbell.attempt.trigger": fact.trigger,
        "tillbell.delivery.state": fact.state,
        "http.request.method": "POST",
        "http.response.status_code": fact.status_code,
        "error.type": fact.error,
    }
    return {name: value for name, value in named.items() if value is not None}


def _nanoseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000) * 1000
