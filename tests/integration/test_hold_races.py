"""Releasing a hold or reversing what opened it: one of them ends it, and nobody deadlocks."""

from __future__ import annotations

from collections import Counter
from functools import partial

from sqlalchemy import select

from engine import ledger_checks, reversals, wallet_holds, wallets
from engine.database import Database
from engine.ledger_tables import holds, ledger_transactions
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, top_up
from tests.racing import Call, together

HOLDS = 40


def test_releasing_and_reversing_at_once_lock_in_one_order(
    units: UnitsOfWork, database: Database
) -> None:
    """Forty holds are each released, taken and reversed at once: no deadlock, the books agree."""
    chain = build_chain(units)
    top_up(units, chain.r, 100_000)
    calls: list[Call] = []
    for _ in range(HOLDS):
        with units.begin(actor="test") as work:
            hold = wallet_holds.hold(work, chain.r, 1000, reason="race")
        calls += [
            partial(wallet_holds.release, hold_id=hold["id"], reason="r"),
            partial(reversals.reverse, transaction_id=hold["opened_by_id"], reason="r"),
            partial(wallet_holds.capture, hold_id=hold["id"], amount_minor=1, reason="r"),
        ]
    ended = together(units, calls)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        assert 0 == wallets.show(connection, chain.r)["pending_debits_minor"]
        ended_by = connection.execute(
            select(ledger_transactions.c.kind).join_from(
                holds, ledger_transactions, ledger_transactions.c.id == holds.c.closed_by_id
            )
        )
        kinds = Counter(ended_by.scalars())
    # Every reversal is made; of release and capture none where the reversal ended the hold.
    assert HOLDS == kinds.total()
    assert {"done": 2 * HOLDS - kinds["reversal"], "INVALID_STATUS": HOLDS + kinds["reversal"]} == (
        ended
    )
