"""Figures for Prometheus, read from the database when asked: they survive any process.

Each costs an index probe or what is open, never the history: what was delivered is counted by the
workers (``worker.telemetry``).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import Connection, Select, func, select, text

from config.clock import Clock
from dispatcher.deliveries import backlog_age_seconds
from dispatcher.health import Circuit
from dispatcher.states import DeliveryState, EndpointState
from dispatcher.tables import deliveries, endpoints, mailboxes
from engine.database import Database
from engine.product_tables import product_changes
from engine.settlement_tables import milestones
from engine.tables import outbox
from reconciler.checks import CHECKS
from reconciler.tables import discrepancies, runs

#: The words of a partial index: a parameter in their place would hide it from the planner.
_ENDED_BADLY = text("state IN ('failed', 'cancelled')")
_PENDING = text("outcome = 'pending'")
_STANDING = text("settled_at IS NULL AND status = 'open'")
#: The checks of the books: what they find is money that nobody can explain.
BOOKS = ("K13", "K14", "K15", "K16")
#: What is delivered is the history, and is not counted here.
_COUNTED = [state for state in DeliveryState if state is not DeliveryState.SUCCEEDED]


class Gauges:
    """The state of the installation as gauges."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._registry = CollectorRegistry()
        self._deliveries = self._gauge("deliveries", "Deliveries not delivered, by state", "state")
        self._endpoints = self._gauge("endpoints", "Endpoints by state", "state")
        self._circuits = self._gauge("circuits", "Endpoints by state of their circuit", "circuit")
        self._outbox = self._gauge("outbox_events", "Events not yet fanned out")
        self._outbox_age = self._gauge("outbox_age_seconds", "Age of the oldest of those")
        self._changes = self._gauge("product_changes", "Products with changes not yet told")
        self._changes_age = self._gauge(
            "product_change_age_seconds", "Age of the oldest change of those"
        )
        self._leased = self._gauge("mailboxes_leased", "Mailboxes being drained")
        self._expired = self._gauge("leases_expired", "Leases whose holder has not come back")
        self._age = self._gauge(
            "backlog_age_seconds", "How long the oldest due delivery has waited"
        )
        self._milestones = self._gauge(
            "milestone_lag_seconds", "How late the oldest milestone is that is still pending"
        )
        self._discrepancies = self._gauge(
            "recon_discrepancies", "What does not agree, by check", "check", "severity"
        )
        self._drift = self._gauge(
            "ledger_drift_minor", "Minor units by which the books disagree, all open findings"
        )
        self._behind = self._gauge(
            "callback_gap_total", "Endpoints that are behind a subject, pairs open now"
        )
        self._checks = self._gauge(
            "recon_last_success_seconds", "How long ago each check last finished", "check"
        )

    def render(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        self._clock.sync()
        now = self._clock.now()
        with self._database.read() as connection:
            self._refresh_dispatcher(connection, now)
            self._refresh_reconciler(connection, now)
        return generate_latest(self._registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"tillbell_{name}", meaning, labels, registry=self._registry)

    def _refresh_dispatcher(self, connection: Connection, now: datetime) -> None:
        column = deliveries.c.state
        counts = _counts(connection, _by(column).where(deliveries.c.next_attempt_at.is_not(None)))
        counts |= _counts(connection, _by(column).where(_ENDED_BADLY))
        _fill(self._deliveries, _COUNTED, counts)
        alive = _by(endpoints.c.state).where(endpoints.c.deleted_at.is_(None))
        _fill(self._endpoints, EndpointState, _counts(connection, alive))
        _fill(self._circuits, Circuit, _counts(connection, _by(mailboxes.c.circuit)))
        self._outbox.set(_one(connection, select(func.count()).select_from(outbox)))
        oldest = select(outbox.c.created_at).order_by(outbox.c.event_id).limit(1)
        self._outbox_age.set(_age(connection, oldest, now))
        self._changes.set(_one(connection, select(func.count()).select_from(product_changes)))
        opened = select(func.min(product_changes.c.opened_at))
        self._changes_age.set(_age(connection, opened, now))
        held = select(func.count()).select_from(mailboxes)
        self._leased.set(_one(connection, held.where(mailboxes.c.lease_until.is_not(None))))
        self._expired.set(_one(connection, held.where(mailboxes.c.lease_until < now)))
        self._age.set(backlog_age_seconds(connection, now))

    def _refresh_reconciler(self, connection: Connection, now: datetime) -> None:
        late = select(func.min(milestones.c.fire_at)).where(_PENDING)
        self._milestones.set(_age(connection, late, now))
        keys = (discrepancies.c.check, discrepancies.c.severity)
        opened = select(*keys, func.count()).where(_STANDING)
        self._discrepancies.clear()
        for check, severity, count in connection.execute(opened.group_by(*keys)):
            self._discrepancies.labels(check, severity).set(count)
        money = select(func.coalesce(func.sum(discrepancies.c.amount_minor), 0))
        self._drift.set(_one(connection, money.where(_STANDING, discrepancies.c.check.in_(BOOKS))))
        behind = select(func.count()).select_from(discrepancies)
        self._behind.set(_one(connection, behind.where(_STANDING, discrepancies.c.check == "K06")))
        self._checks.clear()
        for check in CHECKS:
            last = select(runs.c.started_at).where(runs.c.check == check)
            well = last.where(runs.c.problem.is_(None), runs.c.dry_run.is_(False))
            # A run about the future would be the newest until then.
            well = well.where(runs.c.as_of <= runs.c.started_at)
            finished = connection.execute(well.order_by(runs.c.as_of.desc()).limit(1)).scalar()
            if finished is not None:
                self._checks.labels(check).set(max(0.0, (now - finished).total_seconds()))


def _by(column: object) -> Select[str, int]:
    return select(column, func.count()).group_by(column)  # type: ignore[call-overload, no-any-return]  # any column


def _counts(connection: Connection, query: Select[str, int]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def _fill(gauge: Gauge, labels: Iterable[str], counts: dict[str, int]) -> None:
    for label in labels:
        gauge.labels(str(label)).set(counts.get(label, 0))


def _one(connection: Connection, query: Select[int]) -> int:
    return connection.execute(query).scalar_one()


def _age(connection: Connection, query: Select[datetime], now: datetime) -> float:
    """Return how long ago an instant was; 0 when there is none, or it is yet to come."""
    found = connection.execute(query).scalar()
    return 0.0 if found is None else max(0.0, (now - found).total_seconds())
