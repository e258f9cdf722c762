"""``python -m tests.faults.report RESULTS... [--note TEXT]``: write ``docs/reliability.md``.

Each ``RESULTS`` is a file that ``pytest --faults-file`` wrote; later files add to earlier ones.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.rows import NOT_RUN, Row, rows

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
FIGURES_SHOWN_MAX = 5
HEAD = """# Faults: what is done to Tillbell, and what held

`make faults-report` runs every fault test in its long form and writes this page; `make test` runs
each in a short form. After each test every committed event is accounted for at its receivers, no
callback exists without its event, repetitions carry the same id and the same bytes, and the books
balance (invariants I1 to I7, L1 to L6 and R1 to R3, as far as the fault touches them).

"""


def page(results: Mapping[str, Mapping[str, Any]], day: str, note: str = "") -> str:
    """Return the page: a row for each fault test, with what was reached or why it was not run."""
    lines = [cells(row, results.get(row.id)) for row in rows()]
    held = sum("| held |" in line for line in lines)
    part, failed = (sum(word in line for line in lines) for word in ("| in part |", "failed** |"))
    summary = f"Run on {day}. Held: {held} of {len(lines)}, in part {part}, failed {failed}."
    summary += f" {note}\n\n" if note else "\n\n"
    table = "| id | fault | required | must hold | reached | result |\n|---|---|---|---|---|---|\n"
    return HEAD + summary + table + "\n".join(lines) + "\n"


def cells(row: Row, result: Mapping[str, Any] | None) -> str:
    """Return one line of the table."""
    said, outcome = outcome_of(row, result)
    cells = (row.id, row.fault, row.numbers, row.must_hold, said, outcome)
    return "| " + " | ".join(cells) + " |"


def outcome_of(row: Row, result: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return what a row reached, and the word for its result."""
    if result is None:
        return NOT_RUN.get(row.id, "Not written yet."), "not run"
    tests = result["passed"] + result["failed"]
    figures = list(dict.fromkeys(result["reached"]))
    said = "; ".join(figures[:FIGURES_SHOWN_MAX]) or "no figures reported"
    if len(figures) > FIGURES_SHOWN_MAX:
        said += f"; and {len(figures) - FIGURES_SHOWN_MAX} lines more like these"
    text = f"{said}; {tests} {'test' if tests == 1 else 'tests'}"
    if row.id in NOT_RUN:
        text += f". {NOT_RUN[row.id]}"
    if result["failed"]:
        return text, f"**{result['failed']} failed**"
    return text, "in part" if row.id in NOT_RUN else "held"


def merged(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the results of several runs as those of one."""
    together: dict[str, dict[str, Any]] = {}
    for path in files:
        for row, result in json.loads(path.read_text("utf-8")).items():
            entry = together.setdefault(row, {"passed": 0, "failed": 0, "reached": []})
            for name in entry:
                entry[name] += result[name]
    return together


def main() -> None:
    """Write the page and say where."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.report", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--note", default="", help="how these runs came about")
    given = parser.parse_args()
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    PAGE.write_text(page(merged(given.results), day, given.note), "utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
