"""Composition root of the processes: everything is built once, from the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import dramatiq

from config.clock import Clock
from config.settings import Settings
from dispatcher import retention
from dispatcher.drain import Drainer
from dispatcher.egress import EgressPolicy
from dispatcher.endpoints import EndpointGuard
from dispatcher.health import CircuitRules
from dispatcher.leasing import DrainSettings
from dispatcher.manifests import ManifestMaker
from dispatcher.relay import Relay
from dispatcher.retention import Step
from dispatcher.retry import RetryPolicy
from dispatcher.settlement import Settlement
from dispatcher.sweep import Sweep
from dispatcher.transport import CallbackTransport
from engine.database import Database, DatabaseClock
from engine.unit_of_work import UnitsOfWork
from reconciler.retention import runs_step
from worker.broker import BrokerHints, check_broker, create_broker
from worker.keys import load_keyring
from worker.schema import require_newest


@dataclass(frozen=True, slots=True)
class Application:
    """The parts of one process, wired together; nothing runs yet."""

    settings: Settings
    database: Database
    clock: Clock
    broker: dramatiq.Broker
    hints: BrokerHints
    units: UnitsOfWork
    guard: EndpointGuard

    def relay(self) -> Relay:
        """Return the relay of this process."""
        return Relay(self.database, self.clock, self.hints)

    def sweep(self) -> Sweep:
        """Return the sweep of this process."""
        return Sweep(self.database, self.clock, self.hints)

    def manifests(self) -> ManifestMaker:
        """Return what closes days in this process."""
        return ManifestMaker(self.database, self.guard.keyring, self.clock)

    def drainer(self, observe: Callable[[Settlement], None] | None = None) -> Drainer:
        """Return the drainer of this process, not yet started; ``observe`` hears of attempts."""
        settings = self.settings
        policy, deadline = self.guard.policy, settings.delivery_deadline_seconds
        return Drainer(
            self.database,
            self.guard.keyring,
            transport=lambda: CallbackTransport(
                policy, proxy=settings.egress_proxy, deadline_seconds=deadline
            ),
            settings=DrainSettings(
                worker=worker_name(),
                policy=RetryPolicy(tuple(settings.retry_schedule), settings.retry_jitter),
                deadline_seconds=deadline,
                circuit=CircuitRules(
                    settings.circuit_failures, timedelta(seconds=settings.circuit_probe_seconds)
                ),
                in_flight_max=settings.in_flight_max,
                tenant_in_flight_max=settings.tenant_in_flight_max,
                host_in_flight_max=settings.host_in_flight_max,
            ),
            clock=self.clock,
            observe=observe,
        )

    def retention(self) -> tuple[Step, ...]:
        """Return what is removed when it is older than the settings keep it."""
        settings = self.settings
        return (
            *retention.steps(
                bodies=timedelta(days=settings.retain_bodies_days),
                attempts_kept=timedelta(days=settings.retain_attempts_days),
                dedupe=timedelta(days=settings.retain_dedupe_days),
            ),
            runs_step(timedelta(days=settings.retain_runs_days)),
        )

    def probes(self) -> dict[str, Callable[[], None]]:
        """Return what must hold before this process can take events and deliver them."""
        return {
            "database": lambda: require_newest(self.database),
            "broker": lambda: check_broker(self.settings.broker_url),
        }

    def require_ready(self) -> None:
        """Raise DatabaseUnavailable or BrokerUnavailable when this process could not work."""
        for probe in self.probes().values():
            probe()

    def close(self) -> None:
        """Send the last hints and close what is open."""
        self.hints.close()
        self.broker.close()
        self.database.dispose()


def build(settings: Settings, *, clock: Clock | None = None) -> Application:
    """Put a process together; raises KeysMissing or KeysUnreadable. Nothing is connected yet.

    ``clock`` replaces the database's: only a demonstration that lives through weeks needs that.
    """
    keyring = load_keyring(settings)
    database = Database(settings.database)
    broker = create_broker(settings.broker_url)
    hints = BrokerHints(broker)
    return Application(
        settings=settings,
        database=database,
        clock=clock or DatabaseClock(database),
        broker=broker,
        hints=hints,
        # Every unit of work asks the database what time it is, unless a clock is given.
        units=UnitsOfWork(database, clock, hint=hints.relay),
        guard=EndpointGuard(
            EgressPolicy.from_settings(settings.egress_allow, allow_http=settings.allow_http),
            keyring,
        ),
    )


def worker_name() -> str:
    """Return a name for this process that says where it runs."""
    return f"{socket.gethostname()}/{os.getpid()}"
