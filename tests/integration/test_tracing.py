"""Tracing: a span per attempt, in the trace of whoever raised the event; off unless asked for."""

from __future__ import annotations

import gzip
import logging
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from config.clock import FixedClock
from config.log import configure_logging
from config.settings import Settings
from dispatcher.facts import DeliveryAttempted, LeaseLost
from dispatcher.retry import RetryPolicy
from engine import tenants
from engine.database import Database
from engine.errors import InvalidInput
from engine.events import EventDraft, publish
from engine.unit_of_work import UnitsOfWork
from tests.dispatching import dispatching
from tests.receivers import Receiver, receiving
from worker.telemetry import Telemetry
from worker.tracing import AttemptTracer, tracing

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
AT_ONCE = RetryPolicy((0, 0), jitter=0)
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put logging back: its lines would go where this test captured them."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def deliver(database: Database, tracer: AttemptTracer, traceparent: str | None = None) -> str:
    """Publish an event to a receiver that fails once, attempt it twice, and return its id."""
    clock = FixedClock(datetime.now(UTC))
    watch = Telemetry(also=[tracer.emit])
    with (
        dispatching(database, clock, watch, policy=AT_ONCE) as found,
        receiving(Receiver(statuses=(500, 200))) as receiver,
    ):
        tenant_id = found.tenant()
        found.endpoint(tenant_id, f"{receiver.url}?token=canary")
        draft = EventDraft(
            tenant_id=tenant_id,
            type="webhook.test",
            data={"card": "canary"},
            traceparent=traceparent,
        )
        with database.write() as connection:
            event_id = publish(connection, draft)
        clock.set(datetime.now(UTC))
        while found.run_once():
            clock.set(datetime.now(UTC))
    tracer.close()
    return event_id


def spans_of(database: Database, traceparent: str | None = None) -> tuple[str, list[ReadableSpan]]:
    """Deliver one event and return its id and the spans that came of it."""
    exporter = InMemorySpanExporter()
    event_id = deliver(database, AttemptTracer(database, exporter), traceparent)
    return event_id, list(exporter.get_finished_spans())


def test_each_attempt_is_a_span(database: Database) -> None:
    """What was tried, what came back, and how long it took; and nothing of the content."""
    event_id, spans = spans_of(database)
    assert ["deliver webhook.test"] * 2 == [span.name for span in spans]
    named = [dict(span.attributes or {}) for span in spans]
    assert [(1, 500, "retrying"), (2, 200, "succeeded")] == [
        (
            each["tillbell.attempt.number"],
            each["http.response.status_code"],
            each["tillbell.delivery.state"],
        )
        for each in named
    ]
    assert {event_id} == {each["tillbell.event.id"] for each in named}
    assert [StatusCode.ERROR, StatusCode.UNSET] == [span.status.status_code for span in spans]
    assert all((span.end_time or 0) >= (span.start_time or 0) > 0 for span in spans)
    assert "canary" not in "".join(span.to_json() for span in spans)


def test_attempts_of_an_event_share_the_trace_of_its_id(database: Database) -> None:
    """Without a context of its own an event is its own trace."""
    event_id, spans = spans_of(database)
    assert {uuid.UUID(event_id).int} == {span.context.trace_id for span in spans if span.context}
    assert [None, None] == [span.parent for span in spans]


def test_attempts_belong_to_the_trace_that_raised_the_event(database: Database) -> None:
    """A traceparent given when the event was raised is the parent of every attempt."""
    _, spans = spans_of(database, TRACEPARENT)
    assert {int(TRACE, 16)} == {span.context.trace_id for span in spans if span.context}
    assert [int(PARENT, 16)] * 2 == [span.parent.span_id for span in spans if span.parent]


def test_a_trace_that_is_not_sampled_gets_no_spans(database: Database) -> None:
    """Whoever raised the event decided that already."""
    _, spans = spans_of(database, f"00-{TRACE}-{PARENT}-00")
    assert [] == spans


def test_a_traceparent_that_is_none_is_refused(database: Database) -> None:
    """A malformed context is named."""
    with UnitsOfWork(database).begin(actor="test") as work:
        tenant_id = tenants.create(work, name="Reseller")["id"]
        draft = EventDraft(tenant_id=tenant_id, type="webhook.test", data={}, traceparent="00-abc")
        with pytest.raises(InvalidInput, match="traceparent"):
            publish(work.connection, draft)


def test_spans_reach_a_collector_by_otlp(database: Database, settings: Settings) -> None:
    """The exporter that the settings ask for posts to the usual path."""
    with Collector() as (url, requests):
        chosen = settings.model_copy(update={"otel_endpoint": url})
        with tracing(chosen, database) as tracer:
            assert tracer is not None
            deliver(database, tracer)
    ((path, body),) = requests
    assert "/v1/traces" == path
    (scope,) = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans
    assert ["deliver webhook.test"] * 2 == [span.name for span in scope.spans]


def test_tracing_is_off_unless_asked_for(database: Database, settings: Settings) -> None:
    """Without a collector there is no tracer, and no thread."""
    with tracing(settings, database) as tracer:
        assert tracer is None


def test_tracing_is_off_where_the_extra_is_missing(
    database: Database,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The process works on, and the log says what to install."""
    configure_logging(log_format="json", level="info")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    chosen = settings.model_copy(update={"otel_endpoint": "http://127.0.0.1:1"})
    with tracing(chosen, database) as tracer:
        assert tracer is None
    assert "tillbell[otel]" in capsys.readouterr().err


def test_a_full_queue_holds_nobody_up(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot become a span in time is dropped and counted; other facts are no spans."""
    monkeypatch.setattr("worker.tracing.WAITING_MAX", 1)
    exporter = InMemorySpanExporter()
    tracer = AttemptTracer(database, exporter)
    with database.write():  # on SQLite nothing is read meanwhile either, on PostgreSQL it may be
        for _ in range(1000):
            tracer.emit(ATTEMPTED)
        tracer.emit(LeaseLost(endpoint_id="e", lease_token=1))
    tracer.close()
    assert tracer.lost > 0
    assert () == exporter.get_finished_spans()


ATTEMPTED = DeliveryAttempted(
    delivery_id="01900000-0000-7000-8000-00000000000d",
    endpoint_id="01900000-0000-7000-8000-0000000000aa",
    number=1,
    trigger="scheduled",
    state="succeeded",
    status_code=200,
    error=None,
    started_at=datetime(2026, 3, 2, tzinfo=UTC),
    duration_ms=1,
)


@pytest.fixture
def settings() -> Settings:
    """Return settings without a collector."""
    return Settings()


class Collector:
    """A collector on loopback: yields its address and what was posted to it."""

    def __enter__(self) -> tuple[str, list[tuple[str, bytes]]]:
        """Begin to listen."""
        posted: list[tuple[str, bytes]] = []

        class Handler(BaseHTTPRequestHandler):
            """Takes everything."""

            def do_POST(self) -> None:
                """Keep path and body, and say yes."""
                length = int(self.headers["content-length"])
                body = self.rfile.read(length)
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                posted.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}", posted

    def __exit__(self, *_error: object) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
