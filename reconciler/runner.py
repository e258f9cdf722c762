"""Run checks: look, heal through the engine's own transitions, and write down what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, select

from config.crash_points import C16_SELECTED, at
from config.log import get_logger
from dispatcher.hints import Hints, NoHints
from dispatcher.probes import Caller
from dispatcher.relay import Relay
from engine.database import DatabaseClock
from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from reconciler import discrepancies, run_rows
from reconciler.check import Check, Found, Scope, Tools
from reconciler.checks import choose
from reconciler.discrepancies import ROWS_PER_RUN, Noting
from reconciler.hand_healing import HandHealer
from reconciler.healing import Healed, Healer
from reconciler.run_rows import Run
from reconciler.tables import runs

log = get_logger("reconciler")

#: Rows are looked at again this far back: a long transaction may commit behind the last look.
OVERLAP = timedelta(minutes=5)
#: A check that looks at what changed looks at everything open this often.
SWEEP_EVERY = timedelta(days=1)


class Runner:
    """Runs checks on one installation."""

    def __init__(
        self, units: UnitsOfWork, hints: Hints | None = None, caller: Caller | None = None
    ) -> None:
        self._units = units
        self._database = units.database
        self._clock = units.clock or DatabaseClock(units.database)
        hints = hints or NoHints()
        relay = Relay(self._database, self._clock, hints)
        self._tools = Tools(self._database, units, relay, hints, caller)

    def run(
        self,
        names: Sequence[str] | None = None,
        *,
        actor: str,
        as_of: datetime | None = None,
        dry_run: bool = False,
        full: bool = True,
    ) -> Iterator[dict[str, Any]]:
        """Run the named checks (all when None) one by one, yielding each run's row.

        ``as_of`` moves only the question of what is due; rows are stamped with the real time. With
        ``full`` false only what changed since the last run is looked at, and everything open once
        a day. A dry run changes nothing but its own record. Raises InvalidInput for an unknown
        check.
        """
        batch_id = new_id()
        for check in choose(names):
            run = self._begin(check, actor, batch_id, as_of=as_of, dry_run=dry_run, full=full)
            yield self._run_check(check, run)

    def heal(self, discrepancy_id: str, *, actor: str) -> dict[str, Any]:
        """Heal one open discrepancy by hand, see ``HandHealer.heal``, and return it."""
        self._clock.sync()
        return HandHealer(self._tools, actor, self._clock.now()).heal(discrepancy_id)

    def is_due(self, check: Check) -> bool:
        """Tell whether a check's interval has passed since anybody ran it: ticks only ask."""
        self._clock.sync()
        last = self._newest(check, runs.c.started_at)
        pause = timedelta(seconds=check.every_seconds - check.tick_seconds / 2)
        return last is None or self._clock.now() - last >= pause

    def _begin(
        self,
        check: Check,
        actor: str,
        batch_id: str,
        *,
        as_of: datetime | None,
        dry_run: bool,
        full: bool,
    ) -> Run:
        """Return a new run, or one that broke off between two slices and is not anybody's now."""
        self._clock.sync()
        now = self._clock.now()
        if as_of is None and not dry_run and (found := self._broken_off(check, actor, now)):
            return found
        run = run_rows.begin(check.id, actor, batch_id, now)
        run.row |= {"as_of": as_of or now, "dry_run": dry_run}
        run.row["sweep"] = full or not check.incremental or self._sweep_is_due(check, now)
        return run

    def _broken_off(self, check: Check, actor: str, now: datetime) -> Run | None:
        with self._database.read() as connection:
            found = run_rows.broken_off(connection, check.id, now)
        if found is not None:
            with self._units.begin(actor=actor, source="reconciler") as work:
                if run_rows.take_over(work.connection, found, now):
                    return found
        return None

    def _run_check(self, check: Check, run: Run) -> dict[str, Any]:
        began = time.monotonic()
        healed = Healed()
        scope = self._scope(check, run)
        if check.gather is not None:
            scope = replace(scope, gathered=check.gather(self._tools, scope))
        while True:
            with self._database.read() as connection:
                found = check.find(connection, scope)
            at(C16_SELECTED)
            self._slice(check, run, found, scope, healed)
            run.row["duration_ms"] += round((time.monotonic() - began) * 1000)
            began = time.monotonic()
            run.row["cursor"] = found.cursor
            ended = found.cursor is None or healed.problem is not None
            if ended:
                run.row["state"] = "completed" if healed.problem is None else "stopped"
            run.row["problem"] = healed.problem
            self._write(check, run, ended=ended)
            if ended:
                break
            scope = replace(scope, after=found.cursor)
        if run.row["found"]:
            log.info("check.found", check=check.id, found=run.row["found"], healed=healed.count)
        return run.row

    def _scope(self, check: Check, run: Run) -> Scope:
        row = run.row
        scope = Scope(row["as_of"], row["started_at"], after=row["cursor"], dry_run=row["dry_run"])
        if row["sweep"]:
            return scope
        with self._database.read() as connection:
            run.again = discrepancies.standing_keys(connection, check.id)
        again = tuple(key for key in run.again.values() if key is not None)
        return replace(scope, since=self._last_look(check), again=again)

    def _slice(self, check: Check, run: Run, found: Found, scope: Scope, healed: Healed) -> None:
        """Heal one slice, note what is left of it, and add it to the run's figures."""
        before = healed.count
        with self._database.read() as connection:
            judged = discrepancies.tolerated(connection, check, found.findings)
        wanted = [finding for finding in found.findings if finding.subject not in judged]
        if not run.row["dry_run"]:
            noting = Noting(check, run.row["id"])
            healer = Healer(self._units, self._tools, noting, run.row["actor"])
            healer.heal(wanted, scope, healed)
        left = [finding for finding in wanted if finding.subject not in healed.subjects]
        kept = [finding for finding in found.findings if finding.subject in judged]
        if healed.alarm is not None:
            left.append(healed.alarm)
        run.left = [*left, *kept]
        run.truncated |= len(found.findings) >= ROWS_PER_RUN and found.cursor is None
        run.row["scanned"] += found.scanned
        run.row["found"] += len(found.findings)
        run.row["healed"] += healed.count - before
        run.row["accepted"] += len(kept)
        run.row["left_open"] += len([each for each in left if each is not healed.alarm])
        run.row["failed"] += sum(check.fails(finding) for finding in left)

    def _write(self, check: Check, run: Run, *, ended: bool) -> None:
        """Write the run's row and its notes; a look at another day notes only what it healed."""
        noting = Noting(check, run.row["id"])
        with self._units.begin(actor=run.row["actor"], source="reconciler") as work:
            run_rows.store(work.connection, run, work.now)
            if run.row["dry_run"] or run.row["as_of"] != run.row["started_at"]:
                return
            discrepancies.note(work, noting, run.left)
            if ended and run.row["state"] == "completed" and not run.truncated:
                only = None if run.row["sweep"] else tuple(run.again)
                discrepancies.settle_gone(work, noting, only)

    def _sweep_is_due(self, check: Check, now: datetime) -> bool:
        last = self._newest(check, runs.c.started_at, runs.c.state == "completed", runs.c.sweep)
        return last is None or now - last >= SWEEP_EVERY

    def _last_look(self, check: Check) -> datetime | None:
        """Return since when to look at rows: what a stopped run left is looked at again."""
        last = self._newest(check, runs.c.as_of, runs.c.state == "completed")
        return None if last is None else last - OVERLAP

    def _newest(
        self, check: Check, column: Column[datetime], *conditions: ColumnElement[bool]
    ) -> datetime | None:
        """Return one instant of the newest run; one about the future has seen the present only."""
        newest = (
            select(column)
            .where(runs.c.check == check.id, ~runs.c.dry_run, *conditions)
            .where(runs.c.as_of <= runs.c.started_at)
            .order_by(runs.c.as_of.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            return connection.execute(newest).scalar_one_or_none()
