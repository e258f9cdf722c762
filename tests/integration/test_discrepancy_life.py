"""The life of a discrepancy over runs: found, found again, gone; one row however many look."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from config.clock import FixedClock
from engine.database import Database
from engine.ids import new_id
from engine.ledger_tables import ledger_accounts
from reconciler import discrepancies, discrepancy_views
from reconciler.book_checks import BOOKS_BALANCE
from reconciler.check import Finding
from reconciler.discrepancies import Noting
from tests.chains import build_chain, top_up
from tests.conftest import START
from tests.reconciling import Reconciling, reconciling


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


def test_a_discrepancy_is_open_until_it_is_gone(scene: Reconciling) -> None:
    """Found again it stays one row with its first moment; mended by people it is closed."""
    top_up(scene.dispatch.units, build_chain(scene.dispatch.units).r, 100)
    tampered = ledger_accounts.c.code == "wallet"

    def counters(value: int) -> None:
        with scene.database.write() as connection:
            connection.execute(
                update(ledger_accounts).where(tampered).values(pending_credits=value)
            )

    counters(5)
    assert {"K13": (1, 0)} == scene.found("K13")
    scene.clock.advance(timedelta(hours=1))
    assert {"K13": (1, 0)} == scene.found("K13")
    with scene.database.read() as connection:
        [standing] = discrepancy_views.listing(connection, status="open")
    assert ("critical", 95, 100, None) == (
        standing["severity"],
        standing["expected"],
        standing["actual"],
        standing["heal_action"],
    )
    assert (START, scene.clock.now()) == (standing["first_seen_at"], standing["last_seen_at"])
    counters(0)
    assert {} == scene.found("K13")
    assert [("K13", "healed")] == scene.discrepancies()
    counters(6)
    scene.found("K13")
    assert [("K13", "healed"), ("K13", "open")] == scene.discrepancies()


def test_two_runs_that_find_the_same_note_it_once(scene: Reconciling) -> None:
    """A run beside the scheduler's waits for its note and adds none of its own."""
    finding, units = Finding("account x", 0, 5), scene.dispatch.units

    def note() -> None:
        with units.begin(actor="two", source="reconciler") as work:
            discrepancies.note(work, Noting(BOOKS_BALANCE, new_id()), [finding])
        done.set()

    done, beside = threading.Event(), threading.Thread(target=note)
    with units.begin(actor="one", source="reconciler") as work:
        discrepancies.note(work, Noting(BOOKS_BALANCE, new_id()), [finding])
        beside.start()
        beside.join(0.2)  # time enough to look before the other's note is there
    beside.join(10)
    assert done.is_set()
    assert [("K13", "open")] == scene.discrepancies()
