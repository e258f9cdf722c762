"""Plant every defect in random histories and print what each check made of it, check by check.

``python -m bench.planted --histories 50 --clean 1000 --minutes 15`` plants each kind of defect in
50 histories on SQLite, then looks with every check at clean histories until there were 1,000 or the
minutes are over. Exit code 1 when anything planted was not found, not healed as the check says, or
found and changed something again, and when anything was found in a clean history.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import structlog

from config.clock import FixedClock
from engine.database import Database, metadata
from tests.conftest import START
from tests.planting.defect import Shown, show, show_clean
from tests.planting.every import DEFECTS
from tests.planting.world import World, build
from tests.receivers import receiving
from tests.reconciling import Reconciling, reconciling

#: Seeds of clean histories begin here: they are others than those that a defect is planted in.
CLEAN_FROM = 1_000_000
CLEAN_STEPS = 25
TOLD_EVERY_SECONDS = 15


def main() -> int:
    """Run, print the table, and return the exit code."""
    asked = _asked()
    level = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=level)
    results, problems = _planted(asked.check, range(asked.first, asked.first + asked.histories))
    _print_table(results)
    looked, false_alarms = _clean(asked.clean, asked.minutes * 60)
    print(f"clean histories: {looked} looked at by every check, {len(false_alarms)} false alarms")
    problems += false_alarms
    for problem in problems:
        print(f"wrong: {problem}")
    return 1 if problems else 0


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=5, help="for each kind of defect")
    parser.add_argument("--first", type=int, default=0, help="the seed to begin with")
    parser.add_argument("--check", default=None, help="only this check's defects")
    parser.add_argument("--clean", type=int, default=0, help="clean histories at most")
    parser.add_argument("--minutes", type=float, default=15, help="for clean histories at most")
    return parser.parse_args()


def _planted(check: str | None, seeds: range) -> tuple[dict[str, list[Shown]], list[str]]:
    """Return what was made of each defect, by check, and what was wrong, naming its seed."""
    results: dict[str, list[Shown]] = defaultdict(list)
    problems = []
    chosen = [defect for defect in DEFECTS if check in {None, defect.check}]
    began = time.monotonic()
    for number, seed in enumerate(seeds, start=1):
        with _lived(seed) as history:
            for defect in chosen:
                with history.again() as world:
                    shown = show(world, defect)
                results[defect.check.partition(".")[0]].append(shown)
                named = f"{defect.check} {defect.name}, seed {seed}"
                wrong = [f"{named}: {each}" for each in shown.problems]
                problems += wrong
                _tell(*wrong)
        seconds = time.monotonic() - began
        _tell(f"{number} of {len(seeds)} histories, {len(chosen)} defects each, {seconds:.0f} s")
    return results, problems


def _clean(histories: int, seconds: float) -> tuple[int, list[str]]:
    """Return how many clean histories were looked at, and the false alarms in them."""
    began = told_at = time.monotonic()
    problems: list[str] = []
    for number in range(histories):
        seed = CLEAN_FROM + number
        with _lived(seed, CLEAN_STEPS) as history, history.again() as world:
            wrong = [f"clean history, seed {seed}: {each}" for each in show_clean(world)]
        problems += wrong
        _tell(*wrong)
        now = time.monotonic()
        if now - told_at >= TOLD_EVERY_SECONDS:
            told_at = now
            _tell(f"{number + 1} clean histories in {now - began:.0f} s, {len(problems)} alarms")
        if now - began >= seconds:
            return number + 1, problems
    return histories, problems


@dataclass(frozen=True, slots=True)
class History:
    """A history that was lived through, kept as it ended: living it costs more than looking."""

    world: World
    file: Path

    @contextmanager
    def again(self) -> Iterator[World]:
        """Stand at the end of it, in a copy; dice and clock go on from there."""
        copied = self.file.with_name("again.db")
        shutil.copyfile(self.file, copied)
        random = Random()  # noqa: S311  # dice of a test
        random.setstate(self.world.random.getstate())
        clock = FixedClock(self.world.scene.clock.now())
        orders, endpoints = list(self.world.orders), dict(self.world.endpoints)
        with _scene(copied, clock) as scene:
            world = self.world
            yield replace(world, scene=scene, random=random, orders=orders, endpoints=endpoints)
        copied.unlink()


@contextmanager
def _lived(seed: int, steps: int = 12) -> Iterator[History]:
    """Live through the history of a seed; whatever breaks off in it names the seed."""
    with tempfile.TemporaryDirectory() as folder, receiving() as receiver:
        file = Path(folder) / "lived.db"
        try:
            with _scene(file, FixedClock(START)) as scene:
                metadata.create_all(scene.database.engine)
                world = build(scene, receiver.url, seed, steps)
            yield History(world, file)
        except BaseException as error:
            error.add_note(f"in the history of seed {seed}")
            raise


@contextmanager
def _scene(file: Path, clock: FixedClock) -> Iterator[Reconciling]:
    """Put a reconciler on the database of a file, and leave nothing of it beside the file."""
    database = Database(f"sqlite:///{file}")
    try:
        with reconciling(database, clock) as scene:
            yield scene
    finally:
        database.dispose()


def _print_table(results: dict[str, list[Shown]]) -> None:
    print(f"{'check':6}{'histories':>10}{'planted':>9}{'found':>7}{'healed':>8}  second run")
    for name, shown in sorted(results.items()):
        again = sum(each.found_again for each in shown)
        changed = sum(each.rows_changed_again for each in shown)
        sums = [sum(getattr(each, word) for each in shown) for word in ("planted", "found")]
        healed = sum(each.healed for each in shown)
        print(
            f"{name:6}{len(shown):>10}{sums[0]:>9}{sums[1]:>7}{healed:>8}"
            f"  found {again}, changed {changed} rows"
        )


def _tell(*lines: str) -> None:
    """Say how far it is, beside the table."""
    for line in lines:
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
