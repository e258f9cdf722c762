"""Cash that was short, or too much: recorded at delivery, decided later, once (A9)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from config.errors import TillbellError
from engine import (
    accounts,
    cash_collections,
    differences,
    ledger_checks,
    order_rows,
    orders,
    remittances,
    tenants,
    wallets,
)
from engine.database import Database
from engine.errors import Forbidden, InvalidInput, InvalidStatus, NotFound
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, dump, place, raised
from tests.racing import together


def delivered(units: UnitsOfWork, chain: Chain, collected_minor: int) -> str:
    """Deliver an order of 155.00 that R collects, and return its id."""
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        for tenant_id in (chain.r, chain.d, chain.s):
            wallets.set_credit_limit(work, tenant_id, 10**9)
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
        orders.deliver(work, order_id, collected_minor=collected_minor)
    return order_id


def collection_of(database: Database, order_id: str) -> dict[str, Any]:
    """Return the collection of an order."""
    with database.read() as connection:
        found = cash_collections.of_order(connection, order_id)
    assert found is not None
    return found


def pay_all(units: UnitsOfWork, order_id: str) -> None:
    """Pay whatever is pending of an order."""
    with units.begin(actor="test") as work:
        for row in remittances.listing(work.connection, order_id=order_id, status="pending"):
            remittances.process(work, row["id"])


def decide(units: UnitsOfWork, collection: dict[str, Any], **decision: Any) -> dict[str, Any]:
    """Decide a difference as the operator."""
    with units.begin(actor="finance") as work:
        return differences.resolve(work, collection["id"], reason="counted again", **decision)


def book(database: Database, tenant_id: str) -> dict[str, int]:
    """Return what a tenant has on the accounts of cash and its differences."""
    codes = ("cod_cash", "shortage", "overage", "cash_over_short")
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        found = accounts.find(connection, [(tenant_id, code) for code in codes], "INR")
    balances = {code: accounts.balance(row) for (_, code), row in found.items()}
    return {code: balance for code, balance in balances.items() if balance}


def test_what_is_missing_waits_for_a_decision(units: UnitsOfWork, database: Database) -> None:
    """150 of 155: all debts are paid as if whole, and the collection still stands open as short."""
    chain = build_chain(units)
    order_id = delivered(units, chain, 15000)
    assert {"cod_cash": 15000, "shortage": 500} == book(database, chain.r)
    pay_all(units, order_id)
    assert "short" == collection_of(database, order_id)["status"]
    with database.read() as connection:
        assert "collected" == order_rows.get(connection, order_id)["payment_status"]
        assert [] == raised(connection, chain.r, "cod_collection.settled")


@pytest.mark.parametrize(
    ("collected_minor", "decision", "expected"),
    [
        (15000, "recovered", {"cod_cash": 15500}),
        (15000, "borne", {"cod_cash": 15000, "cash_over_short": 500}),
        (16000, "recovered", {"cod_cash": 15500}),
        (16000, "borne", {"cod_cash": 16000, "cash_over_short": -500}),
    ],
)
def test_a_decision_settles_the_collection(
    units: UnitsOfWork,
    database: Database,
    collected_minor: int,
    decision: str,
    expected: dict[str, int],
) -> None:
    """Cash that came or went back is cash again; what is borne is the collector's result."""
    chain = build_chain(units)
    order_id = delivered(units, chain, collected_minor)
    collection = collection_of(database, order_id)
    assert ("short" if collected_minor < 15500 else "disputed") == collection["status"]
    pay_all(units, order_id)
    decided = decide(units, collection, decision=decision)
    assert ("settled", decision, "finance", "counted again") == tuple(
        decided[name] for name in ("status", "resolution", "resolved_by", "resolution_reason")
    )
    assert expected == book(database, chain.r)
    with database.read() as connection:
        assert "settled" == order_rows.get(connection, order_id)["payment_status"]
        for name in ("resolved", "settled"):
            told = raised(connection, chain.r, f"cod_collection.{name}")
            assert [decision] == [each["resolution"] for each in told]


def test_a_loss_can_be_borne_by_another_level(units: UnitsOfWork, database: Database) -> None:
    """S bears R's missing 5: S owes D, D owes R; once paid R has its cash's worth."""
    chain = build_chain(units)
    order_id = delivered(units, chain, 15000)
    collection = collection_of(database, order_id)
    decided = decide(units, collection, decision="borne", borne_by=chain.s)
    assert ("pending", chain.s) == (decided["status"], decided["borne_by_id"])
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    made = [row for row in rows if row["reason"] == "difference"]
    assert [(chain.s, chain.d, 500, 1), (chain.d, chain.r, 500, 2)] == [
        (row["payer_id"], row["payee_id"], row["amount_minor"], row["hop"]) for row in made
    ]
    assert {"cash_over_short": 500} == book(database, chain.s)
    pay_all(units, order_id)
    assert "settled" == collection_of(database, order_id)["status"]
    assert {"cod_cash": 15000} == book(database, chain.r)
    with database.read() as connection:
        assert 500 - 13800 == wallets.show(connection, chain.r)["balance_minor"]


def test_too_much_can_be_handed_on(units: UnitsOfWork, database: Database) -> None:
    """R took 5 too much and they are S's: R owes D, D owes S a day later."""
    chain = build_chain(units)
    order_id = delivered(units, chain, 16000)
    decide(units, collection_of(database, order_id), decision="borne", borne_by=chain.s)
    with database.read() as connection:
        rows = remittances.listing(connection, order_id=order_id)
    made = [row for row in rows if row["reason"] == "difference"]
    assert [(chain.r, chain.d, 1), (chain.d, chain.s, 2)] == [
        (row["payer_id"], row["payee_id"], row["hop"]) for row in made
    ]
    assert made[0]["due_date"] < made[1]["due_date"]


@pytest.mark.parametrize("borne_by", ["r", "s"])
def test_a_return_undoes_the_decision_too(
    units: UnitsOfWork, database: Database, borne_by: str
) -> None:
    """Decided, in part paid, returned: nothing is left on any account once all is given back."""
    chain = build_chain(units)
    order_id = delivered(units, chain, 15000)
    collection = collection_of(database, order_id)
    decide(units, collection, decision="borne", borne_by=getattr(chain, borne_by))
    with units.begin(actor="test") as work:
        for row in remittances.listing(work.connection, order_id=order_id)[::2]:
            remittances.process(work, row["id"])
    with units.begin(actor="test") as work:
        orders.return_(work, order_id)
    pay_all(units, order_id)
    for tenant_id in (chain.r, chain.d, chain.s):
        assert {} == book(database, tenant_id)
        with database.read() as connection:
            assert 0 == wallets.show(connection, tenant_id)["balance_minor"]


def test_a_difference_is_decided_once(units: UnitsOfWork, database: Database) -> None:
    """Eight people decide at once: one does, the others hear what status it has."""
    chain = build_chain(units)
    collection = collection_of(database, delivered(units, chain, 15000))
    call = partial(
        differences.resolve, collection_id=collection["id"], decision="borne", reason="lost"
    )
    assert {"done": 1, "INVALID_STATUS": 7} == together(units, [call] * 8)
    assert {"cod_cash": 15000, "cash_over_short": 500} == book(database, chain.r)


@pytest.mark.parametrize(
    ("refusal", "given"),
    [
        (InvalidInput, {"decision": "forgotten"}),
        (InvalidInput, {"reason": "  "}),
        (InvalidInput, {"reason": "x" * 501}),
        (InvalidInput, {"borne_by": "stranger"}),
        (InvalidInput, {"borne_by": "somebody"}),
        (InvalidInput, {"decision": "recovered", "borne_by": "r"}),
        (Forbidden, {"tenant_id": "r"}),
        (NotFound, {"tenant_id": "d"}),
        (NotFound, {"tenant_id": "stranger"}),
        (NotFound, {"collection_id": "7"}),
    ],
)
def test_a_wrong_decision_changes_nothing(
    units: UnitsOfWork,
    database: Database,
    refusal: type[TillbellError],
    given: dict[str, Any],
) -> None:
    """Words that are none, tenants that have no part, collections that are not there."""
    chain = build_chain(units)
    collection = collection_of(database, delivered(units, chain, 15000))
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    ids = {"r": chain.r, "d": chain.d, "stranger": stranger}
    asked: dict[str, Any] = {"decision": "borne", "reason": "lost"}
    asked |= {"collection_id": collection["id"]}
    asked |= {name: ids.get(value, value) for name, value in given.items()}
    check_refused(units, database, refusal, lambda work: differences.resolve(work, **asked))


def test_whole_cash_has_nothing_to_decide(units: UnitsOfWork, database: Database) -> None:
    """A collection without a difference is refused with its status."""
    chain = build_chain(units)
    collection = collection_of(database, delivered(units, chain, 15500))
    decision = partial(
        differences.resolve, collection_id=collection["id"], decision="borne", reason="lost"
    )
    refused = check_refused(units, database, InvalidStatus, decision)
    assert "pending" == refused.details["current_status"]


def check_refused(
    units: UnitsOfWork,
    database: Database,
    refusal: type[TillbellError],
    call: Callable[[UnitOfWork], Any],
) -> TillbellError:
    """Check that a call is refused by name and leaves every row of every table as it was."""
    before = dump(database)
    with pytest.raises(refusal) as refused, units.begin(actor="test") as work:
        call(work)
    assert before == dump(database)
    return refused.value


def test_cash_out_of_all_proportion_is_refused(units: UnitsOfWork, database: Database) -> None:
    """A slip of many digits fills no account, and no row of any table differs."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")
    before = dump(database)
    with pytest.raises(InvalidInput, match="far more"), units.begin(actor="test") as work:
        orders.deliver(work, order_id, collected_minor=2**53 - 1)
    assert before == dump(database)
