"""Payouts on both databases: asked for, decided once, paid from the money that was set aside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from config.errors import TillbellError
from dispatcher.examples import EXAMPLES
from engine import ledger_checks, payouts, programs, relationships, wallets
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, build_chain, dump, raised, top_up
from tests.racing import together

DECISIONS: dict[str, Callable[..., Any]] = {
    "approve": payouts.approve,
    "reject": partial(payouts.reject, reason="no"),
    "complete": partial(payouts.complete, reference="UTR-1"),
    "cancel": partial(payouts.cancel, reason="no"),
}
#: Each status a payout can have, by the decisions that lead there.
PATHS = {
    "requested": [],
    "approved": ["approve"],
    "rejected": ["reject"],
    "completed": ["approve", "complete"],
    "cancelled": ["cancel"],
}


def requested(units: UnitsOfWork, tenant_id: str, amount_minor: int = 30000) -> str:
    """Request a payout and return its id."""
    with units.begin(actor="test") as work:
        return str(payouts.request(work, tenant_id, amount_minor)["id"])


def decide(units: UnitsOfWork, payout_id: str, *actions: str, by: str | None = None) -> Any:
    """Take decisions one after the other, and return the payout."""
    row = None
    for action in actions:
        with units.begin(actor="test") as work:
            row = DECISIONS[action](work, payout_id, by=by)
    return row


def figures(database: Database, tenant_id: str) -> tuple[int, int, int, int]:
    """Return balance, available, pending debits and everything ever paid, in minor units."""
    with database.read() as connection:
        wallet = wallets.show(connection, tenant_id)
    names = ("balance", "available_balance", "pending_debits", "total_paid_out")
    balance, available, pending, paid = (int(wallet[f"{name}_minor"]) for name in names)
    return balance, available, pending, paid


def test_a_payout_is_set_aside_and_paid(units: UnitsOfWork, database: Database) -> None:
    """Requested: 300 of 1,000 are set aside; completed: they left wallet and bank (A2)."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    payout_id = requested(units, chain.r)
    assert (100000, 70000, 30000, 0) == figures(database, chain.r)
    decide(units, payout_id, "approve")
    assert (100000, 70000, 30000, 0) == figures(database, chain.r)
    row = decide(units, payout_id, "complete", by=chain.s)
    assert ("completed", "UTR-1") == (row["status"], row["reference"])
    assert row["transaction_id"] is not None
    assert (70000, 70000, 0, 30000) == figures(database, chain.r)
    with database.read() as connection:
        assert row == payouts.get(connection, payout_id)
        assert [] == ledger_checks.verify(connection)


@pytest.mark.parametrize("path", [["reject"], ["cancel"], ["approve", "cancel"]])
def test_what_is_not_paid_is_free_again(
    units: UnitsOfWork, database: Database, path: list[str]
) -> None:
    """Rejected or cancelled, the money can be spent as before."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    row = decide(units, requested(units, chain.r), *path)
    assert "no" == row["reason"]
    assert (100000, 100000, 0, 0) == figures(database, chain.r)
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)


@pytest.mark.parametrize("status", PATHS)
def test_only_the_table_moves_a_payout(units: UnitsOfWork, database: Database, status: str) -> None:
    """In every status each decision is either in the table or refused, changing nothing."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    lawful = {"requested": {"approve", "reject", "cancel"}, "approved": {"complete", "cancel"}}
    for action in DECISIONS:
        payout_id = requested(units, chain.r, 1000)
        decide(units, payout_id, *PATHS[status])
        if action in lawful.get(status, ()):
            decide(units, payout_id, action)
            continue
        before = dump(database)
        with pytest.raises(TillbellError) as refused:
            decide(units, payout_id, action)
        assert ("INVALID_STATUS", status) == (
            refused.value.code,
            refused.value.details["current_status"],
        )
        assert lawful.get(status, set()) == set(refused.value.details["allowed"])
        assert before == dump(database)


@pytest.mark.parametrize("first", ["requested", "approved"])
def test_of_racing_decisions_one_wins(units: UnitsOfWork, database: Database, first: str) -> None:
    """Every decision at once, five times each: the payout ends as one of them says."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    payout_id = requested(units, chain.r)
    decide(units, payout_id, *PATHS[first])
    actions = ["cancel", "reject"] if first == "requested" else ["cancel", "complete"]
    calls: list[Callable[[UnitOfWork], Any]] = [
        partial(DECISIONS[action], payout_id=payout_id) for action in actions * 5
    ]
    assert {"done": 1, "INVALID_STATUS": 9} == together(units, calls)
    with database.read() as connection:
        row = payouts.get(connection, payout_id)
        told = raised(connection, chain.r, f"payout.{row['status']}")
        assert [] == ledger_checks.verify(connection)
    assert 1 == len(told)
    gone = 30000 if row["status"] == "completed" else 0
    assert (100000 - gone, 100000 - gone, 0, gone) == figures(database, chain.r)


def test_both_sides_hear_of_every_step(units: UnitsOfWork, database: Database) -> None:
    """Tenant and platform read the same, in order, and the distributor between them nothing."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    decide(units, requested(units, chain.r), "approve", "complete")
    with database.read() as connection:
        for name in ("requested", "approved", "completed"):
            mine, theirs = (raised(connection, t, f"payout.{name}") for t in (chain.r, chain.s))
            assert mine == theirs
            assert [(name, 30000, 300.0)] == [
                (each["status"], each["amount_minor"], each["amount"]) for each in mine
            ]
            assert [] == raised(connection, chain.d, f"payout.{name}")


@pytest.mark.parametrize("status", PATHS)
def test_examples_have_the_fields_of_real_events(
    units: UnitsOfWork, database: Database, status: str
) -> None:
    """A receiver written against an example reads the real event too."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    decide(units, requested(units, chain.r), *PATHS[status])
    with database.read() as connection:
        [told] = raised(connection, chain.r, f"payout.{status}")
    assert set(EXAMPLES[f"payout.{status}"]) == set(told)


def test_a_platform_hears_of_its_own_payout_once(units: UnitsOfWork, database: Database) -> None:
    """Where both sides are one tenant there is one event."""
    chain = build_chain(units)
    top_up(units, chain.s, 100000)
    requested(units, chain.s)
    with database.read() as connection:
        assert 1 == len(raised(connection, chain.s, "payout.requested"))


def test_credit_is_no_cash(units: UnitsOfWork, database: Database) -> None:
    """A payout takes what is the tenant's own and free, not its credit or what is set aside."""
    chain = build_chain(units)
    top_up(units, chain.r, 50000)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 10**6)
    requested(units, chain.r, 20000)
    before = dump(database)
    with pytest.raises(TillbellError) as refused:
        requested(units, chain.r, 30001)
    assert "INSUFFICIENT_BALANCE" == refused.value.code
    details = refused.value.details
    assert (30001, 30000) == (details["required_minor"], details["available_minor"])
    assert before == dump(database)
    requested(units, chain.r, 30000)


def test_who_sees_and_decides(units: UnitsOfWork, database: Database) -> None:
    """The platform decides, the tenant may cancel, and nobody else knows of the payout."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    payout_id = requested(units, chain.r)
    for by, action, code in (
        (chain.r, "approve", "FORBIDDEN"),
        (chain.r, "reject", "FORBIDDEN"),
        (chain.d, "approve", "NOT_FOUND"),
        (chain.d, "cancel", "NOT_FOUND"),
    ):
        with pytest.raises(TillbellError) as refused:
            decide(units, payout_id, action, by=by)
        assert code == refused.value.code
    assert "cancelled" == decide(units, payout_id, "cancel", by=chain.r)["status"]
    with database.read() as connection:
        seen = [len(payouts.listing(connection, tenant_id=t)["data"]) for t in _tenants(chain)]
    assert [1, 0, 1] == seen


def test_a_list_is_read_page_by_page(units: UnitsOfWork, database: Database) -> None:
    """Newest first, each payout once, of one status or of all."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    ids = [requested(units, chain.r, 1000) for _ in range(5)]
    decide(units, ids[2], "approve")
    found: list[str] = []
    cursor = None
    with database.read() as connection:
        while True:
            page = payouts.listing(connection, tenant_id=chain.r, limit=2, after=cursor)
            found += [row["id"] for row in page["data"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        approved = payouts.listing(connection, status="approved")["data"]
    assert ids[::-1] == found
    assert [ids[2]] == [row["id"] for row in approved]


def test_a_merchants_threshold_leaves_other_money_alone(units: UnitsOfWork) -> None:
    """What is in the wallet is the tenant's: only the wallet's own minimum bounds its payouts."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    with units.begin(actor="test") as work:
        wallets.set_min_payout(work, chain.r, 1000)
        programs.update(work, chain.d, {"is_enabled": True, "min_payout_threshold": 50})
        relationships.create(work, chain.d, chain.r, {"mode": "BOTH", "min_payout_threshold": 70})
    with pytest.raises(TillbellError) as refused:
        requested(units, chain.r, 999)
    assert ("PAYOUT_TOO_SMALL", 1000) == (
        refused.value.code,
        refused.value.details["minimum_minor"],
    )
    requested(units, chain.r, 1000)


def test_the_same_key_requests_once(units: UnitsOfWork, database: Database) -> None:
    """A repeated request is answered with the first payout, whatever became of it."""
    chain = build_chain(units)
    top_up(units, chain.r, 100000)
    found = []
    for _ in range(3):
        with units.begin(actor="test") as work:
            row = payouts.request(work, chain.r, 1000, idempotency_key="k")
        found.append(row["id"])
        if len(found) == 1:
            decide(units, row["id"], "reject")
    assert 1 == len(set(found))
    assert "rejected" == row["status"]
    assert (100000, 100000, 0, 0) == figures(database, chain.r)


def _tenants(chain: Chain) -> tuple[str, str, str]:
    return chain.s, chain.d, chain.r
