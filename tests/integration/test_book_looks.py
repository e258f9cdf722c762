"""K13 to K15 between two sweeps: what stands open is looked at again, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import NamedTuple

import pytest
from sqlalchemy import ColumnElement, Table, select, update

from config.clock import FixedClock
from engine import ledger_checks
from engine.database import Database
from engine.ledger_tables import ledger_accounts
from engine.wallet_tables import wallet_transactions
from tests.chains import Chain, build_chain, place, top_up
from tests.reconciling import Reconciling, reconciling
from tests.tampering import tampering

#: Later than any identifier that is made while the test runs: nothing has moved since.
MUCH_LATER = timedelta(days=365 * 30)


@pytest.fixture
def scene(database: Database, clock: FixedClock) -> Iterator[Reconciling]:
    """Return a reconciler whose hints are acted upon."""
    with reconciling(database, clock) as it:
        yield it


@pytest.fixture
def chain(scene: Reconciling) -> Chain:
    """Return a chain whose wallets have moved, long ago."""
    chain = build_chain(scene.dispatch.units)
    top_up(scene.dispatch.units, chain.r, 10**6)
    place(scene.dispatch.units, chain, payment={"method": "prepaid"})
    scene.clock.advance(MUCH_LATER)
    return chain


def add(scene: Reconciling, table: Table, mine: ColumnElement[bool], name: str, more: int) -> None:
    """Change a number of one row behind the engine's back."""
    with tampering(scene.database) as connection:
        change = update(table).where(mine).values({name: table.c[name] + more})
        assert 1 == connection.execute(change).rowcount


def _wallet(chain: Chain) -> ColumnElement[bool]:
    return (ledger_accounts.c.book == chain.r) & (ledger_accounts.c.code == "wallet")


def _first_line(chain: Chain) -> ColumnElement[bool]:
    return (wallet_transactions.c.tenant_id == chain.r) & (wallet_transactions.c.seq == 1)


class Spot(NamedTuple):
    """A number that somebody changes: of which row, and which check finds it."""

    check: str
    table: Table
    row: Callable[[Chain], ColumnElement[bool]]
    name: str


SPOTS = (
    Spot("K13", wallet_transactions, _first_line, "available_minor"),
    Spot("K14", ledger_accounts, _wallet, "posted_debits"),
    Spot("K15", ledger_accounts, _wallet, "pending_credits"),
)


@pytest.mark.parametrize("spot", SPOTS, ids=[spot.check for spot in SPOTS])
def test_what_a_sweep_found_stands_until_it_is_mended(
    scene: Reconciling, chain: Chain, spot: Spot
) -> None:
    """Looks between sweeps, with nothing moved, find it again, and close it when it agrees."""
    assert {} == scene.found(spot.check)
    add(scene, spot.table, spot.row(chain), spot.name, 7)
    [found] = scene.found(spot.check).values()
    for _ in range(2):
        scene.clock.advance(timedelta(hours=1))
        assert {spot.check: found} == scene.found(spot.check, full=False)
    add(scene, spot.table, spot.row(chain), spot.name, -7)
    scene.clock.advance(timedelta(hours=1))
    assert {} == scene.found(spot.check, full=False)
    scene.settled(spot.check)


@pytest.mark.usefixtures("chain")
def test_a_look_between_sweeps_reads_nothing_where_nothing_moved(scene: Reconciling) -> None:
    """Of accounts, pairs and holds that are as they were none is counted."""
    for check in ("K14", "K15"):
        [sweep] = scene.run(check)
        assert sweep["scanned"] > 0
        scene.clock.advance(timedelta(hours=1))
        [look] = scene.run(check, full=False)
        assert (False, 0, "completed") == (look["sweep"], look["scanned"], look["state"])


def test_the_mirrors_of_accounts_that_moved_are_found_by_name(
    scene: Reconciling, chain: Chain
) -> None:
    """Whichever side of a pair moved, both are added up, and other pairs are not looked at."""
    add(scene, ledger_accounts, _wallet(chain), "posted_debits", 7)
    with scene.database.read() as connection:
        names = {
            (row.book, row.code)
            for row in connection.execute(select(ledger_accounts.c.book, ledger_accounts.c.code))
        }
        liability = {name for name in names if chain.r in name[1] and name[0] == "platform"}
        others = names - liability - {(chain.r, "wallet")}
        for asked, number in (({(chain.r, "wallet")}, 1), (liability, 1), (others, 0), (names, 1)):
            assert number == len(ledger_checks.unmirrored(connection, asked))
