"""``python -m tests.faults.report RESULTS...``: write ``docs/reliability.md`` from runs.

Each ``RESULTS`` is a file that ``pytest --faults-file`` wrote; later files add to earlier ones.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.faults.rows import NOT_RUN, Row, rows

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
HEAD = """# Faults: what is done to Tillbell, and what held

`make faults-report` runs every fault test in its long form and writes this page; `make test` runs
each in a short form. After each test every committed event is accounted for at its receivers, no
callback exists without its event, repetitions carry the same id and the same bytes, and the books
balance (invariants I1 to I7, L1 to L6 and R1 to R3, as far as the fault touches them).

"""


def page(results: Mapping[str, Mapping[str, Any]], day: str) -> str:
    """Return the page: a row for each fault test, with what was reached or why it was not run."""
    lines = [cells(row, results.get(row.id)) for row in rows()]
    held = sum("| held |" in line for line in lines)
    summary = f"Run on {day}. Held: {held} of {len(lines)}.\n\n"
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
    said = "; ".join(dict.fromkeys(result["reached"])) or "as required"
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
    files = [Path(name) for name in sys.argv[1:]]
    PAGE.write_text(page(merged(files), datetime.now(UTC).strftime("%Y-%m-%d")), "utf-8")
    sys.stdout.write(f"{PAGE}\n")


if __name__ == "__main__":
    main()
