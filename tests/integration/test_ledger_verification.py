"""Verification finds and names every tampered row, costs what is new, and stops for nobody."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from config.clock import FixedClock
from engine import ledger_checks, ledger_verification, ledger_walk
from engine.database import Database
from engine.ledger_tables import ledger_entries
from engine.ledger_verification import Verification
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain
from tests.faults.plugin import Reached
from tests.ledgers import (
    TAMPERINGS,
    Newest,
    Tampering,
    changed_amount,
    changed_counter,
    deleted_entry,
    dice,
    fill,
    names,
)
from tests.tampering import tampering, unguarded

TRANSACTIONS = 250


class PutBackError(Exception):
    """Ends a transaction that tampered, so that nothing of it stays."""


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001, whose books hold some hundred entries."""
    chain = build_chain(units)
    fill(units, chain, 40)
    return chain


def verify(database: Database, clock: FixedClock, *, full: bool = False) -> Verification:
    """Verify the ledger at the clock's instant."""
    return ledger_verification.verify(database, clock.now(), full=full)


@pytest.mark.fault("F59")
def test_every_tampered_row_is_found_and_named(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """F59: of thousands of entries one is changed, in each of ten ways, twice."""
    fill(units, build_chain(units), reached.times(TRANSACTIONS, 2500))
    with database.read() as connection:
        count = connection.execute(select(func.count()).select_from(ledger_entries)).scalar_one()
        assert count > 2000
        assert [] == ledger_checks.verify(connection)
    random = dice(59)
    for tamper in TAMPERINGS * 2:
        with suppress(PutBackError), database.write() as connection, unguarded(connection):
            expected = tamper(connection, random)
            found = ledger_checks.verify(connection)
            for each in expected:
                assert any(names(finding, each) for finding in found), (tamper, each, found)
            raise PutBackError
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
    tampered, kind = 2 * len(TAMPERINGS), database.engine.dialect.name
    reached.says("F59", f"1 of {count:,} entries, {tampered} times: each found and named ({kind})")


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("tamper", TAMPERINGS)
def test_a_full_look_finds_it_in_short_transactions(
    database: Database,
    clock: FixedClock,
    monkeypatch: pytest.MonkeyPatch,
    tamper: Tampering,
) -> None:
    """However the chains are cut into batches, the same row is named, now and next time."""
    monkeypatch.setattr(ledger_walk, "BATCH_ENTRIES", 37)
    assert [] == verify(database, clock, full=True).findings
    with tampering(database) as connection:
        expected = tamper(connection, dice(3))
    for full in (True, False):
        found = verify(database, clock, full=full).findings
        for each in expected:
            assert any(names(finding, each) for finding in found), (each, found)


@pytest.mark.usefixtures("chain")
def test_one_changed_amount_is_two_findings(database: Database, clock: FixedClock) -> None:
    """The entry and its transaction are named; the rows behind it are not accused."""
    with tampering(database) as connection:
        changed_amount(connection, dice(1))
    found = verify(database, clock, full=True).findings
    assert ["L1", "L2"] == sorted(each["check"] for each in found)


def test_a_routine_look_reads_what_is_new(
    units: UnitsOfWork, database: Database, clock: FixedClock, chain: Chain
) -> None:
    """The first reads all, the next nothing, and after new postings only their entries."""
    everything = verify(database, clock)
    assert ("full", 40) == (everything.mode, everything.transactions)
    nothing = verify(database, clock)
    assert ("new", 0, 0) == (nothing.mode, nothing.entries, nothing.transactions)
    fill(units, chain, 3, start=41)
    new = verify(database, clock)
    assert (27, 3, []) == (new.entries, new.transactions, new.findings)
    assert everything.entries + 27 == verify(database, clock, full=True).entries


@pytest.mark.usefixtures("chain")
@pytest.mark.parametrize("tamper", [changed_counter, deleted_entry])
def test_a_routine_look_compares_every_account(
    database: Database, clock: FixedClock, tamper: Tampering
) -> None:
    """A changed counter or a newest entry that is gone is found though nothing was posted."""
    verify(database, clock)
    with tampering(database) as connection:
        [expected, *_] = tamper(connection, Newest())
    assert any(names(finding, expected) for finding in verify(database, clock).findings)


@pytest.mark.usefixtures("chain")
def test_what_was_verified_is_read_again_by_a_full_look_only(
    database: Database, clock: FixedClock
) -> None:
    """An old row changed behind a checkpoint waits for the full look; then it stays found."""
    verify(database, clock)
    with tampering(database) as connection:
        changed_amount(connection, dice(2))
    assert [] == verify(database, clock).findings
    assert verify(database, clock, full=True).findings
    assert verify(database, clock).findings


def test_a_look_since_trusts_what_was_before(
    units: UnitsOfWork, database: Database, clock: FixedClock, chain: Chain
) -> None:
    """Only entries of that time on are read; a change among them is found, one before is not."""
    clock.advance(timedelta(hours=1))
    since = clock.now()
    fill(units, chain, 2, start=41)
    done = ledger_verification.verify(database, clock.now(), since=since)
    assert ("since", 18, []) == (done.mode, done.entries, done.findings)
    with tampering(database) as connection:
        changed_amount(connection, Newest())
    found = ledger_verification.verify(database, clock.now(), since=since).findings
    assert {"amount_minor", "sum"} <= {each["field"] for each in found}
    assert not ledger_verification.verify(
        database, clock.now(), since=since + timedelta(seconds=1)
    ).entries


def test_postings_go_on_while_the_books_are_verified(
    units: UnitsOfWork,
    database: Database,
    clock: FixedClock,
    chain: Chain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is posted between two batches is neither waited for nor taken for drift."""
    monkeypatch.setattr(ledger_walk, "BATCH_ENTRIES", 20)
    seen: list[int] = []

    def post(read: int, _total: int) -> None:
        fill(units, chain, 1, start=100 + len(seen))
        seen.append(read)

    done = ledger_verification.verify(database, clock.now(), full=True, progress=post)
    assert ([], True) == (done.findings, len(seen) > 10)
    assert sorted(seen) == seen
    assert [] == verify(database, clock).findings
