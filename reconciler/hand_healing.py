"""Heal one discrepancy by hand: its check looks again, heals, and is believed by what it finds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, update

from engine.errors import InvalidStatus
from engine.events import record
from engine.unit_of_work import UnitOfWork
from reconciler import discrepancies, discrepancy_views
from reconciler.check import Check, Finding, Policy, Scope, Severity, Tools
from reconciler.checks import CHECKS
from reconciler.discrepancies import OPEN, Noting
from reconciler.discrepancy_views import Row
from reconciler.errors import HealFailed, NotHealable
from reconciler.tables import discrepancies as rows

BY_HAND = "by hand"


@dataclass(frozen=True, slots=True)
class HandHealer:
    """Heals what somebody names, in ``actor``'s name, as of ``now``."""

    tools: Tools
    actor: str
    now: datetime

    def heal(self, discrepancy_id: str) -> Row:
        """Heal one open discrepancy and return it with its history; what is gone is closed.

        What only people may mend is not touched, and a heal after which the check finds the same
        changes nothing. Raises NotFound, InvalidStatus for one that is not open, NotHealable,
        HealFailed, or what the engine refuses.
        """
        with self.tools.database.read() as connection:
            row = discrepancy_views.show(connection, discrepancy_id)
        check = _check_of(row)
        found = self._look(check, row)
        if found is None:
            self._close(check, row)
        else:
            finding, scope = found
            _require_healable(check, check.policy_of(finding))
            self._mend(check, row, finding, scope)
        with self.tools.database.read() as connection:
            return discrepancy_views.show(connection, row["id"])

    def _look(self, check: Check, row: Row) -> tuple[Finding, Scope] | None:
        """Look at just its key; before it is called gone, at everything a sweep looks at."""
        sweep = Scope(self.now, self.now)
        scopes = [sweep]
        if check.incremental and row["key"] is not None:
            scopes.insert(0, replace(sweep, since=self.now, again=(row["key"],)))
        with self.tools.database.read() as connection:
            for scope in scopes:
                if (finding := _found(connection, check, row, scope)) is not None:
                    return finding, scope
        return None

    def _mend(self, check: Check, row: Row, finding: Finding, scope: Scope) -> None:
        if check.mend is not None:
            check.mend(self.tools, [finding], scope)
        with self.tools.units.begin(actor=self.actor, source="reconciler") as work:
            healed = finding
            if check.heal is not None and self._still(work, check, row, scope):
                # A heal that took up nothing of it has no reference; the look decides.
                healed = next(iter(check.heal(work, [finding], scope)), finding)
                # The look asks for the events too, which otherwise go in after it.
                record(work.connection, work.drafts, work.now)
                work.drafts.clear()
            if self._still(work, check, row, scope):
                raise HealFailed(
                    f"the heal did not mend {row['subject']}, {check.id} still finds it (what was"
                    f" woken may be at work: look again). What heals it: {check.remedy}",
                    check=check.id,
                    remedy=check.remedy,
                )
            _claim(work, row)
            noting = Noting(check, None, why=BY_HAND)
            discrepancies.note(work, noting, [healed], {healed.subject: healed})
        self.tools.hints.relay()

    def _still(self, work: UnitOfWork, check: Check, row: Row, scope: Scope) -> bool:
        """Tell whether the check finds it now, in the transaction that heals it."""
        now = replace(scope, as_of=work.now, now=work.now)
        return _found(work.connection, check, row, now) is not None

    def _close(self, check: Check, row: Row) -> None:
        with self.tools.units.begin(actor=self.actor, source="reconciler") as work:
            discrepancies.settle_gone(work, Noting(check, None), [row["id"]])


def _check_of(row: Row) -> Check:
    """Return the check of a discrepancy that may be looked at again."""
    if row["status"] != OPEN or row["settled_at"] is not None:
        raise InvalidStatus("the discrepancy is not open", current_status=row["status"])
    check = CHECKS.get(row["check"])
    if check is None:
        message = f"there is no check {row['check']} any more: accept it with a reason"
        raise NotHealable(message, check=row["check"])
    if row["subject"] == check.subject:
        raise NotHealable(
            f"{check.id} found more than a run heals: see what it found, then run it again:"
            f" tillbell reconcile run --check {check.id}",
            check=check.id,
        )
    if row["policy"] == Policy.NEVER:
        _require_healable(check, Policy.NEVER)
    return check


def _require_healable(check: Check, policy: Policy) -> None:
    if policy is Policy.NEVER:
        message = f"people mend what {check.id} found here, no heal may. How: {check.remedy}"
    elif check.heal is None and check.mend is None:
        message = f"people mend what {check.id} finds, it has no heal. How: {check.remedy}"
    else:
        return
    raise NotHealable(message, check=check.id, policy=str(policy), remedy=check.remedy)


def _found(connection: Connection, check: Check, row: Row, scope: Scope) -> Finding | None:
    """Return the finding on the subject of a discrepancy, as grave as it stands there."""
    while True:
        found = check.find(connection, scope)
        for finding in found.findings:
            if finding.subject == row["subject"]:
                return replace(finding, severity=Severity(row["severity"]))
        if found.cursor is None:
            return None
        scope = replace(scope, after=found.cursor)


def _claim(work: UnitOfWork, row: Row) -> None:
    """Require that nobody settled or judged it meanwhile; after the heal, as runs lock it too."""
    mine = (rows.c.id == row["id"]) & (rows.c.status == OPEN) & rows.c.settled_at.is_(None)
    claimed = work.connection.execute(update(rows).where(mine).values(last_seen_at=work.now))
    if claimed.rowcount != 1:
        raise InvalidStatus("the discrepancy was settled meanwhile", current_status="settled")
