"""Health of an endpoint: a circuit that opens, probes and ramps; how long all has failed. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import NamedTuple

PROBE_WAIT_MAX = timedelta(minutes=15)
#: Calls at once after the first probe that succeeded; every success allows one more.
RAMP_WIDTH_FIRST = 2

DISABLE_AFTER = timedelta(days=5)
DISABLE_ATTEMPTS_MIN = 20
NOTICES_AFTER = (timedelta(hours=24), timedelta(hours=72))


class CircuitRules(NamedTuple):
    """When a circuit opens, and how long it waits for its first probe."""

    failures_to_open: int = 10
    probe_wait: timedelta = timedelta(seconds=30)


class Circuit(StrEnum):
    """Whether an endpoint is called at all."""

    CLOSED = "closed"  #: as many calls as it may have, or a ramp towards that
    OPEN = "open"  #: none until the next probe
    HALF_OPEN = "half_open"  #: one call: the probe


class Health(NamedTuple):
    """What a mailbox remembers of its endpoint between leases.

    ``openings`` counts how often the circuit opened since it last recovered whole; ``ramp_width``
    is how many calls may run at once while it recovers, None when it has.
    """

    failures_in_row: int = 0
    circuit: str = Circuit.CLOSED
    openings: int = 0
    ramp_width: int | None = None

    def at_lease(self) -> Health:
        """Let one probe through an open circuit whose wait is over."""
        if self.circuit != Circuit.OPEN:
            return self
        return self._replace(circuit=Circuit.HALF_OPEN)

    def width(self, in_flight_max: int) -> int:
        """Return how many calls may run at once."""
        if self.circuit != Circuit.CLOSED:
            return 1
        return min(in_flight_max, self.ramp_width or in_flight_max)

    def after_success(self, in_flight_max: int) -> Health:
        """Close the circuit; widen the ramp by one, and end it at the endpoint's own limit."""
        if self.circuit != Circuit.CLOSED:
            return Health(0, Circuit.CLOSED, self.openings, RAMP_WIDTH_FIRST)
        if self.ramp_width is None:
            return self if self.failures_in_row == 0 else self._replace(failures_in_row=0)
        if self.ramp_width + 1 >= in_flight_max:
            return Health()
        return self._replace(failures_in_row=0, ramp_width=self.ramp_width + 1)

    def after_failure(self, rules: CircuitRules) -> Health:
        """Count; open the circuit at the last failure allowed, or at once when a probe failed."""
        failures = self.failures_in_row + 1
        if self.circuit == Circuit.OPEN:
            return self._replace(failures_in_row=failures)
        if self.circuit == Circuit.HALF_OPEN or failures >= rules.failures_to_open:
            return Health(failures, Circuit.OPEN, self.openings + 1, None)
        ramp_width = None if self.ramp_width is None else max(1, self.ramp_width // 2)
        return self._replace(failures_in_row=failures, ramp_width=ramp_width)

    def probe_at(self, now: datetime, rules: CircuitRules) -> datetime | None:
        """Return when an open circuit lets the next probe through: doubling to 15 minutes."""
        if self.circuit != Circuit.OPEN:
            return None
        doublings = min(self.openings - 1, 10)
        return now + min(rules.probe_wait * (1 << doublings), PROBE_WAIT_MAX)


class Notice(IntEnum):
    """What an owner was last told about an endpoint of which nothing but failures comes back."""

    NONE = 0
    FAILING = 1  #: for 24 hours
    STILL_FAILING = 2  #: for 72 hours
    DISABLED = 3  #: for 5 days and at least 20 attempts


class Failing(NamedTuple):
    """Since when, and over how many attempts, an endpoint has only failed."""

    since: datetime | None = None
    attempts: int = 0

    def after_success(self) -> Failing:
        """Forget it all."""
        return Failing()

    def after_failure(self, now: datetime) -> Failing:
        """Count one more."""
        return Failing(self.since or now, self.attempts + 1)

    def notice(self, now: datetime) -> Notice:
        """Return what the owner must have been told by now."""
        if self.since is None:
            return Notice.NONE
        lasted = now - self.since
        if lasted >= DISABLE_AFTER and self.attempts >= DISABLE_ATTEMPTS_MIN:
            return Notice.DISABLED
        return Notice(sum(lasted >= each for each in NOTICES_AFTER))
