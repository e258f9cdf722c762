"""The demo from beginning to end: progress on the screen, proof in the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import exists, func, select

from dispatcher import endpoints, replay_jobs
from dispatcher.endpoint_options import DEFAULTS
from dispatcher.replay_selection import Selection
from dispatcher.replay_steps import run_to_end
from engine import product_changes
from engine.settlement_tables import remittances
from engine.tables import outbox
from reconciler.runner import Runner
from worker.bootstrap import Application
from worker.demo.proof import Proof, gather, open_deliveries
from worker.demo.stage import DemoFailed, Stage
from worker.demo.story import ACTOR, Script, Story

#: How long everything committed may take to arrive once the story is told.
DRAIN_SECONDS = 45.0
POLL_SECONDS = 0.1
REMITTANCES_PAID = 40


class Demo:
    """Plays the story on a stage and gathers the proof."""

    def __init__(
        self, application: Application, stage: Stage, script: Script, console: Console
    ) -> None:
        self._application = application
        self._stage = stage
        self._script = script
        self._console = console
        self._story = Story(application.units, script)
        self._runner = Runner(application.units, application.hints)
        self._endpoints: dict[str, str] = {}

    def prepare(self) -> None:
        """Create tenants, products and endpoints, and start the receivers that are alive."""
        with self._step("A chain of three tenants, its products and four receivers"):
            self._stage.add_receivers()
            self._story.set_the_stage()
            for given in self._script.chain["endpoints"]:
                self._add_endpoint(given)
            for name, receiver in self._stage.receivers.items():
                if name != "dead":
                    receiver.start()

    def tell(self) -> None:
        """Place and walk every order, and wait until what can be delivered is."""
        total = len(self._script.orders)
        with self._progress() as progress:
            task = progress.add_task("Orders placed and walked to their end", total=total)
            for count in self._story.play():
                progress.advance(task, count)
        with self._step("Callbacks delivered; the dead receiver's have used up their schedule"):
            self._wait()

    def let_time_pass(self) -> None:
        """Look as of three days before the first due date, pay some, and look after the last."""
        first, last = self._due_dates()
        with self._step(f"Time moves to {first - timedelta(days=3):%d %B}: remittances fall due"):
            self._reconcile(["K10"], as_of=_start_of(first - timedelta(days=2)))
        with self._step("The retailer pays some of them"):
            self._story.pay(REMITTANCES_PAID)
        with self._step(f"Time moves past {last:%d %B}: the rest is overdue"):
            self._reconcile(["K10"], as_of=_start_of(last + timedelta(days=2)))
        self._wait()

    def replay(self) -> None:
        """Revive the dead receiver and send it again what failed."""
        with self._step("The dead receiver comes back; what failed is replayed"):
            self._stage.receivers["dead"].start()
            failed = Selection(state="failed", endpoint_id=self._endpoints["dead"])
            units = self._application.units
            with units.begin(actor=ACTOR) as work:
                job = replay_jobs.create(work, failed, reason="receiver is back")
            for _ in run_to_end(units, self._application.clock, job["id"], wait=time.sleep):
                pass
            self._application.hints.relay()
            self._wait()

    def prove(self) -> tuple[Proof, list[dict[str, Any]]]:
        """Run every check, then compare the receivers' logs with what was committed."""
        with self._step("Every check of the reconciler, and the receivers' logs read back"):
            runs = self._reconcile(None)
            logs = {name: each.log for name, each in self._stage.receivers.items()}
            with self._application.database.read() as connection:
                proof = gather(connection, logs, self._endpoints)
        for run in runs:
            defects = run["failed"] + (run["healed"] if run["check"] != "K10" else 0)
            if run["problem"] or defects:
                proof.problems.append(f"check {run['check']} found {run['found']} discrepancies")
        return proof, runs

    def wallets_of(self) -> Sequence[tuple[str, str]]:
        """Return the name and id of each tenant of the chain."""
        names = {each["key"]: each["name"] for each in self._script.chain["tenants"]}
        return [(names[key], tenant_id) for key, tenant_id in self._story.cast.tenants.items()]

    def _add_endpoint(self, given: dict[str, Any]) -> None:
        receiver = self._stage.receivers[given["receiver"]]
        with self._application.units.begin(actor=ACTOR) as work:
            made = endpoints.create(
                work,
                self._application.guard,
                tenant_id=self._story.cast.tenants[given["tenant"]],
                url=receiver.url,
                events=given["events"],
                max_in_flight=given.get("max_in_flight", DEFAULTS["max_in_flight"]),
            )
        self._endpoints[given["receiver"]] = made["id"]
        receiver.secret = made["secret"]

    def _due_dates(self) -> tuple[datetime, datetime]:
        mine = remittances.c.payer_id.in_(self._story.cast.tenants.values())
        query = select(func.min(remittances.c.due_at), func.max(remittances.c.due_at)).where(mine)
        with self._application.database.read() as connection:
            first, last = connection.execute(query).one()
        return first, last

    def _reconcile(
        self, names: Sequence[str] | None, *, as_of: datetime | None = None
    ) -> list[dict[str, Any]]:
        return list(self._runner.run(names, actor=ACTOR, as_of=as_of))

    def _wait(self) -> None:
        """Wait until nothing of the demo's is on its way, or raise DemoFailed."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while self._waiting():
            if time.monotonic() > deadline:
                raise DemoFailed(
                    f"{self._waiting()} deliveries did not settle in {DRAIN_SECONDS} s"
                )
            time.sleep(POLL_SECONDS)

    def _waiting(self) -> int:
        mine = list(self._story.cast.tenants.values())
        unrelayed = select(exists(select(outbox.c.event_id).where(outbox.c.tenant_id.in_(mine))))
        with self._application.database.read() as connection:
            left = open_deliveries(connection, list(self._endpoints.values()))
            untold = product_changes.waiting(connection, self._story.cast.products.values())
            return left + untold + int(connection.execute(unrelayed).scalar_one())

    @contextmanager
    def _step(self, sentence: str) -> Iterator[None]:
        began = time.monotonic()
        with self._console.status(sentence):
            yield
        self._console.print(f"[green]✓[/] {sentence} [dim]{time.monotonic() - began:.1f} s[/]")

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("[green]✓[/] {task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )


def _start_of(instant: datetime) -> datetime:
    return datetime.combine(instant.date(), clock_time(), tzinfo=UTC)
