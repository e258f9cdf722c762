"""What goes wrong in a simulation: who dies where, what is lost, and how likely each is."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from config.crash_points import Crashed
from engine.database import Database
from engine.errors import DatabaseUnavailable
from tests.simulation.virtual_time import PROCESS, VirtualClock


@dataclass(frozen=True, slots=True)
class Odds:
    """How likely each fault is each time it could happen; a seed draws its own."""

    crash: float
    away: float  #: the database does not answer at the beginning of a transaction
    unknown: float  #: the transaction is committed and its answer lost
    lost_hint: float
    doubled_hint: float
    late_hint: float
    stopped: float  #: the process stands still, longer than a lease lasts

    @classmethod
    def drawn(cls, chance: random.Random) -> Odds:
        """Draw the odds of a seed: half of the faults are off, so that others show alone."""

        def up_to(most: float) -> float:
            return chance.choice((0.0, most * chance.random()))

        return cls(
            crash=up_to(0.03),
            away=up_to(0.03),
            unknown=up_to(0.03),
            lost_hint=up_to(0.6),
            doubled_hint=up_to(0.5),
            late_hint=up_to(0.5),
            stopped=up_to(0.05),
        )


class Trace:
    """The history of one simulation, line by line; two runs of a seed have the same digest."""

    def __init__(self, clock: VirtualClock, *, aloud: bool = False) -> None:
        """Stamp lines by ``clock``; print them as they come if ``aloud``."""
        self.lines: list[str] = []
        self._clock, self._aloud = clock, aloud

    def add(self, text: str) -> None:
        """Add what happened, with its instant and who did it."""
        line = f"{self._clock.now():%m-%d %H:%M:%S.%f} {PROCESS.get() or '-':<12} {text}"
        self.lines.append(line)
        if self._aloud:
            print(line)  # noqa: T201  # the output of a replay

    @property
    def digest(self) -> str:
        """Return the SHA-256 of all lines, shortened."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()[:16]


@dataclass
class Faults:
    """Strikes by chance, while it is stormy; who is dead can do nothing any more."""

    chance: random.Random
    odds: Odds
    trace: Trace
    stormy: bool = True
    #: What kills each process that can die.
    mortal: dict[str, Callable[[], None]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    crashes: int = 0
    #: Whom each commit wakes: something may be due earlier now.
    committed: Callable[[], None] = lambda: None

    def strikes(self, odds: float) -> bool:
        """Tell whether a fault of such odds happens now."""
        return self.stormy and odds > 0 and self.chance.random() < odds

    def crash_at(self, place: str) -> None:
        """Let the running process die here, sometimes; a dead one dies again at once."""
        process = PROCESS.get()
        if process in self.dead:
            raise Crashed(place)
        if process in self.mortal and self.strikes(self.odds.crash):
            self.trace.add(f"dies: {place}")
            self.crashes += 1
            self.dead.add(process)
            self.mortal.pop(process)()
            raise Crashed(place)

    def before_transaction(self) -> None:
        """Let the database be away, sometimes."""
        self.crash_at("before a transaction")
        if PROCESS.get() in self.mortal and self.strikes(self.odds.away):
            self.trace.add("database away")
            raise DatabaseUnavailable("the database does not answer", database="simulated")

    def after_commit(self) -> None:
        """Let the answer of a commit get lost, sometimes."""
        self.crash_at("after a commit")
        if PROCESS.get() in self.mortal and self.strikes(self.odds.unknown):
            self.trace.add("answer of the commit lost")
            raise OperationalError("COMMIT", {}, Exception("connection reset"))


class FaultyDatabase(Database):
    """The real database, whose transactions are where processes die and connections break."""

    faults: Faults | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction as the product does; a fault strikes before, at its end or behind."""
        faults = self.faults
        if faults is None:
            with super().write() as connection:
                yield connection
            return
        faults.before_transaction()
        with super().write() as connection:
            yield connection
            faults.crash_at("before a commit")
        faults.committed()
        faults.after_commit()
