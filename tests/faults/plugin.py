"""pytest's part of the fault tests: ``--faults full`` for the long form, and what a run reached.

A test that belongs to a row of ``required.md`` is marked ``@pytest.mark.fault("F06")``. With
``--faults-file`` a run writes, per row, how many of its tests passed and what they reported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MARK, REACHED = "fault", "fault-reached"


class Reached:
    """What a fault test asks: how often to do it, and where to say what it reached."""

    def __init__(self, record: Callable[[str, object], None], *, full: bool) -> None:
        """Report through ``record``; ``full`` is the long form that ``make chaos`` runs."""
        self.full = full
        self._record = record

    def times(self, short: int, full: int) -> int:
        """Return how often: ``short`` in the test run, ``full`` in the long form."""
        return full if self.full else short

    def says(self, row: str, numbers: str, *, seed: int | None = None) -> None:
        """Report what row ``row`` reached, in the words of its column "numbers", and its seed."""
        said = numbers if seed is None else f"{numbers} (seed {seed})"
        sys.stdout.write(f"{row}: {said}\n")
        self._record(REACHED, [row, said])


@pytest.fixture
def reached(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Reached:
    """Return where this test says what it reached."""
    return Reached(record_property, full=request.config.getoption("faults") == "full")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--faults`` and ``--faults-file``."""
    group = parser.getgroup("faults")
    group.addoption("--faults", choices=("short", "full"), default="short", help="how much to do")
    group.addoption("--faults-file", type=Path, help="write per fault test what was reached")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark, and collect results in the process that has them all."""
    config.addinivalue_line("markers", f"{MARK}(*rows): this test belongs to rows of required.md")
    path = config.getoption("faults_file")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Collected(path))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Write the rows of a test's mark where its report carries them to the collecting process."""
    for item in items:
        for mark in item.iter_markers(MARK):
            item.user_properties += [(MARK, row) for row in mark.args]


class Collected:
    """What the tests of each row reported, written when the run ends."""

    def __init__(self, path: Path) -> None:
        """Write to ``path``."""
        self._path = path
        self._rows: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test that ran, and one whose set-up failed."""
        if report.when != "call" and not report.failed:
            return
        for name, value in report.user_properties:
            if name == MARK:
                self._row(str(value))["passed" if report.passed else "failed"] += 1
            if name == REACHED and isinstance(value, list):
                self._row(value[0])["reached"].append(value[1])

    def _row(self, row: str) -> dict[str, Any]:
        return self._rows.setdefault(row, {"passed": 0, "failed": 0, "reached": []})

    def pytest_sessionfinish(self) -> None:
        """Write what was collected, as JSON."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(json.dumps(self._rows, indent=1, sort_keys=True), "utf-8")
