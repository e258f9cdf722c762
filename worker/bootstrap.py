"""Composition root of the processes: everything is built once, from the settings."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import dramatiq

from config import crash_points
from config.clock import Clock
from config.settings import Settings, SettingsInvalid
from dispatcher import retention
from dispatcher.drain import Drainer
from dispatcher.egress import EgressPolicy, check_url
from dispatcher.endpoints import EndpointGuard
from dispatcher.errors import EndpointUrlRefused
from dispatcher.facts import UNWATCHED, Watch
from dispatcher.health import CircuitRules
from dispatcher.hints import Hints
from dispatcher.leasing import DrainSettings
from dispatcher.manifests import ManifestMaker
from dispatcher.probes import Caller
from dispatcher.relay import Relay
from dispatcher.retention import Step
from dispatcher.retry import RetryPolicy
from dispatcher.sweep import Sweep
from dispatcher.transport import CallbackTransport
from engine.database import Database, DatabaseClock
from engine.product_expander import ProductExpander
from engine.unit_of_work import UnitsOfWork
from reconciler.deadman import DeadMan
from reconciler.retention import courier_steps, inbound_step, runs_step
from reconciler.upstream_calls import ANSWER_BYTES_MAX
from reconciler.upstream_inbound import InboundCallbacks
from reconciler.upstream_polling import UpstreamPoll
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

    def relay(self, watch: Watch = UNWATCHED, hints: Hints | None = None) -> Relay:
        """Return the relay of this process; ``watch`` is told what it does.

        ``hints`` hears of the mailboxes it feeds instead of the broker.
        """
        return Relay(self.database, self.clock, hints or self.hints, watch)

    def sweep(self) -> Sweep:
        """Return the sweep of this process."""
        return Sweep(self.database, self.clock, self.hints)

    def manifests(self) -> ManifestMaker:
        """Return what closes days in this process."""
        return ManifestMaker(self.database, self.guard.keyring, self.clock)

    def products(self) -> ProductExpander:
        """Return what tells of changed products in this process."""
        window = timedelta(seconds=self.settings.product_window_seconds)
        return ProductExpander(self.units, self.clock, window=window)

    def drainer(self, watch: Watch = UNWATCHED) -> Drainer:
        """Return the drainer of this process, not yet started; ``watch`` is told what it does."""
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
            watch=watch,
        )

    def upstreams(self) -> UpstreamPoll:
        """Return what asks upstream platforms for the state of orders."""
        return UpstreamPoll(self.database, self.units, self.guard.keyring, self._transport)

    def deadman(self) -> DeadMan | None:
        """Return what tells somebody outside that the checks run, where a URL is set.

        Raises SettingsInvalid for one that may not be called.
        """
        url = self.settings.deadman_url
        if not url:
            return None
        try:
            check_url(url, self.guard.policy)
        except EndpointUrlRefused as refused:
            name = "TILLBELL_DEADMAN_URL"
            told = {name: refused.message}
            raise SettingsInvalid(f"wrong settings: {name}: {told[name]}", settings=told) from None
        return DeadMan(self.database, self.clock, url, self._transport)

    def caller(self) -> Caller:
        """Return what probes endpoints."""
        return Caller(self.guard.keyring, self._transport)

    def _transport(self) -> CallbackTransport:
        """Return what asks others within the egress policy."""
        return CallbackTransport(
            self.guard.policy,
            proxy=self.settings.egress_proxy,
            deadline_seconds=self.settings.delivery_deadline_seconds,
            kept_bytes_max=ANSWER_BYTES_MAX,
        )

    def inbound(self) -> InboundCallbacks:
        """Return what takes the callbacks of upstream platforms."""
        return InboundCallbacks(self.database, self.units, self.guard.keyring)

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
            inbound_step(timedelta(days=settings.retain_attempts_days)),
            *courier_steps(timedelta(days=settings.retain_dedupe_days)),
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
    if settings.crash_at is not None:
        crash_points.arm(settings.crash_at)
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
