"""Plant every defect in random histories and print what each check made of it, check by check.

``python -m bench.planted --histories 50`` plants each kind of defect in that many histories on
SQLite. Exit code 1 when anything planted was not found, not healed as the check says, or found and
changed something again.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import structlog

from config.clock import FixedClock
from engine.database import Database, metadata
from tests.conftest import START
from tests.planting.defect import Defect, Shown, show
from tests.planting.every import DEFECTS
from tests.planting.world import build
from tests.receivers import receiving
from tests.reconciling import reconciling


def main() -> int:
    """Run, print the table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=5)
    parser.add_argument("--check", default=None, help="only this check")
    asked = parser.parse_args()
    level = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=level)
    results: dict[str, list[Shown]] = defaultdict(list)
    for defect in DEFECTS:
        if asked.check in {None, defect.check}:
            results[defect.check] += [_plant(defect, seed) for seed in range(asked.histories)]
    print(f"{'check':12}{'histories':>10}{'planted':>9}{'found':>7}{'healed':>8}  second run")
    for name, shown in sorted(results.items()):
        again = sum(each.found_again for each in shown)
        changed = sum(each.rows_changed_again for each in shown)
        sums = [sum(getattr(each, word) for each in shown) for word in ("planted", "found")]
        healed = sum(each.healed for each in shown)
        print(
            f"{name:12}{len(shown):>10}{sums[0]:>9}{sums[1]:>7}{healed:>8}"
            f"  found {again}, changed {changed} rows"
        )
    problems = [each for shown in results.values() for one in shown for each in one.problems]
    for problem in problems:
        print(f"wrong: {problem}")
    return 1 if problems else 0


def _plant(defect: Defect, seed: int) -> Shown:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'planted.db'}")
        metadata.create_all(database.engine)
        try:
            with receiving() as receiver, reconciling(database, FixedClock(START)) as scene:
                return show(build(scene, receiver.url, seed), defect)
        finally:
            database.dispose()


if __name__ == "__main__":
    sys.exit(main())
