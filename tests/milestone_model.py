"""A pure model of milestones: what each deserves, told as a story of steps and moments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DUE, OVERDUE = "remittance.due", "remittance.overdue"


@dataclass
class Step:
    """One milestone for one tenant."""

    code: str
    kind: str
    tenant_id: str
    fire_at: datetime
    made_at: datetime
    version: int
    outcome: str = "pending"
    late: bool | None = None


@dataclass
class Debt:
    """A remittance with every step it ever had."""

    due_at: datetime
    tells_all: bool
    version: int = 1
    status: str = "pending"
    overdue_since: datetime | None = None
    steps: list[Step] = field(default_factory=list)

    def close(self, status: str) -> None:
        """Pay or cancel: what was not told yet never is."""
        self.status = status
        self.drop_open()

    def drop_open(self) -> None:
        """Cancel every step that has no outcome."""
        for step in self.steps:
            if step.outcome == "pending":
                step.outcome = "cancelled"

    def look(self, now: datetime, chosen: Iterable[Step]) -> None:
        """Give the chosen steps their outcome if their moment has come."""
        for step in sorted(chosen, key=lambda each: each.fire_at):
            if step.outcome != "pending" or step.fire_at > now:
                continue
            seen_until = min(now, step.made_at) if self.tells_all else now
            if self._speaks(step, seen_until):
                step.outcome = "emitted"
                since = max(step.fire_at, step.made_at)
                step.late = now - since > HOUR or (since < now and not self._speaks(step, now))
                if step.kind == OVERDUE:
                    self.overdue_since = self.due_at
            else:
                step.outcome = "superseded"

    def _speaks(self, step: Step, now: datetime) -> bool:
        """Tell whether at a moment this step is the one of its kind that still says something."""
        same = [
            each.fire_at
            for each in self.steps
            if (each.kind, each.tenant_id, each.version)
            == (step.kind, step.tenant_id, step.version)
            and each.fire_at <= now
        ]
        if same and max(same) > step.fire_at:
            return False
        if step.kind == OVERDUE:
            return True
        if step.fire_at < self.due_at:
            return now < self.due_at
        overdue = [
            each.fire_at
            for each in self.steps
            if each.kind == OVERDUE and each.version == step.version
        ]
        return now < min([*overdue, self.due_at + DAY])
