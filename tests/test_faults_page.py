"""The page of fault tests: a row for each that is required, and no claim without a run."""

from __future__ import annotations

from tests.faults.report import page
from tests.faults.rows import NOT_RUN, rows


def test_there_are_64_fault_tests_in_order() -> None:
    """None of the list is left out."""
    assert [f"F{number:02d}" for number in range(1, 65)] == [row.id for row in rows()]


def test_a_row_without_a_run_says_so() -> None:
    """What nobody ran is not called held."""
    line = next(line for line in page({}, "2026-11-22").splitlines() if line.startswith("| F06"))
    assert line.endswith("| not run |")


def test_a_row_shows_what_was_reached_and_what_failed() -> None:
    """One failed test makes a failed row, whatever the others reached."""
    reached = {"F06": {"passed": 2, "failed": 0, "reached": ["lost 0", "lost 0", "12 flushes"]}}
    assert "| lost 0; 12 flushes; 2 tests | held |" in page(reached, "2026-11-22")
    reached["F06"]["failed"] = 1
    assert "| lost 0; 12 flushes; 3 tests | **1 failed** |" in page(reached, "2026-11-22")


def test_reasons_are_given_for_rows_that_exist() -> None:
    """A reason for a row that is not on the list explains nothing."""
    assert set() == set(NOT_RUN) - {row.id for row in rows()}
