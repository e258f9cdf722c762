"""The schedule: APScheduler says "look now"; what is due is a question to the database."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC
from functools import partial

from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import SQLAlchemyError

from config.errors import TillbellError
from config.log import get_logger
from dispatcher import replay_steps
from dispatcher.facts import Emit, RetentionPruned, nowhere
from dispatcher.hints import Hints
from dispatcher.manifests import ManifestMaker
from dispatcher.probes import Caller
from dispatcher.retention import Step, run_once
from dispatcher.sweep import Sweep
from engine.database import Database, DatabaseClock
from engine.product_expander import ProductExpander
from engine.unit_of_work import UnitsOfWork
from reconciler.check import Check
from reconciler.checks import CHECKS
from reconciler.deadman import DeadMan
from reconciler.leadership import lead, resign
from reconciler.runner import Runner
from reconciler.upstream_polling import UpstreamPoll

log = get_logger("schedule")

DUTY = "reconciler"
LEAD_SECONDS = 5
REPLAY_SECONDS = 1
PRODUCT_SECONDS = 1
RETENTION_SECONDS = 3600
MANIFEST_SECONDS = 300
UPSTREAM_SECONDS = 5
DEADMAN_SECONDS = 60


class Schedule:
    """Ticks the sweep and every check by interval, in UTC, one instance of each at a time."""

    def __init__(
        self,
        database: Database,
        units: UnitsOfWork,
        sweep: Sweep,
        *,
        hints: Hints,
        sweep_seconds: float,
        retention: Sequence[Step] = (),
        emit: Emit = nowhere,
        manifests: ManifestMaker | None = None,
        products: ProductExpander | None = None,
        upstreams: UpstreamPoll | None = None,
        deadman: DeadMan | None = None,
        caller: Caller | None = None,
    ) -> None:
        self._database = database
        self._clock = DatabaseClock(database)
        self._units = units
        self._emit = emit
        self._hints = hints
        self._runner = Runner(units, hints, caller)
        self._sweep = sweep
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{threading.get_ident()}"
        self._leading = False
        self._stopping = threading.Event()
        self._scheduler = BackgroundScheduler(timezone=UTC)
        self._add("sweep", sweep_seconds, self._sweep.run_once)
        self._add("lead", LEAD_SECONDS, self._lead)
        self._add("replays", REPLAY_SECONDS, self._replay)
        self._add("retention", RETENTION_SECONDS, partial(self._prune, retention))
        if manifests is not None:
            self._add("manifests", MANIFEST_SECONDS, partial(self._close_days, manifests))
        if products is not None:
            self._add("products", PRODUCT_SECONDS, partial(self._tell_products, products))
        if upstreams is not None:
            self._add("upstreams", UPSTREAM_SECONDS, partial(self._poll, upstreams))
        if deadman is not None:
            self._add("deadman", DEADMAN_SECONDS, partial(self._ping, deadman))
        for check in CHECKS.values():
            self._add(check.id, check.tick_seconds, partial(self._look, check))

    def start(self) -> None:
        """Begin ticking."""
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._guarded("lead", self._lead)
        self._scheduler.start()

    def stop(self) -> None:
        """Finish what runs, then give up the lead."""
        self._stopping.set()
        self._scheduler.shutdown(wait=True)
        self._guarded("resign", self._resign)

    def _add(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        self._scheduler.add_job(
            lambda: self._guarded(name, work),
            "interval",
            seconds=seconds,
            id=name,
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )

    def _look(self, check: Check) -> None:
        if self._leading and self._runner.is_due(check):
            for _ in self._runner.run([check.id], actor="scheduler", full=False):
                pass

    def _replay(self) -> None:
        """Step replays for a second: a paced one is due again before the next tick looks."""
        # A little less, or the next tick would find this one still at it, and be passed over.
        ends_at = time.monotonic() + 0.9 * REPLAY_SECONDS
        while self._leading and not self._stopping.is_set():
            self._clock.sync()
            with self._database.read() as connection:
                due_at = replay_steps.due_at(connection)
            left_seconds = ends_at - time.monotonic()
            if due_at is None or left_seconds <= 0:
                return
            wait_seconds = (due_at - self._clock.now()).total_seconds()
            if wait_seconds > 0:
                self._stopping.wait(min(wait_seconds, left_seconds))
            else:
                replay_steps.run_once(self._units, self._clock.now(), self._hints)

    def _prune(self, steps: Sequence[Step]) -> None:
        """Remove what is older than it is kept, until nothing is or the schedule ends."""
        if self._leading:
            counts = run_once(
                self._database, steps, self._clock.now(), stopping=self._stopping.is_set
            )
            if any(counts.values()):
                self._emit(RetentionPruned(counts=counts))

    def _close_days(self, manifests: ManifestMaker) -> None:
        """Sign the days that are over; one after the other leader makes the same, once."""
        if self._leading and (made := manifests.run_once()):
            log.info("manifests.made", lines=made)

    def _tell_products(self, products: ProductExpander) -> None:
        """Tell what changed of products; another leader goes on where this one stopped."""
        while self._leading and not self._stopping.is_set() and products.run_once():
            pass

    def _poll(self, upstreams: UpstreamPoll) -> None:
        """Ask upstreams about what is due, until nothing is or their minute is used up."""
        while self._leading and not self._stopping.is_set() and upstreams.run_once():
            pass

    def _ping(self, deadman: DeadMan) -> None:
        """Let one scheduler of all be heard outside."""
        if self._leading:
            deadman.ping()

    def _lead(self) -> None:
        self._clock.sync()
        with self._database.write() as connection:
            leading = lead(connection, DUTY, self._holder, self._clock.now())
        if leading != self._leading:
            log.info("lead.changed", leading=leading)
        self._leading = leading

    def _resign(self) -> None:
        with self._database.write() as connection:
            resign(connection, DUTY, self._holder)

    def _guarded(self, name: str, work: Callable[[], object]) -> None:
        """Keep one failed tick from ending the schedule; the next tick looks again."""
        try:
            work()
        except (TillbellError, SQLAlchemyError) as error:
            if name == "lead":
                self._leading = False
            log.warning("tick.failed", tick=name, reason=str(error)[:200])
