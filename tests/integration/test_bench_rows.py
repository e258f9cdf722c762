"""The measurements of many rows, at a small size: that they run, and that cost does not grow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from sqlalchemy import event

from bench import books, claim, reconcile, table
from bench.stand import Stand, standing
from reconciler.checks import CHECKS

FEW, MANY, DUE = 200, 2000, 20
#: The measurement of claims, with less of everything.
SMALL = {"ROUNDS": 2, "ENDPOINTS": 10, "MAILBOXES": 5, "ROWS": 5, "SETTLED": 2, "OPEN_ROWS": 5}
STEPS_BETWEEN_CALLS = 10
#: What looks at everything each time, and says so: accounts with their checkpoints; debts, daily.
LOOKS_AT_ALL = {"K13", "K17"}


def silent(_sentence: str) -> None:
    """Hear of progress."""


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name the servers of each kind in the environment, as who measures does."""
    if request.param == "postgresql":
        monkeypatch.setenv("TILLBELL_DATABASE_URL", request.getfixturevalue("postgresql_url"))
        monkeypatch.setenv("TILLBELL_BROKER_URL", "memory://")
    return str(request.param)


@pytest.mark.usefixtures("ground")
def test_reconciliation_finds_exactly_what_was_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else agrees: no check finds anything in rows that were copied."""
    monkeypatch.setattr(reconcile, "ROUNDS", 1)
    found = reconcile.measure(FEW, DUE, silent)
    assert FEW <= found["rows"]["remittances"] <= FEW + len(books.OWED)
    for occasion in ("full", "idle", "due"):
        seen = {check: each["found"] for check, each in found[occasion].items() if each["found"]}
        assert ({"K10": DUE} if occasion == "due" else {}) == seen
    assert (2 * DUE, 2 * DUE) == tuple(
        found["overdue"]["K10"][name] for name in ("found", "healed")
    )
    lines = table.lines({"ceiling": {"per_second": 1.0}, "reconcile": {"20": found, "200": found}})
    assert f"reconcile {FEW:,} open remittances, a thousand due" in {line[0] for line in lines}


@pytest.mark.usefixtures("ground")
def test_a_claim_is_measured_with_rows_behind_and_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step of each turn takes time, and the table has a line for it."""
    for name, value in SMALL.items():
        monkeypatch.setattr(claim, name, value)
    found = claim.claim(2 * claim.ENDPOINTS, claim.ENDPOINTS, silent)
    for turn in ("none", "behind", "in_front"):
        assert all(found[turn][step]["p50_ms"] > 0 for step in claim.STEPS)
    lines = list(
        table.lines({"ceiling": {"per_second": 1.0, "cpu_microseconds": 1.0}, "claim": found})
    )
    assert f"claim with {2 * claim.ENDPOINTS:,} settled rows behind" in {line[0] for line in lines}
    assert "p99 20 ms, 250 MB" == lines[-1][2]


class Meter:
    """Counts the instructions that SQLite runs for a stand, on all of its connections."""

    def __init__(self, stand: Stand) -> None:
        self.stand, self.steps = stand, 0
        engine = stand.application.database.engine
        event.listen(engine, "checkout", self._watch)

    def _watch(self, driver: Any, *_: object) -> None:
        driver.set_progress_handler(self._count, STEPS_BETWEEN_CALLS)

    def _count(self) -> None:
        self.steps += STEPS_BETWEEN_CALLS

    def of(self, check: str) -> int:
        """Run a check as the schedule does and return what it cost."""
        before = self.steps
        reconcile.look(self.stand, check, silent)
        return self.steps - before


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, tuple[int, int]]]:
    """Return what each check's routine look costs with few and with many rows, as many due."""
    with ExitStack() as stack:
        meters = []
        for rows in (FEW, MANY):
            folder = tmp_path_factory.mktemp(f"rows-{rows}")
            settings = {"database_url": f"sqlite:///{folder}/bench.db", "broker_url": "memory://"}
            stand = stack.enter_context(standing(folder, **settings))
            models = books.chain(stand)
            stand.relay()
            books.fill(stand, models, rows, silent)
            for check in CHECKS:
                reconcile.look(stand, check, silent, full=True)
            numbers = range(1, DUE + 1)
            books.plant_moved(stand, models, numbers, silent)
            books.plant_due(stand, numbers[: DUE // len(books.OWED)])
            meters.append(Meter(stand))
        few, many = meters
        yield {check: (few.of(check), many.of(check)) for check in CHECKS}


@pytest.mark.parametrize("check", sorted(set(CHECKS) - LOOKS_AT_ALL))
def test_a_routine_look_costs_what_is_due_or_moved(
    costs: Mapping[str, tuple[int, int]], check: str
) -> None:
    """With ten times as many open remittances, orders and wallets it costs no more."""
    few, many = costs[check]
    assert many <= few * 1.25 + 500


def test_what_looks_at_all_is_seen_to_grow(costs: Mapping[str, tuple[int, int]]) -> None:
    """The meter tells them apart: those that look at everything do cost more."""
    assert LOOKS_AT_ALL == {check for check, (few, many) in costs.items() if many > few * 3}
