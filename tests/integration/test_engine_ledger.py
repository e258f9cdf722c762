"""The ledger on both databases: balanced or refused, and a checker that finds planted defects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Update, update

from engine import ledger, ledger_checks, wallets
from engine.database import Database
from engine.errors import BooksDoNotBalance, IdempotencyKeyReused, NotFound
from engine.ledger_tables import holds, ledger_accounts, ledger_entries
from engine.postings import Close, Entry, Posting, top_up
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, deliver, dump, place
from tests.racing import at_once
from tests.tampering import tampering

POSTING = Posting(
    kind="top_up",
    reference_type="test",
    reference_id="1",
    idempotency_key="key",
    currency="INR",
)


def test_a_key_is_one_posting(units: UnitsOfWork, database: Database) -> None:
    """The same posting again is the first; another under its key is refused."""
    chain = build_chain(units)
    posting = replace(POSTING, entries=top_up(chain.r, 100))
    with units.begin(actor="test") as work:
        first = ledger.post(work, posting)
    before = dump(database)
    with units.begin(actor="test") as work:
        assert first["id"] == ledger.post(work, posting)["id"]
    with pytest.raises(IdempotencyKeyReused), units.begin(actor="test") as work:
        ledger.post(work, replace(posting, entries=top_up(chain.r, 101)))
    assert before == dump(database)


@pytest.mark.fault("F27")
def test_a_key_is_one_posting_whoever_races_for_it(units: UnitsOfWork, database: Database) -> None:
    """F27: fifty at once under one key, five of them with another amount: one effect."""
    chain = build_chain(units)

    def post(amount: int) -> None:
        with units.begin(actor="race") as work:
            ledger.post(work, replace(POSTING, entries=top_up(chain.r, amount)))

    amounts = [101 if number % 10 == 0 else 100 for number in range(50)]
    outcomes = at_once([partial(post, amount) for amount in amounts])
    with database.read() as connection:
        balance = wallets.show(connection, chain.r)["balance_minor"]
        assert [] == ledger_checks.verify(connection)
    same = amounts.count(balance)
    assert {"done": same, "IDEMPOTENCY_KEY_REUSED": 50 - same} == outcomes
    assert same in {5, 45}


def test_what_does_not_balance_is_not_written(units: UnitsOfWork, database: Database) -> None:
    """Every book must add up by itself; a wallet without its mirror does not."""
    chain = build_chain(units)
    before = dump(database)
    entries = (Entry(chain.r, "wallet", 100), Entry("platform", "bank", -100))
    with pytest.raises(BooksDoNotBalance), units.begin(actor="test") as work:
        ledger.post(work, replace(POSTING, entries=entries))
    assert before == dump(database)


def test_a_hold_that_is_not_open_cannot_be_closed(units: UnitsOfWork, database: Database) -> None:
    """Capturing what was never set aside is refused."""
    chain = build_chain(units)
    before = dump(database)
    close = Close(reason="order", reference_id=chain.r, status="captured")
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        ledger.post(work, replace(POSTING, closes=(close,)))
    assert before == dump(database)


def counters(code: str, **values: Any) -> Callable[[str], Update]:
    """Return a defect in an account of a tenant's book."""
    return lambda tenant: (
        update(ledger_accounts)
        .where(ledger_accounts.c.book == tenant, ledger_accounts.c.code.like(code))
        .values(**values)
    )


@pytest.mark.parametrize(
    ("checks", "defect"),
    [
        ({"L1", "L2"}, lambda _: update(ledger_entries).values(amount_minor=1)),
        ({"L2"}, lambda _: update(ledger_entries).values(previous_balance=7)),
        ({"L2"}, lambda _: update(ledger_entries).values(account_version=9)),
        ({"L2", "L3"}, counters("pay>%", posted_credits=1)),
        ({"L4", "L7"}, counters("wallet", pending_credits=1)),
        ({"L4"}, lambda _: update(holds).values(status="released")),
    ],
)
def test_each_planted_defect_is_found(
    units: UnitsOfWork,
    database: Database,
    checks: set[str],
    defect: Callable[[str], Update],
) -> None:
    """A changed entry, chain, counter or hold is named by the invariant it breaks."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    with tampering(database) as connection:
        assert [] == ledger_checks.verify(connection)
        connection.execute(defect(chain.r))
        found = ledger_checks.verify(connection)
    assert checks == {finding["check"] for finding in found}
