"""Reversals on both databases: once, exactly opposite, whoever races for it."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from config.clock import FixedClock
from engine import ledger, ledger_checks, reversals, wallets
from engine.database import Database
from engine.errors import AlreadyReversed, IdempotencyKeyReused, InsufficientBalance, NotFound
from engine.ids import new_id
from engine.ledger_tables import holds, ledger_transactions
from engine.postings import Hold, Posting, top_up
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, build_chain, dump

RACERS = 8


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def posted(units: UnitsOfWork, chain: Chain, **changes: Any) -> dict[str, Any]:
    """Top R's wallet up by 100.00 and set 40.00 of it aside, in one transaction."""
    hold = Hold(
        payer_id=chain.r,
        amount_minor=4000,
        kind="discretionary",
        reason="manual",
        reference_id=new_id(),
    )
    posting = Posting(
        kind="top_up",
        reference_type="test",
        reference_id="1",
        idempotency_key="key",
        currency="INR",
        entries=top_up(chain.r, 10000),
        opens=(hold,),
    )
    with units.begin(actor="test") as work:
        return ledger.post(work, replace(posting, **changes))


def reverse(units: UnitsOfWork, transaction_id: str, **changes: Any) -> dict[str, Any]:
    """Reverse a transaction because of a bounced payment."""
    with units.begin(actor="anna") as work:
        return reversals.reverse(work, transaction_id, **{"reason": "bounced"} | changes)


def test_a_reversal_is_the_opposite_and_frees_what_was_set_aside(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Balances and holds are as before; who did it, why and of what is on the transaction."""
    first = posted(units, chain)
    undone = reverse(units, first["id"])
    with database.read() as connection:
        wallet = wallets.show(connection, chain.r)
        assert (0, 0) == (wallet["balance_minor"], wallet["pending_debits_minor"])
        assert ["released"] == list(connection.execute(select(holds.c.status)).scalars())
        assert undone == reversals.reversal_of(connection, first["id"])
        assert [] == ledger_checks.verify(connection)
    assert ("reversal", first["id"], "anna", {"reason": "bounced"}) == (
        undone["kind"],
        undone["reverses_id"],
        undone["posted_by"],
        undone["metadata"],
    )


def test_a_transaction_is_reversed_once(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A second reversal is refused and names the first; an unknown transaction is not found."""
    first = posted(units, chain)
    undone = reverse(units, first["id"])
    before = dump(database)
    with pytest.raises(AlreadyReversed) as refused:
        reverse(units, first["id"])
    assert undone["id"] == refused.value.details["reversed_by"]
    for unknown in (new_id(), "nonsense"):
        with pytest.raises(NotFound):
            reverse(units, unknown)
    assert before == dump(database)


def test_the_same_key_again_is_the_first_reversal(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A caller who asks again hears the same; another reason, or another key, is refused."""
    first = posted(units, chain)
    undone = reverse(units, first["id"], idempotency_key="k")
    before = dump(database)
    assert undone == reverse(units, first["id"], idempotency_key="k")
    with pytest.raises(IdempotencyKeyReused):
        reverse(units, first["id"], idempotency_key="k", reason="another")
    with pytest.raises(AlreadyReversed):
        reverse(units, first["id"], idempotency_key="other")
    assert before == dump(database)


def test_a_reversal_can_itself_be_reversed(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A correction made in error is corrected: the money is back, once."""
    first = posted(units, chain)
    undone = reverse(units, first["id"])
    reverse(units, undone["id"])
    with database.read() as connection:
        assert 10000 == wallets.show(connection, chain.r)["balance_minor"]
        assert [] == ledger_checks.verify(connection)


def test_of_many_that_race_one_reverses(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Whoever comes second, even before the first commits, is told that it was reversed."""
    first = posted(units, chain)
    outcomes: list[str] = []
    begin = threading.Barrier(RACERS)

    def race(number: int) -> None:
        begin.wait()
        try:
            reverse(units, first["id"], idempotency_key=f"racer {number}")
            outcomes.append("reversed")
        except AlreadyReversed:
            outcomes.append("refused")

    racers = [threading.Thread(target=race, args=(number,)) for number in range(RACERS)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert ["refused"] * (RACERS - 1) + ["reversed"] == sorted(outcomes)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        assert 2 == len(connection.execute(select(ledger_transactions)).all())


def test_a_correction_needs_no_funds(units: UnitsOfWork, database: Database, chain: Chain) -> None:
    """Money that was spent can be taken back; only what is spent by choice needs a balance."""
    first = posted(units, chain, opens=())
    spent = payment(top_up(chain.r, -8000), chain)
    with units.begin(actor="test") as work:
        ledger.post(work, spent)
    with pytest.raises(InsufficientBalance), units.begin(actor="test") as work:
        ledger.post(work, replace(spent, idempotency_key="again"))
    reverse(units, first["id"])
    with database.read() as connection:
        assert -8000 == wallets.show(connection, chain.r)["balance_minor"]


def payment(entries: Any, chain: Chain) -> Posting:
    """Return a payment out of R's wallet."""
    return Posting(
        kind="payment",
        reference_type="test",
        reference_id="2",
        idempotency_key="spent",
        currency="INR",
        entries=entries,
        paid_by=chain.r,
    )


def test_business_time_stands_beside_system_time(
    units: UnitsOfWork, clock: FixedClock, chain: Chain
) -> None:
    """A transaction keeps when it happened in the world and when it was written."""
    happened = clock.now() - timedelta(days=2)
    made = posted(units, chain, event_at=happened)
    assert (happened, clock.now()) == (made["event_at"], made["created_at"])
