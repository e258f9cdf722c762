"""What reconciliation costs with a million of everything and a thousand that are due or moved.

``python -m bench.reconcile --rows 20000 1000000`` fills an empty database for each size by the
server's own copying of rows that the engine made, runs every check once over everything, then as
the schedule does: with nothing new, and with a thousand of everything due or moved.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from bench import books
from bench.books import Models
from bench.fill import Told, telling
from bench.ground import fresh_ground
from bench.stand import Stand, memory_peak_megabytes, standing
from dispatcher.hints import NoHints
from engine.database import metadata
from reconciler.checks import CHECKS
from reconciler.runner import Runner

ROUNDS = 3

Figures = dict[str, Any]


def measure(rows: int, due: int, told: Told, checks: Sequence[str] = tuple(CHECKS)) -> Figures:
    """Fill a fresh database, run the checks over it, and return seconds by check and occasion.

    ``full`` looks at everything, as once a day; ``idle`` finds nothing new; ``due`` has ``due``
    reminders to send, orders and wallets that moved; ``overdue`` as many that are late.
    """
    with fresh_ground() as (folder, settings), standing(folder, **settings) as stand:
        models = books.chain(stand)
        stand.relay()
        began = time.monotonic()
        books.fill(stand, models, rows, told)
        found: Figures = {"fill_seconds": round(time.monotonic() - began, 1), "rows": _rows(stand)}
        found["full"] = {check: look(stand, check, told, full=True) for check in checks}
        found["idle"] = {
            check: _median([look(stand, check, told) for _ in range(ROUNDS)]) for check in checks
        }
        found |= _rounds(stand, models, due, checks, told)
        found["memory_megabytes"] = memory_peak_megabytes([os.getpid()])
        return found


def _rows(stand: Stand) -> dict[str, int]:
    with stand.application.database.read() as connection:
        counts = {
            name: select(func.count()).select_from(metadata.tables[name]) for name in books.TABLES
        }
        return {name: connection.execute(query).scalar_one() for name, query in counts.items()}


def _rounds(stand: Stand, models: Models, due: int, checks: Sequence[str], told: Told) -> Figures:
    """Plant and look, some times over, each time other rows."""
    seen: dict[str, dict[str, list[Figures]]] = {"due": {}, "overdue": {}}
    for number in range(ROUNDS):
        numbers = range(1 + number * due, 1 + (number + 1) * due)
        owing = numbers[: due // len(books.OWED)]
        books.plant_moved(stand, models, numbers, told)
        for occasion, plant in (("due", books.plant_due), ("overdue", books.plant_overdue)):
            planted = plant(stand, owing)
            if planted != len(owing) * len(books.OWED):
                raise SystemExit(f"{planted} remittances planted: fill more rows than are due")
            for check in checks if occasion == "due" else ("K10",):
                seen[occasion].setdefault(check, []).append(look(stand, check, told))
            stand.relay()
    return {
        occasion: {check: _median(looks) for check, looks in by_check.items()}
        for occasion, by_check in seen.items()
    }


def _median(looks: Sequence[Figures]) -> Figures:
    """Return the last look with the seconds of the median one."""
    return looks[-1] | {"seconds": statistics.median(look["seconds"] for look in looks)}


def look(stand: Stand, check: str, told: Told, *, full: bool = False) -> Figures:
    """Run one check and return what it looked at, found and took."""
    runner = Runner(stand.application.units, NoHints())
    began = time.perf_counter()
    [run] = runner.run([check], actor="bench", full=full)
    seconds = time.perf_counter() - began
    found = {name: run[name] for name in ("scanned", "found", "healed")}
    if full:
        told(f"{check} over everything: {seconds:.2f} s, {found}")
    return {"seconds": round(seconds, 4), **found}


def main() -> None:
    """Measure and print one JSON document; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="python -m bench.reconcile", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--due", type=int, default=1000)
    parser.add_argument("--checks", nargs="+", default=list(CHECKS), choices=list(CHECKS))
    given = parser.parse_args()
    told = telling()
    found = {str(rows): measure(rows, given.due, told, given.checks) for rows in given.rows}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
