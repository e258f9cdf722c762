"""A fleet that nobody here has: so many workers and endpoints, simulated from measured costs.

``python -m bench.growth --workers 100 --endpoints 10000000`` raises the rate of events until
something is full, and says what, at which rate, and what callers notice before.

Time passes in steps. In each, events fall on endpoints, few of them busy and most of them quiet;
relay, leases, reads and settles queue for the processors of the database, signing and calling
for those of the workers, the log for its disk. What a step has no room for waits for the next.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import accumulate

STEP_SECONDS = 0.01
SECONDS = 4.0
SEED = 20261122
#: The busiest endpoint gets this part of everything, the second half of it, and so on downwards.
BUSIEST = 0.01
RATES = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000)


@dataclass(frozen=True, slots=True)
class Costs:
    """What one step of the work costs, in microseconds of a processor unless it says otherwise.

    The figures are those of ``bench.costs`` and ``bench.storage`` (docs/scaling.md names the run).
    """

    worker_delivery: float = 124.0
    worker_mailbox: float = 355.0
    database_publish: float = 27.0
    database_relay: float = 21.0
    database_delivery: float = 52.0
    database_mailbox: float = 36.0
    log_bytes_delivery: float = 2_790.0
    log_bytes_mailbox: float = 1_013.0
    stored_bytes_delivery: float = 1_643.0
    stored_bytes_endpoint: float = 1_200.0


@dataclass(frozen=True, slots=True)
class Fleet:
    """What there is: workers with a processor each, one database, its processors and its disk."""

    workers: int
    endpoints: int
    database_cores: int
    log_megabytes_second: float


@dataclass(slots=True)
class Load:
    """How full each part was, and what waited."""

    rate: int
    workers: float
    database: float
    log: float
    deliveries_per_mailbox: float
    p50_ms: float
    p99_ms: float
    behind: int

    @property
    def full(self) -> str:
        """What is full, or nothing."""
        parts = {"workers": self.workers, "database": self.database, "log": self.log}
        name = max(parts, key=lambda each: parts[each])
        return name if self.behind else ""


class Endpoints:
    """Draws the endpoint of an event: a few busy ones, and a long tail where each is alike."""

    def __init__(self, count: int, draw: random.Random) -> None:
        weights = [BUSIEST / (rank + 1) for rank in range(min(count, 1_000))]
        scale = min(1.0, 0.5 / sum(weights))  # the busy ones have half of everything at most
        self._busy = list(accumulate(weight * scale for weight in weights))
        self._count, self._draw = count, draw

    def one(self) -> int:
        """Return an endpoint."""
        point = self._draw.random()
        if point >= self._busy[-1]:
            return self._draw.randrange(self._count)
        return next(rank for rank, top in enumerate(self._busy) if point < top)


def simulate(fleet: Fleet, costs: Costs, rate: int, *, seed: int = SEED) -> Load:
    """Return how a fleet bears ``rate`` events a second, one delivery each."""
    draw = random.Random(seed)  # noqa: S311  # a seed gives the same run again
    endpoints = Endpoints(fleet.endpoints, draw)
    # What waits: (step it was committed in, how many), in the order in which it is served.
    at_database: deque[tuple[int, int]] = deque()
    at_workers: deque[tuple[int, int]] = deque()
    waits: Counter[int] = Counter()
    used = {"workers": 0.0, "database": 0.0, "log": 0.0}
    steps, mailboxes, events = round(SECONDS / STEP_SECONDS), 0, 0
    sampled = min(rate * STEP_SECONDS, 2_000.0)
    for step in range(steps):
        arrived = round(rate * STEP_SECONDS * (step + 1)) - round(rate * STEP_SECONDS * step)
        distinct = len({endpoints.one() for _ in range(min(arrived, round(sampled)))})
        due = round(arrived * distinct / max(1, min(arrived, round(sampled))))
        mailboxes, events = mailboxes + due, events + arrived
        share = due / arrived if arrived else 0.0
        at_database.append((step, arrived))
        database = costs.database_publish + costs.database_relay + costs.database_delivery
        database += costs.database_mailbox * share
        log = costs.log_bytes_delivery + costs.log_bytes_mailbox * share
        room = min(
            fleet.database_cores * STEP_SECONDS * 1e6 / database,
            fleet.log_megabytes_second * 1e6 * STEP_SECONDS / log,
        )
        for since, served in _serve(at_database, room):
            used["database"] += served * database
            used["log"] += served * log
            at_workers.append((since, served))
        worker = costs.worker_delivery + costs.worker_mailbox * share
        for since, served in _serve(at_workers, fleet.workers * STEP_SECONDS * 1e6 / worker):
            used["workers"] += served * worker
            waits[step - since + 1] += served
    behind = sum(each for _, each in [*at_database, *at_workers])
    return Load(
        rate,
        used["workers"] / (fleet.workers * SECONDS * 1e6),
        used["database"] / (fleet.database_cores * SECONDS * 1e6),
        used["log"] / (fleet.log_megabytes_second * SECONDS * 1e6),
        events / max(1, mailboxes),
        _percentile(waits, 0.50),
        _percentile(waits, 0.99),
        behind,
    )


def _serve(queue: deque[tuple[int, int]], room: float) -> Iterator[tuple[int, int]]:
    """Take from the front of a queue what a step has room for."""
    left = int(room)
    while queue and left > 0:
        since, count = queue.popleft()
        served = min(count, left)
        left -= served
        if served < count:
            queue.appendleft((since, count - served))
        yield since, served


def _percentile(waits: Counter[int], part: float) -> float:
    wanted, seen = part * sum(waits.values()), 0
    for steps in sorted(waits):
        seen += waits[steps]
        if seen >= wanted:
            return steps * STEP_SECONDS * 1000
    return 0.0


def grow(fleet: Fleet, costs: Costs) -> list[Load]:
    """Raise the rate until something is full; the last load is the first that was."""
    loads = []
    for rate in RATES:
        loads.append(simulate(fleet, costs, rate))
        if loads[-1].behind:
            break
    return loads


def breaking_point(fleet: Fleet, costs: Costs) -> tuple[int, str]:
    """Return the highest rate that is borne, to a hundredth, and what is full beyond it."""
    borne, broken = 0, simulate(fleet, costs, RATES[-1])
    if not broken.behind:
        return broken.rate, ""
    while broken.rate - borne > max(1, borne // 100):
        load = simulate(fleet, costs, (borne + broken.rate) // 2)
        if load.behind:
            broken = load
        else:
            borne = load.rate
    return borne, broken.full


def main() -> None:
    """Print what the fleet bears as JSON lines, and where it breaks."""
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--endpoints", type=int, default=10_000_000)
    parser.add_argument("--database-cores", type=int, default=32)
    parser.add_argument("--log-megabytes-second", type=float, default=200.0)
    given = parser.parse_args()
    fleet, costs = Fleet(**vars(given)), Costs()
    for load in grow(fleet, costs):
        print(json.dumps(asdict(load) | {"full": load.full}))
    rate, full = breaking_point(fleet, costs)
    stored = costs.stored_bytes_delivery * rate * 86_400 / 1e12
    endpoints = costs.stored_bytes_endpoint * fleet.endpoints / 1e9
    print(
        json.dumps(
            {
                "seed": SEED,
                "borne_per_second": rate,
                "full_beyond": full,
                "terabytes_a_day": round(stored, 1),
                "gigabytes_of_endpoints": round(endpoints, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
