"""Discrepancies as runs note them: open, healed, gone, and never closed for want of room."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.ids import new_id
from engine.unit_of_work import UnitsOfWork
from reconciler import discrepancies, discrepancy_views
from reconciler.check import Finding
from reconciler.checks import CHECKS
from reconciler.discrepancies import GONE, ROWS_PER_RUN, Noting


def note(
    units: UnitsOfWork, subjects: list[str], *healed: str, check: str = "K08"
) -> Counter[tuple[str, str]]:
    """Note what a run found and return how many rows of each check have which status."""
    findings = [Finding(subject, "this", "that") for subject in subjects]
    with units.begin(actor="test", source="reconciler") as work:
        noting = Noting(CHECKS[check], new_id())
        mended = {each.subject: each for each in findings if each.subject in healed}
        discrepancies.note(work, noting, findings, mended)
        if len(findings) < ROWS_PER_RUN:
            discrepancies.settle_gone(work, noting)
    with units.database.read() as connection:
        rows = discrepancy_views.listing(connection, limit=10_000)
    return Counter((row["check"], row["status"]) for row in rows)


def test_what_is_found_is_open_healed_or_closed(units: UnitsOfWork) -> None:
    """Each subject has one open row at most; a settled one may be found anew."""
    assert {("K08", "open"): 1, ("K08", "healed"): 1} == note(units, ["a", "b"], "b")
    assert {("K08", "open"): 1, ("K08", "healed"): 1} == note(units, ["a"])
    assert {("K08", "healed"): 2} == note(units, ["a"], "a")
    assert {("K08", "open"): 1, ("K08", "healed"): 2} == note(units, ["a"])
    assert {("K08", "healed"): 3} == note(units, [])
    with units.database.read() as connection:
        row, *others = discrepancy_views.listing(connection, status="healed")
    assert ("a", "this", "that") == (row["subject"], row["expected"], row["actual"])
    assert GONE == row["heal_action"]
    assert {"K08 healed it"} == {each["heal_action"] for each in others}


def test_checks_close_only_their_own(units: UnitsOfWork) -> None:
    """The same subject of another check stays as it is."""
    note(units, ["a"], check="K07")
    assert {("K07", "open"): 1, ("K08", "open"): 1} == note(units, ["a"])
    assert {("K07", "open"): 1, ("K08", "healed"): 1} == note(units, [])


def test_routine_work_is_noted_nowhere(units: UnitsOfWork) -> None:
    """A milestone that is due is no discrepancy."""
    assert {} == note(units, ["a"], check="K10")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_found_no_room_is_not_called_gone(units: UnitsOfWork) -> None:
    """With more findings than a run notes, one that is not among them stays open."""
    many = [str(number) for number in range(ROWS_PER_RUN)]
    note(units, ["a"])
    assert {("K08", "open"): ROWS_PER_RUN + 1} == note(units, [*many, "a"])
    assert {("K08", "open"): ROWS_PER_RUN + 1} == note(units, many)
    assert {("K08", "open"): 1, ("K08", "healed"): ROWS_PER_RUN} == note(units, ["a"])
