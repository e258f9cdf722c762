"""Run checks: find, heal through the engine's own transitions, and write down what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, insert, select

from config.errors import TillbellError
from config.log import get_logger
from dispatcher.hints import Hints, NoHints
from dispatcher.relay import Relay
from engine.database import DatabaseClock
from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from reconciler import discrepancies
from reconciler.check import HEALS_MAX, Check, Finding, Found, Scope, Tools
from reconciler.checks import choose
from reconciler.tables import runs

log = get_logger("reconciler")

#: Rows are looked at again this far back: a long transaction may commit behind the last look.
OVERLAP = timedelta(minutes=5)
FINDINGS_PER_TRANSACTION = 100


@dataclass(slots=True)
class _Tally:
    healed: int = 0
    healed_subjects: set[str] | None = None
    problem: str | None = None


class Runner:
    """Runs checks on one installation."""

    def __init__(self, units: UnitsOfWork, hints: Hints | None = None) -> None:
        self._units = units
        self._database = units.database
        self._clock = units.clock or DatabaseClock(units.database)
        hints = hints or NoHints()
        relay = Relay(self._database, self._clock, hints)
        self._tools = Tools(self._database, units, relay, hints)

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
        ``full`` false only what changed since the last run is looked at. A dry run changes nothing
        but its own record. Raises InvalidInput for an unknown check.
        """
        for check in choose(names):
            yield self._run_check(check, actor=actor, as_of=as_of, dry_run=dry_run, full=full)

    def is_due(self, check: Check) -> bool:
        """Tell whether a check's interval has passed since anybody ran it: ticks only ask."""
        self._clock.sync()
        last = self._newest(check, runs.c.started_at)
        pause = timedelta(seconds=check.every_seconds - check.tick_seconds / 2)
        return last is None or self._clock.now() - last >= pause

    def _run_check(
        self, check: Check, *, actor: str, as_of: datetime | None, dry_run: bool, full: bool
    ) -> dict[str, Any]:
        self._clock.sync()
        began, started_at = time.monotonic(), self._clock.now()
        since = None if full else self._last_look(check)
        scope = Scope(as_of or started_at, started_at, since)
        with self._database.read() as connection:
            found = check.find(connection, scope)
        tally = _Tally() if dry_run else self._heal(check, found, scope, actor)
        row = {
            "id": new_id(),
            "check": check.id,
            "actor": actor,
            "as_of": scope.as_of,
            "dry_run": dry_run,
            "state": "completed" if tally.problem is None else "stopped",
            "scanned": found.scanned,
            "found": len(found.findings),
            "healed": tally.healed,
            "started_at": started_at,
            "duration_ms": round((time.monotonic() - began) * 1000),
            "problem": tally.problem,
        }
        with self._units.begin(actor=actor, source="reconciler") as work:
            work.connection.execute(insert(runs).values(row))
            if not dry_run:
                discrepancies.record(work, check, found.findings, tally.healed_subjects or set())
        if found.findings:
            log.info("check.found", check=check.id, found=row["found"], healed=row["healed"])
        return row

    def _heal(self, check: Check, found: Found, scope: Scope, actor: str) -> _Tally:
        """Heal what may be healed, at most ``HEALS_MAX`` unless it is routine work."""
        findings, tally = list(found.findings), _Tally(healed_subjects=set())
        assert tally.healed_subjects is not None
        if check.capped and len(findings) > HEALS_MAX and (check.heal or check.mend):
            tally.problem = f"{len(findings)} findings, at most {HEALS_MAX} are healed in a run"
            findings = findings[:HEALS_MAX]
        if check.mend is not None and findings:
            check.mend(self._tools, findings, scope)
            self._look_again(check, findings, scope, tally)
        if check.heal is not None:
            for start in range(0, len(findings), FINDINGS_PER_TRANSACTION):
                batch = findings[start : start + FINDINGS_PER_TRANSACTION]
                self._heal_batch(check, batch, scope, actor=actor, tally=tally)
        return tally

    def _look_again(
        self, check: Check, findings: Sequence[Finding], scope: Scope, tally: _Tally
    ) -> None:
        """Count as healed what is no longer found; a hint may still be on its way."""
        with self._database.read() as connection:
            left = {finding.subject for finding in check.find(connection, scope).findings}
        assert tally.healed_subjects is not None
        tally.healed_subjects |= {each.subject for each in findings} - left
        tally.healed += len(tally.healed_subjects)

    def _heal_batch(
        self, check: Check, batch: Sequence[Finding], scope: Scope, *, actor: str, tally: _Tally
    ) -> None:
        """Heal many in one transaction; when one is refused, each in its own."""
        try:
            healed = self._heal_together(check, batch, scope, actor)
        except TillbellError as error:
            if len(batch) == 1:
                tally.problem = f"{batch[0].subject}: {error.message}"[:500]
                return
            for finding in batch:
                self._heal_batch(check, [finding], scope, actor=actor, tally=tally)
            return
        tally.healed += len(healed)
        assert tally.healed_subjects is not None
        tally.healed_subjects |= {finding.subject for finding in healed}

    def _heal_together(
        self, check: Check, batch: Sequence[Finding], scope: Scope, actor: str
    ) -> list[Finding]:
        assert check.heal is not None
        with self._units.begin(actor=actor, source="reconciler") as work:
            return check.heal(work, batch, scope)

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
