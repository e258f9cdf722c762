"""What a check is: a query, a comparison, a severity, and who may heal what it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, or_

from dispatcher.hints import Hints
from dispatcher.probes import Caller
from dispatcher.relay import Relay
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork

#: Heals of one check in one run; more means that the check, or the world, is wrong.
HEALS_MAX = 100
#: Rows a check looks at in one transaction, where it goes by cursor.
SLICE_ROWS = 1000
TICK_SECONDS_MAX = 60


class Severity(StrEnum):
    """How much a finding matters."""

    ROUTINE = "routine"  #: time made it true: work to do, nothing is wrong and nothing is noted
    WARNING = "warning"  #: somebody should look; a run does not fail for it
    ERROR = "error"  #: a promise is broken: left open, the run fails
    CRITICAL = "critical"  #: the books disagree: the run fails, only people may mend it


class Policy(StrEnum):
    """Who heals a finding."""

    AUTO = "auto"  #: the run itself, through the engine's own transitions
    SUGGEST = "suggest"  #: people, with what the check suggests
    NEVER = "never"  #: nobody but people, ever: a finding fails the run


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree; ``subject`` names it, ``key`` is what a heal needs.

    ``severity`` and ``policy`` replace the check's for this one. ``tenant_id`` is whose it is:
    the platform owner above it hears of it. ``reference`` is what a heal did it with.
    """

    subject: str
    expected: Any = None
    actual: Any = None
    key: Any = None
    severity: Severity | None = field(default=None, kw_only=True)
    policy: Policy | None = field(default=None, kw_only=True)
    tenant_id: str | None = field(default=None, kw_only=True)
    amount_minor: int | None = field(default=None, kw_only=True)
    currency: str | None = field(default=None, kw_only=True)
    owner: str | None = field(default=None, kw_only=True)
    due_at: datetime | None = field(default=None, kw_only=True)
    reference: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check may look at: as of when, and what of it this time.

    ``now`` is the real time: whether a hint is late or a holder dead is not asked of the future.
    ``since`` is the last look, an overlap earlier (None: a sweep of everything that is open).
    ``again`` are the keys of what stands open, looked at whatever their age. ``after`` is the
    cursor of the slice before. ``gathered`` is what the check fetched before its transaction.
    """

    as_of: datetime
    now: datetime
    since: datetime | None = None
    again: tuple[Any, ...] = ()
    after: str | None = None
    gathered: Any = None
    dry_run: bool = False

    def touched(self, at: ColumnElement[Any], key: ColumnElement[Any]) -> ColumnElement[bool]:
        """Return what holds for rows changed since the last look, and for those that stand open."""
        changed = at <= self.as_of
        if self.since is not None:
            changed &= at >= self.since
        return or_(changed, key.in_(self.again)) if self.again else changed


@dataclass(slots=True)
class Found:
    """The answer of a check's query; ``cursor`` is where the next slice begins, None at the end."""

    scanned: int
    findings: Sequence[Finding] = field(default_factory=tuple)
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What may be used outside a check's own transaction; without a ``caller`` nobody is called."""

    database: Database
    units: UnitsOfWork
    relay: Relay
    hints: Hints
    caller: Caller | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One registered check.

    ``compares`` and ``remedy`` say in words what is held against what, and what would heal it.
    ``find`` looks, in a transaction that only reads; ``gather`` may fetch over the network before
    it, with no transaction open. ``heal`` changes findings inside one unit of work and returns
    those it healed; ``mend`` works in transactions of its own, and what is not found afterwards was
    healed. ``alarm`` acts, in the transaction that notes them, on findings that are new and stay.
    ``incremental`` checks honour ``Scope.since``: they look at what changed, and sweep once a day.
    """

    id: str
    title: str
    compares: str
    remedy: str
    severity: Severity
    policy: Policy
    every_seconds: int
    find: Callable[[Connection, Scope], Found]
    gather: Callable[[Tools, Scope], Any] | None = None
    heal: Callable[[UnitOfWork, Sequence[Finding], Scope], list[Finding]] | None = None
    mend: Callable[[Tools, Sequence[Finding], Scope], None] | None = None
    alarm: Callable[[UnitOfWork, Sequence[Finding]], None] | None = None
    incremental: bool = False
    heals_max: int = HEALS_MAX

    @property
    def subject(self) -> str:
        """How a discrepancy about the check itself names it."""
        return f"check {self.id}"

    @property
    def tick_seconds(self) -> int:
        """How often the schedule asks whether it is due: a rare check is not lost by a restart."""
        return min(self.every_seconds, TICK_SECONDS_MAX)

    def severity_of(self, finding: Finding) -> Severity:
        """Return how much a finding matters."""
        return finding.severity or self.severity

    def policy_of(self, finding: Finding) -> Policy:
        """Return who heals a finding."""
        return finding.policy or self.policy

    def heals(self, finding: Finding) -> bool:
        """Tell whether a run may heal a finding."""
        able = self.heal is not None or self.mend is not None
        return able and self.policy_of(finding) is Policy.AUTO

    def fails(self, finding: Finding) -> bool:
        """Tell whether a finding that stays open fails the run."""
        grave = self.severity_of(finding) in {Severity.ERROR, Severity.CRITICAL}
        return grave or self.policy_of(finding) is Policy.NEVER
