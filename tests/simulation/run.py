"""Simulate seeds: ``python -m tests.simulation.run --seed 4711 --verbose`` prints one history."""

from __future__ import annotations

import argparse
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import structlog

from config.crash_points import install
from tests.simulation.oracle import judge
from tests.simulation.stage import Stage, virtual
from tests.simulation.story import live
from tests.simulation.world import Names, World, new_stage

SEEDS_PER_COLLECTION = 20


@dataclass(frozen=True, slots=True)
class History:
    """What came of one seed: what is broken, how to tell it from others, and what happened."""

    seed: int
    broken: list[str]
    digest: str
    crashes: int
    calls: int
    attempts: int
    deliveries: int

    def __str__(self) -> str:
        """Return what a failure says: the seed, how to see it again, what is broken."""
        head = f"SEED={self.seed} (python -m tests.simulation.run --seed {self.seed} --verbose)"
        return "\n  ".join([head, *self.broken[:10]])


@cache
def stage_in_memory() -> tuple[Stage, Names]:
    """Return this process's stage."""
    return new_stage()


def simulate(seed: int, *, aloud: bool = False, on: tuple[Stage, Names] | None = None) -> History:
    """Live through the history of a seed and judge it; ``aloud`` prints it as it goes.

    ``on`` is the stage it plays on, in memory where none is given.
    """
    stage, names = on or stage_in_memory()
    stage.set_back()
    world = World(stage, names, seed, aloud=aloud)
    with _quiet(), virtual(world.clock, world.loop, world.chance):
        stage.database.faults = world.faults
        before = install(world.faults.crash_at)
        try:
            world.loop.play(live(world))
        finally:
            stage.database.faults = None
            install(before)
        broken, past = judge(world)
    return History(
        seed,
        broken,
        world.trace.digest,
        world.faults.crashes,
        sum(len(receiver.calls) for receiver in world.fleet.receivers.values()),
        sum(map(len, past.attempts.values())),
        len(past.deliveries),
    )


def simulate_all(first: int, count: int) -> Iterator[History]:
    """Simulate seeds one after the other, and clean up between some of them."""
    gc.disable()
    try:
        for seed in range(first, first + count):
            yield simulate(seed)
            if seed % SEEDS_PER_COLLECTION == 0:
                gc.collect()
    finally:
        gc.enable()


@contextmanager
def _quiet() -> Iterator[None]:
    """Log nothing: the trace says it, and what is logged under faults is no news."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def main() -> int:
    """Simulate what the command line names; return 1 where anything is broken."""
    parser = argparse.ArgumentParser(description="Simulate whole histories from seeds.")
    parser.add_argument("--seed", type=int, help="one seed alone")
    parser.add_argument("--verbose", action="store_true", help="print its history line by line")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    asked = parser.parse_args()
    if asked.seed is not None:
        histories: Iterator[History] = iter([simulate(asked.seed, aloud=asked.verbose)])
    else:
        histories = simulate_all(asked.first_seed, asked.seeds)
    broken = 0
    for number, history in enumerate(histories, 1):
        broken += bool(history.broken)
        if history.broken or asked.seed is not None:
            print(history)  # noqa: T201  # the answer of a command
        if asked.seed is not None or number % 100 == 0:
            print(  # noqa: T201  # the same
                f"{number} seeds, {broken} broken; the last one: {history.deliveries} deliveries,"
                f" {history.calls} calls, {history.crashes} crashes, digest {history.digest}",
                flush=True,
            )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
