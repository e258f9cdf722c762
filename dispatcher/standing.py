"""What a drain learns of its endpoint: its health, how long it only failed, until when to wait."""

from __future__ import annotations

from datetime import datetime

from dispatcher.facts import CircuitMoved, Emit
from dispatcher.health import CircuitRules, Health
from dispatcher.leased_mailbox import Mailbox
from dispatcher.outcome import Outcome, Verdict
from dispatcher.settle_batch import Parting


class Standing:
    """How one leased endpoint stands, from the lease to the parting."""

    def __init__(self, mailbox: Mailbox, rules: CircuitRules, emit: Emit) -> None:
        """Begin where the lease found it; an open circuit whose wait is over is probed."""
        self.blocked_until = mailbox.blocked_until
        self.stopped = mailbox.blocked_until is not None
        self._mailbox = mailbox
        self._rules = rules
        self._emit = emit
        self._health = mailbox.lease.health
        self._failing = mailbox.failing
        self._become(self._health.at_lease())

    @property
    def width(self) -> int:
        """How many calls may run at once."""
        return self._health.width(self._mailbox.max_in_flight)

    def learn(self, outcome: Outcome, now: datetime) -> None:
        """Let an outcome change the endpoint's health, and stop where it says so."""
        if outcome.verdict is Verdict.SUCCEEDED:
            self._become(self._health.after_success(self._mailbox.max_in_flight))
            self._failing = self._failing.after_success()
        elif outcome.blames_endpoint:
            self._become(self._health.after_failure(self._rules))
            self._failing = self._failing.after_failure(now)
        self.stop_until(outcome.pause_until)
        self.stop_until(self._health.probe_at(now, self._rules))
        self.stopped = self.stopped or outcome.disable is not None

    def stop_until(self, instant: datetime | None) -> None:
        """Start no more calls, and hold the mailbox back until the latest instant named."""
        if instant is None:
            return
        self.stopped = True
        if self.blocked_until is None or instant > self.blocked_until:
            self.blocked_until = instant

    def parting(self) -> Parting:
        """Say what to remember: only what differs from what the lease found."""
        mailbox = self._mailbox
        return Parting(
            blocked_until=self.blocked_until,
            health=self._health if self._health != mailbox.lease.health else None,
            failing=self._failing if self._failing != mailbox.failing else None,
            told=mailbox.told,
        )

    def _become(self, health: Health) -> None:
        """Take the new health, and say so when the circuit moved."""
        if health.circuit != self._health.circuit:
            self._emit(
                CircuitMoved(
                    endpoint_id=self._mailbox.lease.endpoint_id,
                    circuit=health.circuit,
                    failures_in_row=health.failures_in_row,
                )
            )
        self._health = health
