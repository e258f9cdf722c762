"""The page of rivals' defects names tests that exist, and every test that was written for it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rival-defects.md"
DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


def defined(pattern: str) -> set[str]:
    """Return the names of the tests in the files that match."""
    files = (ROOT / "tests").rglob(pattern)
    return {name for path in files for name in DEFINED.findall(path.read_text("utf-8"))}


def test_every_row_names_a_test_that_exists() -> None:
    """What the page promises is shown somewhere."""
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert set() == named - defined("test_*.py")


def test_every_test_of_a_rival_s_defect_is_on_the_page() -> None:
    """Whoever adds one says whose it was, and why it is not here."""
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text("utf-8")))
    assert set() == defined("test_rival_*.py") - named


def test_what_is_shown_has_a_row_of_its_own() -> None:
    """Each row of a table that names tests has its four cells: what, whose, why, which test."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if "`test_" in line]
    assert all(line.count(" | ") == 3 for line in rows)
