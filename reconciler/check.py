"""What a check is: a query that finds, and where it is safe an action that heals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from dispatcher.hints import Hints
from dispatcher.relay import Relay
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork

#: Heals of one check in one run; more means that the check, or the world, is wrong (domain.md 5).
HEALS_MAX = 100
TICK_SECONDS_MAX = 60


class Severity(StrEnum):
    """How much a finding matters."""

    ROUTINE = "routine"  #: time made it true: work to do, nothing is wrong
    WARNING = "warning"  #: something was missed and can be made good
    CRITICAL = "critical"  #: the books disagree; only people may mend that


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree; ``subject`` names it."""

    subject: str
    expected: Any = None
    actual: Any = None
    key: Any = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a check may look at: as of when, and since when rows may have changed (None: all).

    ``now`` is the real time: whether a hint is late or a holder dead is not asked of the future.
    """

    as_of: datetime
    now: datetime
    since: datetime | None = None


@dataclass(slots=True)
class Found:
    """The answer of a check's query."""

    scanned: int
    findings: Sequence[Finding] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Tools:
    """What heals outside a transaction may use."""

    database: Database
    units: UnitsOfWork
    relay: Relay
    hints: Hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One registered check.

    ``heal`` changes findings inside one unit of work and returns those it healed; ``mend`` works
    in transactions of its own, and what is not found afterwards was healed. A check with neither
    only reports.
    """

    id: str
    title: str
    severity: Severity
    every_seconds: int
    find: Callable[[Connection, Scope], Found]
    heal: Callable[[UnitOfWork, Sequence[Finding], Scope], list[Finding]] | None = None
    mend: Callable[[Tools, Sequence[Finding], Scope], None] | None = None

    @property
    def tick_seconds(self) -> int:
        """How often the schedule asks whether it is due: a rare check is not lost by a restart."""
        return min(self.every_seconds, TICK_SECONDS_MAX)

    @property
    def capped(self) -> bool:
        """Whether a run stops healing after ``HEALS_MAX``: routine work is never too much."""
        return self.severity is not Severity.ROUTINE
