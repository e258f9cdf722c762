"""Heal what a run found: only what its check may, through the engine, and never more than the cap.

A heal inside a unit of work and the note of it are one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from config.crash_points import C18_HEALS_COMMITTED, C23_HEALED, at
from config.errors import TillbellError
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from reconciler import discrepancies
from reconciler.check import Check, Finding, Scope, Severity, Tools
from reconciler.discrepancies import Noting

FINDINGS_PER_TRANSACTION = 100


@dataclass(slots=True)
class Healed:
    """What a run has healed so far, and what kept it from more."""

    count: int = 0
    #: Of those, what the cap counts: routine work is never too much.
    counted: int = 0
    problem: str | None = None
    alarm: Finding | None = None
    subjects: dict[str, Finding] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Healer:
    """Heals the findings of one check in one run, in ``actor``'s name."""

    units: UnitsOfWork
    tools: Tools
    noting: Noting
    actor: str

    def heal(self, findings: Sequence[Finding], scope: Scope, healed: Healed) -> None:
        """Heal what the check may heal by itself, up to its cap, and count it in ``healed``."""
        check = self.noting.check
        able = [finding for finding in findings if check.heals(finding)]
        able = self._capped(able, healed)
        if check.mend is not None and able:
            check.mend(self.tools, able, scope)
            self._look_again(able, scope, healed)
            able = [each for each in able if each.subject not in healed.subjects]
        if check.heal is not None:
            for start in range(0, len(able), FINDINGS_PER_TRANSACTION):
                self._batch(able[start : start + FINDINGS_PER_TRANSACTION], scope, healed)

    def _capped(self, able: Sequence[Finding], healed: Healed) -> list[Finding]:
        """Return as many as may still be healed; more than that stops the run, with an alarm."""
        check = self.noting.check
        routine = [each for each in able if check.severity_of(each) is Severity.ROUTINE]
        others = [each for each in able if check.severity_of(each) is not Severity.ROUTINE]
        room = max(0, check.heals_max - healed.counted)
        if len(others) > room:
            number = healed.counted + len(others)
            healed.problem = f"{number} findings, at most {check.heals_max} are healed in a run"
            healed.alarm = alarm_of(check)
        return [*routine, *others[:room]]

    def _look_again(self, findings: Sequence[Finding], scope: Scope, healed: Healed) -> None:
        """Count as healed what is no longer found; a hint may still be on its way."""
        with self.units.database.read() as connection:
            left = {each.subject for each in self.noting.check.find(connection, scope).findings}
        gone = [each for each in findings if each.subject not in left]
        with self.units.begin(actor=self.actor, source="reconciler") as work:
            discrepancies.note(work, self.noting, gone, {each.subject: each for each in gone})
        self._count(gone, healed)

    def _batch(self, batch: Sequence[Finding], scope: Scope, healed: Healed) -> None:
        """Heal many in one transaction; when one is refused, each in its own."""
        try:
            self._count(self._together(batch, scope), healed)
        except TillbellError as error:
            if len(batch) == 1:
                healed.problem = f"{batch[0].subject}: {error.message}"[:500]
                return
            for finding in batch:
                self._batch([finding], scope, healed)

    def _together(self, batch: Sequence[Finding], scope: Scope) -> list[Finding]:
        check = self.noting.check
        heal = check.heal
        assert heal is not None

        def once(work: UnitOfWork) -> list[Finding]:
            mended = heal(work, batch, scope)
            at(C23_HEALED)
            discrepancies.note(work, self.noting, mended, {each.subject: each for each in mended})
            return mended

        mended = self.units.run(once, actor=self.actor, source="reconciler")
        at(C18_HEALS_COMMITTED)
        return mended

    def _count(self, mended: Sequence[Finding], healed: Healed) -> None:
        severity_of = self.noting.check.severity_of
        healed.count += len(mended)
        healed.counted += sum(severity_of(each) is not Severity.ROUTINE for each in mended)
        healed.subjects |= {finding.subject: finding for finding in mended}


def alarm_of(check: Check) -> Finding:
    """Return the finding on a check that found more than it may heal: the check may be wrong."""
    return Finding(
        check.subject,
        expected=f"at most {check.heals_max} to heal in a run",
        actual="more",
        severity=Severity.CRITICAL,
    )
