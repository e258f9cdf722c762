"""Facts become log lines and Prometheus metrics: the whole catalogue of both is in this file.

A line holds the fields of its fact and nothing else, and a metric has no label that a tenant or a
receiver can choose: no identifier, no URL.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prometheus_client import CollectorRegistry, Counter, generate_latest

from config.log import get_logger
from dispatcher.facts import (
    BLOCKED_ADDRESS,
    CircuitMoved,
    DeliveryAttempted,
    DeliveryParked,
    EgressRefused,
    Emit,
    EndpointDisabled,
    Fact,
    HintLost,
    LeaseLost,
    RelayExpanded,
    RetentionPruned,
    SettleCommitted,
    line_of,
    of_settlement,
)
from dispatcher.health import Circuit
from dispatcher.life import FAILURES
from dispatcher.outlook import ENDINGS
from dispatcher.settlement import Settlement
from dispatcher.states import DeliveryState
from worker.tallies import Tally

#: Upper bounds in seconds: an attempt, a wait for one, a transaction.
ATTEMPT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60)
WAIT_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 10, 60, 600, 3600)
TRANSACTION_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
BATCH_ROWS = (1, 5, 10, 25, 50, 100, 250, 500, 1000)
#: Classes of error that are a label of their own; any other is ``other``.
ERRORS = frozenset({*FAILURES, *ENDINGS, *(f"http_{number}xx" for number in range(1, 10))})

_LEVELS: Mapping[type[Fact], int] = {
    RelayExpanded: logging.DEBUG,
    SettleCommitted: logging.DEBUG,
    RetentionPruned: logging.INFO,
    CircuitMoved: logging.INFO,
}
_ATTEMPT_LEVELS: Mapping[str, int] = {
    **dict.fromkeys(DeliveryState, logging.WARNING),
    DeliveryState.SUCCEEDED: logging.DEBUG,
    DeliveryState.RETRYING: logging.INFO,
}

Record = Callable[[Any], None]


class Telemetry:
    """Counts facts and writes them down; one per process.

    ``emit`` may be called from any thread. ``also`` are told every fact too, such as the tracer.
    """

    def __init__(self, also: Sequence[Emit] = ()) -> None:
        self.registry = CollectorRegistry()
        self._also = tuple(also)
        # Bound once: the lazy logger would be put together anew for every fact.
        self._log = get_logger("fact").bind()
        self._is_on: Callable[[int], bool] = self._log.is_enabled_for
        self._waited = self._histogram(
            "commit_to_first_attempt_seconds",
            "From an event's commit to its first attempt",
            WAIT_SECONDS,
        )
        self._count_attempt: Callable[[str, int, str | None], None]
        self._records: Mapping[type[Fact], Record] = {
            DeliveryAttempted: self._attempts(),
            DeliveryParked: self._one("deliveries_parked", "Deliveries parked as unprocessable"),
            RelayExpanded: self._relay(),
            SettleCommitted: self._settle(),
            LeaseLost: self._one("leases_lost", "Leases that ended before their drain did"),
            EgressRefused: self._one("egress_refused", "Calls refused by the egress rules"),
            EndpointDisabled: self._by("endpoints_disabled", "Endpoints disabled", "reason"),
            CircuitMoved: self._by(
                "circuits_moved", "Circuits opened, probed, closed", "circuit", Circuit
            ),
            HintLost: self._one("hints_lost", "Times the broker took no hint"),
            RetentionPruned: self._retention(),
        }

    def emit(self, fact: Fact) -> None:
        """Count one fact and write its line."""
        self._records[type(fact)](fact)
        level = level_of(fact)
        if self._is_on(level):
            self._log.log(level, fact.name, **line_of(fact))
        for tell in self._also:
            tell(fact)

    def observe(self, settlement: Settlement) -> None:
        """Emit what one settled attempt says; cheap while nobody wants its fact."""
        state, error, due_at = settlement.state, settlement.outcome.error, settlement.due_at
        if self._also or error == BLOCKED_ADDRESS or self._is_on(_ATTEMPT_LEVELS[state]):
            for fact in of_settlement(settlement):
                self.emit(fact)
            return
        self._count_attempt(state, settlement.duration_ms, error)
        if settlement.number == 1 and due_at is not None:
            self._waited.observe((settlement.started_at - due_at).total_seconds())

    def render(self) -> bytes:
        """Return this process's metrics in the text format of Prometheus."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"tillbell_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, bounds: Sequence[float]) -> Tally:
        return Tally(f"tillbell_{name}", text, bounds, self.registry)

    def _one(self, name: str, text: str) -> Record:
        counter = self._counter(name, text)
        return lambda _fact: counter.inc()

    def _by(self, name: str, text: str, label: str, values: Sequence[str] | Any = ()) -> Record:
        """Count by a field of the fact; the values known beforehand are there from the start."""
        counter = self._counter(name, text, label)
        for value in values:
            counter.labels(str(value))
        return lambda fact: counter.labels(getattr(fact, label)).inc()

    def _attempts(self) -> Record:
        """Count attempts; the labels are looked up once, for this runs for every delivery."""
        made = self._counter("attempts", "Attempts by what became of the delivery", "outcome")
        by_state = {state.value: made.labels(state.value) for state in DeliveryState}
        failed = self._counter("attempt_errors", "Attempts that failed, by class of error", "error")
        by_error = {error: failed.labels(error) for error in sorted(ERRORS | {"other"})}
        took = self._histogram(
            "attempt_duration_seconds", "How long an attempt took", ATTEMPT_SECONDS
        )

        def count(state: str, duration_ms: int, error: str | None) -> None:
            by_state[state].inc()
            took.observe(duration_ms / 1000)
            if error is not None:
                by_error[error_class(error)].inc()

        def record(fact: DeliveryAttempted) -> None:
            count(fact.state, fact.duration_ms, fact.error)
            if fact.number == 1 and fact.waited_seconds is not None:
                self._waited.observe(fact.waited_seconds)

        self._count_attempt = count
        return record

    def _relay(self) -> Record:
        expanded = self._counter("relay_events", "Events fanned out")
        took = self._histogram(
            "relay_duration_seconds", "One transaction of the relay", TRANSACTION_SECONDS
        )

        def record(fact: RelayExpanded) -> None:
            expanded.inc(fact.events)
            took.observe(fact.duration_seconds)

        return record

    def _settle(self) -> Record:
        rows = self._histogram("settle_batch_rows", "Attempts settled in one commit", BATCH_ROWS)
        took = self._histogram(
            "settle_duration_seconds", "One transaction of the settle writer", TRANSACTION_SECONDS
        )

        def record(fact: SettleCommitted) -> None:
            rows.observe(fact.rows)
            took.observe(fact.duration_seconds)

        return record

    def _retention(self) -> Record:
        pruned = self._counter("retention_pruned_rows", "Rows removed by retention", "kind")

        def record(fact: RetentionPruned) -> None:
            for kind, count in fact.counts.items():
                pruned.labels(kind).inc(count)

        return record


def error_class(error: str) -> str:
    """Return the class of an error that may be a label: what is behind a colon is left out."""
    name = error.split(":", 1)[0]
    return name if name in ERRORS else "other"


def level_of(fact: Fact) -> int:
    """Return how loud a fact is: what went well is not written at the usual level."""
    if isinstance(fact, DeliveryAttempted):
        return _ATTEMPT_LEVELS[fact.state]
    return _LEVELS.get(type(fact), logging.WARNING)
