"""Figures for Prometheus, read from the database when asked: they survive any process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select

from config.clock import Clock
from dispatcher.deliveries import backlog_age_seconds, counts_by_state
from dispatcher.states import DeliveryState, EndpointState
from dispatcher.tables import endpoints, mailboxes
from engine.database import Database
from engine.tables import outbox


class Gauges:
    """The state of the installation as gauges."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._registry = CollectorRegistry()
        self._deliveries = self._gauge("deliveries", "Deliveries by state", "state")
        self._endpoints = self._gauge("endpoints", "Endpoints by state", "state")
        self._outbox = self._gauge("outbox_events", "Events not yet fanned out")
        self._leased = self._gauge("mailboxes_leased", "Mailboxes being drained")
        self._age = self._gauge(
            "backlog_age_seconds", "How long the oldest due delivery has waited"
        )

    def render(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        self._refresh()
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"tillbell_{name}", text, labels, registry=self._registry)

    def _refresh(self) -> None:
        now = self._clock.now()
        with self._database.read() as connection:
            deliveries = counts_by_state(connection)
            by_state = select(endpoints.c.state, func.count()).group_by(endpoints.c.state)
            called = {row[0]: row[1] for row in connection.execute(by_state)}
            waiting = connection.execute(select(func.count()).select_from(outbox)).scalar_one()
            leased = connection.execute(
                select(func.count()).where(mailboxes.c.lease_until.is_not(None))
            ).scalar_one()
            age = backlog_age_seconds(connection, now)
        for state in DeliveryState:
            self._deliveries.labels(state).set(deliveries.get(state, 0))
        for endpoint_state in EndpointState:
            self._endpoints.labels(endpoint_state).set(called.get(endpoint_state, 0))
        self._outbox.set(waiting)
        self._leased.set(leased)
        self._age.set(age)
