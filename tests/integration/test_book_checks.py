"""K13 to K16 on both databases: drift is named, frozen and never healed; holds are released."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, select, update

from config.clock import FixedClock
from engine import account_freezes, wallets
from engine.database import Database
from engine.errors import AccountFrozen
from engine.ledger_tables import account_freezes as freezes
from engine.ledger_tables import holds, ledger_accounts
from engine.unit_of_work import UnitsOfWork
from tests.chains import build_chain, deliver, place, raised, top_up
from tests.reconciling import Reconciling, reconciling
from tests.tampering import tampering


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


def tamper(scene: Reconciling, tenant_id: str) -> str:
    """Change a counter of a wallet behind the engine's back and return the account."""
    mine = (ledger_accounts.c.book == tenant_id) & (ledger_accounts.c.code == "wallet")
    more = {"posted_debits": ledger_accounts.c.posted_debits + 7}
    with tampering(scene.database) as connection:
        changed = update(ledger_accounts).where(mine).values(more).returning(ledger_accounts.c.id)
        return str(connection.execute(changed).scalar_one())


def test_drift_freezes_the_account_and_tells_the_platform(scene: Reconciling) -> None:
    """A counter that moved alone: the account takes nothing more, the owner above hears, once."""
    units = scene.dispatch.units
    chain = build_chain(units)
    top_up(units, chain.r, 10**6)
    assert {} == scene.found("K13")
    account_id = tamper(scene, chain.r)
    [first] = scene.run("K13", full=False)
    assert first["found"] == first["failed"] > 0
    with scene.database.read() as connection:
        told = raised(connection, chain.s, "reconciliation.discrepancy")
        [frozen] = connection.execute(select(freezes)).mappings()
    assert first["found"] == len(told)
    assert {"K13"} == {each["check"] for each in told}
    assert (account_id, "test") == (frozen["account_id"], frozen["frozen_by"])
    with pytest.raises(AccountFrozen), units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 1)
    before = scene.content()
    assert first["found"] == scene.run("K13")[0]["found"]
    assert before == scene.content()
    with units.begin(actor="test") as work:
        account_freezes.unfreeze(work, account_id, reason="looked")
    scene.run("K13")
    with scene.database.read() as connection:
        assert 1 == len(account_freezes.history(connection, account_id))


def test_what_people_unfroze_is_frozen_once_more_only_when_it_looks_different(
    scene: Reconciling,
) -> None:
    """A drift that stands open froze once; another drift of the same account freezes again."""
    units = scene.dispatch.units
    chain = build_chain(units)
    top_up(units, chain.r, 10**6)
    account_id = tamper(scene, chain.r)
    scene.run("K13")
    with units.begin(actor="test") as work:
        account_freezes.unfreeze(work, account_id, reason="looked")
    with tampering(scene.database) as connection:
        mine = update(ledger_accounts).where(ledger_accounts.c.id == account_id)
        connection.execute(mine.values(posted_credits=ledger_accounts.c.posted_credits + 3))
    scene.run("K13")
    with scene.database.read() as connection:
        assert 2 == len(account_freezes.history(connection, account_id))


def test_a_dry_run_remembers_nothing(scene: Reconciling) -> None:
    """It finds the drift, and not even how far it read is written down."""
    chain = build_chain(scene.dispatch.units)
    top_up(scene.dispatch.units, chain.r, 10**6)
    tamper(scene, chain.r)
    before = scene.everything()
    [row] = scene.run("K13", dry_run=True)
    assert row["found"] == row["failed"] > 0
    after = scene.everything()
    assert {**before, "runs": []} == {**after, "runs": []}


def test_money_that_moves_meanwhile_is_no_drift(scene: Reconciling, units: UnitsOfWork) -> None:
    """Between any two queries of the checks another transaction commits; nothing is found."""
    chain = build_chain(units)
    top_up(units, chain.r, 10**6)
    place(units, chain, number="before", payment={"method": "prepaid"})
    numbers, me = iter(range(1000)), threading.get_ident()

    def move_money(*arguments: Any) -> None:
        if threading.get_ident() == me and arguments[2].lstrip().startswith("SELECT"):
            asked = {"number": f"during-{next(numbers)}", "payment": {"method": "prepaid"}}
            mover = threading.Thread(target=place, args=(units, chain), kwargs=asked)
            mover.start()
            mover.join(10)

    event.listen(scene.database.engine, "after_cursor_execute", move_money)
    try:
        found = scene.found("K13", "K14", "K15", dry_run=True)
    finally:
        event.remove(scene.database.engine, "after_cursor_execute", move_money)
    assert {} == found
    assert next(numbers) >= 5
    assert {} == scene.found("K13", "K14", "K15")


def test_a_hold_of_a_shipped_order_is_released_and_of_an_open_one_left(
    scene: Reconciling,
) -> None:
    """Only what is set aside for nothing is freed, with a posting that names it."""
    units = scene.dispatch.units
    chain = build_chain(units)
    top_up(units, chain.r, 10**6)
    deliver(units, place(units, chain))
    place(units, chain, number="held", payment={"method": "prepaid"})
    assert {} == scene.found("K15")
    with tampering(scene.database) as connection:
        [one] = connection.execute(
            select(holds.c.id).where(holds.c.status == "open", holds.c.reason == "order")
        ).scalars()
        connection.execute(
            update(holds).where(holds.c.id == one).values(reference_id=chain.product_id)
        )
    assert {"K15": (1, 1)} == scene.found("K15")
    with scene.database.read() as connection:
        row = connection.execute(select(holds).where(holds.c.id == one)).mappings().one()
    assert ("released", True) == (row["status"], row["closed_by_id"] is not None)
    assert {} == scene.found("K13", "K14", "K15", "K16")
    scene.settled("K15")
