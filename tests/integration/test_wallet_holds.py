"""Money set aside by hand on both databases: by whom, for how long, and freed once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from config.clock import FixedClock
from config.errors import TillbellError
from engine import ledger_checks, wallet_holds, wallet_transactions, wallets
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.chains import build_chain, dump, place, top_up
from tests.conftest import START
from tests.racing import together


def hold(units: UnitsOfWork, tenant_id: str, amount_minor: int = 3000, **given: Any) -> Any:
    """Set money aside for a dispute."""
    with units.begin(actor="test") as work:
        return wallet_holds.hold(work, tenant_id, amount_minor, **{"reason": "dispute", **given})


def spendable(database: Database, tenant_id: str) -> Any:
    """Return what a tenant may spend, in minor units."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        return wallets.show(connection, tenant_id)["spendable_minor"]


def test_a_hold_keeps_money_until_it_is_released(units: UnitsOfWork, database: Database) -> None:
    """Held by the platform with a reason, freed by it with another."""
    chain = build_chain(units)
    top_up(units, chain.r, 5000)
    row = hold(units, chain.r, by=chain.s)
    assert ("open", "dispute", None) == (row["status"], row["note"], row["expires_at"])
    assert 2000 == spendable(database, chain.r)
    with units.begin(actor="test") as work:
        row = wallet_holds.release(work, row["id"], reason="settled", by=chain.d)
    assert ("released", START) == (row["status"], row["closed_at"])
    assert 5000 == spendable(database, chain.r)


@pytest.mark.parametrize(("amount", "taken"), [(None, 3000), (1200, 1200), (3000, 3000)])
def test_a_hold_is_taken_whole_or_in_part(
    units: UnitsOfWork, database: Database, amount: int | None, taken: int
) -> None:
    """The platform earns what it takes, the rest is free, though credit was withdrawn meanwhile."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 3000)
    row = hold(units, chain.r)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 0)
        row = wallet_holds.capture(work, row["id"], amount, reason="damaged", by=chain.s)
    assert "captured" == row["status"]
    assert -taken == spendable(database, chain.r)
    with database.read() as connection:
        found = wallet_transactions.listing(connection, chain.r, limit=2)["data"]
    assert [("debit", taken, "damaged"), ("release", 3000, "damaged")] == [
        (line["type"], line["amount_minor"], line["description"]) for line in found
    ]


@pytest.mark.parametrize("amount", [0, -1, 3001])
def test_no_more_is_taken_than_is_held(units: UnitsOfWork, database: Database, amount: int) -> None:
    """Nothing, less, or more than the hold is refused and changes nothing; so is a second time."""
    chain = build_chain(units)
    top_up(units, chain.r, 5000)
    row = hold(units, chain.r)
    before = dump(database)
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallet_holds.capture(work, row["id"], amount, reason="damaged")
    assert "INVALID_AMOUNT" == refused.value.code
    assert before == dump(database)
    with units.begin(actor="test") as work:
        wallet_holds.capture(work, row["id"], reason="damaged")
    before = dump(database)
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallet_holds.capture(work, row["id"], reason="damaged")
    assert ("INVALID_STATUS", "captured") == (
        refused.value.code,
        refused.value.details["current_status"],
    )
    assert before == dump(database)


def test_a_hold_expires_at_its_instant(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Not a moment before; two sweeps free it once, and what has no end stays."""
    chain = build_chain(units)
    top_up(units, chain.r, 10000)
    ends = START + timedelta(hours=1)
    row = hold(units, chain.r, expires_at=ends)
    hold(units, chain.r)
    clock.advance(timedelta(minutes=59))
    for minutes, freed in ((0, []), (1, [row["id"]]), (0, [])):
        clock.advance(timedelta(minutes=minutes))
        with units.begin(actor="sweep") as work:
            found = [each["id"] for each in wallet_holds.due(work.connection, work.now)]
            assert freed == found
            assert freed == wallet_holds.expire(work, [row["id"]], work.now)
    with database.read() as connection:
        assert "expired" == wallet_holds.get(connection, row["id"])["status"]
        assert 1 == len(wallet_holds.open_holds(connection, chain.r))
    assert 7000 == spendable(database, chain.r)


def test_the_reconciler_frees_what_expired(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """K15 frees what has expired by now, once; asked about tomorrow it frees no more."""
    chain = build_chain(units)
    top_up(units, chain.r, 10000)
    for hours in (1, 2, 30):
        hold(units, chain.r, expires_at=START + timedelta(hours=hours))
    clock.advance(timedelta(hours=3))
    runs = []
    for as_of in (START + timedelta(days=2), None, None):
        [row] = Runner(units).run(["K15.expired"], actor="test", as_of=as_of)
        runs.append((row["found"], row["healed"]))
    assert [(3, 2), (0, 0), (0, 0)] == runs
    assert 7000 == spendable(database, chain.r)


def test_release_and_expiry_race_once(
    units: UnitsOfWork, database: Database, clock: FixedClock
) -> None:
    """Ten releases, captures and sweeps of one expired hold: it ends once."""
    chain = build_chain(units)
    top_up(units, chain.r, 5000)
    row = hold(units, chain.r, expires_at=START + timedelta(seconds=1))
    clock.advance(timedelta(seconds=1))
    freed: list[str] = []
    calls = [
        lambda work: wallet_holds.release(work, row["id"], reason="done"),
        lambda work: wallet_holds.capture(work, row["id"], reason="done"),
        lambda work: freed.extend(wallet_holds.expire(work, [row["id"]], work.now)),
    ]
    ended = together(units, calls * 10)
    by_hand = 20 - ended["INVALID_STATUS"]
    assert 30 == ended["done"] + ended["INVALID_STATUS"]
    assert 1 == by_hand + len(freed)
    with database.read() as connection:
        status = wallet_holds.get(connection, row["id"])["status"]
    left = 2000 if status == "captured" else 5000
    assert left == spendable(database, chain.r)


@pytest.mark.parametrize(("by", "code"), [("r", "FORBIDDEN"), ("other", "NOT_FOUND")])
def test_nobody_below_holds_or_frees(
    units: UnitsOfWork, database: Database, by: str, code: str
) -> None:
    """The owner may neither hold nor free its money, and a stranger does not know the wallet."""
    chain = build_chain(units)
    other = build_chain(units).s
    top_up(units, chain.r, 5000)
    row = hold(units, chain.r, 1000)
    tenant_id = {"r": chain.r, "other": other}[by]
    before = dump(database)
    with pytest.raises(TillbellError) as refused:
        hold(units, chain.r, by=tenant_id)
    assert code == refused.value.code
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallet_holds.release(work, row["id"], reason="mine", by=tenant_id)
    assert code == refused.value.code
    assert before == dump(database)


def test_the_hold_of_an_order_ends_with_it(units: UnitsOfWork, database: Database) -> None:
    """What an order set aside is not freed by hand."""
    chain = build_chain(units)
    top_up(units, chain.r, 20000)
    place(units, chain, payment={"method": "prepaid"})
    with database.read() as connection:
        row = wallet_holds.open_holds(connection, chain.r)[0]
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallet_holds.release(work, row["id"], reason="mine")
    assert "FORBIDDEN" == refused.value.code
    assert 6200 == spendable(database, chain.r)


def test_the_same_key_holds_once(units: UnitsOfWork, database: Database) -> None:
    """A repeated request is answered with the first hold."""
    chain = build_chain(units)
    top_up(units, chain.r, 5000)
    ends = START + timedelta(days=1)
    rows = [hold(units, chain.r, expires_at=ends, idempotency_key="k") for _ in range(2)]
    assert rows[0] == rows[1]
    with pytest.raises(TillbellError) as refused:
        hold(units, chain.r, idempotency_key="k")
    assert "IDEMPOTENCY_KEY_REUSED" == refused.value.code
    assert 2000 == spendable(database, chain.r)
