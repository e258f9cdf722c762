"""Telemetry: every fact is counted, and written with its own fields and no others."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from config.log import FIELDS, configure_logging
from dispatcher import facts
from dispatcher.facts import DeliveryAttempted, Fact, line_of
from dispatcher.outcome import Outcome, Verdict
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState
from worker.telemetry import Telemetry, error_class, level_of

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ATTEMPTED = DeliveryAttempted(
    delivery_id="d",
    endpoint_id="e",
    number=1,
    trigger="scheduled",
    state="retrying",
    status_code=500,
    error="http_5xx",
    started_at=NOW,
    duration_ms=12,
    due_at=NOW - timedelta(milliseconds=40),
    next_attempt_at=NOW + timedelta(seconds=5),
)

#: Each fact with the sample that it moves, and by how much.
COUNTED: list[tuple[Fact, str, dict[str, str], float]] = [
    (ATTEMPTED, "tillbell_attempts_total", {"outcome": "retrying"}, 1),
    (ATTEMPTED, "tillbell_attempt_errors_total", {"error": "http_5xx"}, 1),
    (ATTEMPTED, "tillbell_attempt_duration_seconds_bucket", {"le": "0.025"}, 1),
    (ATTEMPTED, "tillbell_attempt_duration_seconds_bucket", {"le": "0.01"}, 0),
    (ATTEMPTED, "tillbell_commit_to_first_attempt_seconds_sum", {}, 0.04),
    (
        facts.DeliveryParked(delivery_id="d", reason="poison"),
        "tillbell_deliveries_parked_total",
        {},
        1,
    ),
    (
        facts.RelayExpanded(events=7, mailboxes=2, duration_seconds=0.01),
        "tillbell_relay_events_total",
        {},
        7,
    ),
    (
        facts.SettleCommitted(rows=40, releases=1, duration_seconds=0.004),
        "tillbell_settle_batch_rows_sum",
        {},
        40,
    ),
    (facts.LeaseLost(endpoint_id="e", lease_token=4), "tillbell_leases_lost_total", {}, 1),
    (facts.EgressRefused(endpoint_id="e", delivery_id="d"), "tillbell_egress_refused_total", {}, 1),
    (
        facts.EndpointDisabled(endpoint_id="e", reason="gone"),
        "tillbell_endpoints_disabled_total",
        {"reason": "gone"},
        1,
    ),
    (
        facts.CircuitMoved(endpoint_id="e", circuit="open", failures_in_row=10),
        "tillbell_circuits_moved_total",
        {"circuit": "open"},
        1,
    ),
    (facts.HintLost(reason="away"), "tillbell_hints_lost_total", {}, 1),
    (
        facts.RetentionPruned(counts={"bodies": 5}),
        "tillbell_retention_pruned_rows_total",
        {"kind": "bodies"},
        5,
    ),
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    """Put logging back: its lines would go where this test captured them."""
    yield
    structlog.reset_defaults()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def sample(telemetry: Telemetry, name: str, labels: dict[str, str]) -> float:
    """Return the value of one sample of the text that Prometheus reads."""
    families = text_string_to_metric_families(telemetry.render().decode())
    (value,) = (
        each.value
        for family in families
        for each in family.samples
        if each.name == name and each.labels == labels
    )
    return value


@pytest.mark.parametrize(("fact", "name", "labels", "value"), COUNTED)
def test_a_fact_is_counted(fact: Fact, name: str, labels: dict[str, str], value: float) -> None:
    """Each fact moves its metrics by what it says."""
    telemetry = Telemetry()
    telemetry.emit(fact)
    assert value == pytest.approx(sample(telemetry, name, labels))


@pytest.mark.parametrize("fact", [case[0] for case in COUNTED])
def test_a_fact_is_one_line_of_listed_fields(
    capsys: pytest.CaptureFixture[str], fact: Fact
) -> None:
    """Its name is the event, its fields are the line's, and all of them may be logged."""
    configure_logging(log_format="json", level="debug")
    Telemetry().emit(fact)
    line: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert (fact.name, "fact") == (line["event"], line["part"])
    assert set(line_of(fact)) <= FIELDS
    assert set(line_of(fact)) <= set(line)


def test_every_fact_has_its_metric() -> None:
    """No fact is forgotten: the catalogue here and in the code is the same."""
    assert {type(case[0]) for case in COUNTED} == set(Fact.__args__)


@pytest.mark.parametrize(
    ("state", "level"),
    [("succeeded", logging.DEBUG), ("retrying", logging.INFO), ("failed", logging.WARNING)],
)
def test_success_is_quiet_and_failure_is_not(state: str, level: int) -> None:
    """At the usual level only what went wrong is written, once for each attempt."""
    values = {field: getattr(ATTEMPTED, field) for field in DeliveryAttempted.__slots__}
    assert level == level_of(DeliveryAttempted(**{**values, "state": state}))


@pytest.mark.parametrize(
    ("error", "label"),
    [
        ("timeout", "timeout"),
        ("http_5xx", "http_5xx"),
        ("unprocessable: KeyError", "unprocessable"),
        ("skipped_in_order: http_5xx", "skipped_in_order"),
        ("whatever a receiver says", "other"),
    ],
)
def test_errors_become_a_bounded_set_of_labels(error: str, label: str) -> None:
    """Nobody outside can make a new time series."""
    assert label == error_class(error)


def settled(error: str | None, state: DeliveryState) -> Settlement:
    """Return an attempt as the settle writer hands it over."""
    verdict = Verdict.SUCCEEDED if error is None else Verdict.RETRYABLE
    outcome = Outcome(verdict, 200 if error is None else None, error, excerpt="canary")
    due_at = NOW - timedelta(seconds=2)
    return Settlement(
        "d", "e", 3, 1, "scheduled", NOW, 12, outcome, state, None, NOW, due_at=due_at
    )


@pytest.mark.parametrize("level", ["debug", "error"])
def test_a_settlement_counts_the_same_however_much_is_logged(
    capsys: pytest.CaptureFixture[str], level: str
) -> None:
    """The short way, taken where nobody wants the fact, gives the same figures."""
    configure_logging(log_format="json", level=level)
    telemetry = Telemetry()
    for _ in range(3):
        telemetry.observe(settled(None, DeliveryState.SUCCEEDED))
    telemetry.observe(settled("blocked_address", DeliveryState.RETRYING))
    names = {
        "tillbell_attempts_total": {"outcome": "succeeded"},
        "tillbell_attempt_duration_seconds_count": {},
        "tillbell_commit_to_first_attempt_seconds_count": {},
        "tillbell_egress_refused_total": {},
    }
    assert [3, 4, 4, 1] == [sample(telemetry, name, labels) for name, labels in names.items()]
    assert "canary" not in capsys.readouterr().err


def test_others_are_told_every_fact() -> None:
    """A tracer hears what is counted."""
    heard: list[Fact] = []
    telemetry = Telemetry(also=[heard.append])
    telemetry.observe(settled(None, DeliveryState.SUCCEEDED))
    assert ["delivery.attempted"] == [fact.name for fact in heard]
