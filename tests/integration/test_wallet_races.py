"""Many at one wallet on both databases: the floor holds, nothing refused would fit (F26, F27)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from config.errors import TillbellError
from engine import ledger_checks, orders, payouts, wallet_holds, wallets
from engine.database import Database
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import build_chain, order_of, top_up
from tests.faults.plugin import Reached
from tests.racing import together

Call = Callable[[UnitOfWork], Any]


def wallet_of(database: Database, tenant_id: str) -> dict[str, int]:
    """Return a wallet's figures in minor units, its books verified."""
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        wallet = wallets.show(connection, tenant_id)
    names = ("balance", "available_balance", "spendable", "pending_debits")
    return {name: int(wallet[f"{name}_minor"]) for name in names}


def remembering(call: Call, amount_minor: int, refused: list[int]) -> Call:
    """Return the call, which notes its amount where it is refused."""

    def run(work: UnitOfWork) -> None:
        try:
            call(work)
        except TillbellError:
            refused.append(amount_minor)
            raise

    return run


def setting_aside(tenant_id: str, amount_minor: int) -> Call:
    """Return the call that holds an amount."""
    return partial(wallet_holds.hold, tenant_id=tenant_id, amount_minor=amount_minor, reason="race")


@pytest.mark.fault("F26")
def test_debits_near_the_floor_take_all_that_fits(
    units: UnitsOfWork, database: Database, reached: Reached
) -> None:
    """A hundred holds of 0.01 to 2.00 against 50.00 and credit: no refused one still fits (F26)."""
    rounds = reached.times(1, 40)
    for seed in range(rounds):
        race_to_the_floor(units, database, Random(seed + 26))  # noqa: S311  # no secret
    kind = database.engine.dialect.name
    reached.says("F26", f"{rounds} x 100 debits: the floor held, no refused one fits ({kind})")


def race_to_the_floor(units: UnitsOfWork, database: Database, random: Random) -> None:
    """Let a hundred holds race for one wallet; what is accepted is as much as fits."""
    chain, refused = build_chain(units), list[int]()
    top_up(units, chain.r, 4000)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 1000)
    amounts = [random.randint(1, 200) for _ in range(100)]
    calls = [
        remembering(
            setting_aside(chain.r, amount),
            amount,
            refused,
        )
        for amount in amounts
    ]
    ended = together(units, calls)
    assert {"done": 100 - len(refused), "INSUFFICIENT_BALANCE": len(refused)} == ended
    wallet = wallet_of(database, chain.r)
    assert sum(amounts) - sum(refused) == wallet["pending_debits"]
    assert 0 <= wallet["spendable"] < min(refused)


def test_payouts_orders_and_holds_share_one_floor(units: UnitsOfWork, database: Database) -> None:
    """Ninety debits of three kinds at once: credit pays for orders and holds, never for cash."""
    chain = build_chain(units, stock=500)
    top_up(units, chain.r, 200_000)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 50_000)
    refused = list[int]()
    calls: list[Call] = []
    for number in range(30):
        asked = order_of(f"N{number}", payment={"method": "prepaid"})
        calls += [
            remembering(partial(orders.place, tenant_id=chain.r, order=asked), 13800, refused),
            partial(payouts.request, tenant_id=chain.r, amount_minor=9000),
            remembering(setting_aside(chain.r, 4000), 4000, refused),
        ]
    ended = together(units, calls)
    assert {"done", "INSUFFICIENT_BALANCE"} == set(ended)
    wallet = wallet_of(database, chain.r)
    assert 0 <= wallet["spendable"] < min(refused)
    assert 200_000 == wallet["balance"]


OPERATIONS: dict[str, Callable[..., Any]] = {
    "top_up": wallets.top_up,
    "payout": payouts.request,
    "hold": partial(wallet_holds.hold, reason="race"),
}


@pytest.mark.fault("F27")
@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_key_has_one_effect(
    units: UnitsOfWork, database: Database, operation: str, reached: Reached
) -> None:
    """Fifty requests under one key, five of another amount: whoever is first, once (F27)."""
    rounds = reached.times(1, 20)
    for _ in range(rounds):
        race_for_a_key(units, database, operation)
    kind = database.engine.dialect.name
    reached.says("F27", f"{rounds} x 50 of {operation}, 5 with another body: 1 effect ({kind})")


def race_for_a_key(units: UnitsOfWork, database: Database, operation: str) -> None:
    """Send fifty requests under one key; the first one's amount is what happens."""
    chain = build_chain(units)
    top_up(units, chain.r, 10_000)
    call = OPERATIONS[operation]
    amounts = [200 if number % 10 == 3 else 100 for number in range(50)]
    calls: list[Call] = [
        partial(call, tenant_id=chain.r, amount_minor=amount, idempotency_key="k")
        for amount in amounts
    ]
    ended = together(units, calls)
    wallet = wallet_of(database, chain.r)
    effect = {
        "top_up": wallet["balance"] - 10_000,
        "payout": wallet["pending_debits"],
        "hold": wallet["pending_debits"],
    }[operation]
    same = amounts.count(effect)
    assert same in {45, 5}
    assert {"done": same, "IDEMPOTENCY_KEY_REUSED": 50 - same} == ended


def test_a_key_is_free_again_after_a_refusal(units: UnitsOfWork, database: Database) -> None:
    """A payout that was refused for lack of money may be asked for again under its key."""
    chain = build_chain(units)
    for _ in range(2):
        with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
            payouts.request(work, chain.r, 500, idempotency_key="k")
        assert "INSUFFICIENT_BALANCE" == refused.value.code
    top_up(units, chain.r, 500)
    with units.begin(actor="test") as work:
        payouts.request(work, chain.r, 500, idempotency_key="k")
    assert 0 == wallet_of(database, chain.r)["spendable"]


def test_a_key_names_one_operation(units: UnitsOfWork) -> None:
    """The key of a top-up is no key for a payout; another tenant's same key is its own."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        for tenant_id in (chain.r, chain.d):
            wallets.top_up(work, tenant_id, 500, idempotency_key="k")
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        payouts.request(work, chain.r, 500, idempotency_key="k")
    assert "IDEMPOTENCY_KEY_REUSED" == refused.value.code


def test_a_payment_is_added_once_whatever_the_key(units: UnitsOfWork, database: Database) -> None:
    """One reference under two keys is one payment; under one key with two references, a misuse."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        for key in ("k1", "k2"):
            wallets.top_up(work, chain.r, 500, reference="UTR-1", idempotency_key=key)
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 500, reference="UTR-2", idempotency_key="k1")
    assert "IDEMPOTENCY_KEY_REUSED" == refused.value.code
    assert 500 == wallet_of(database, chain.r)["balance"]


def test_a_lower_limit_refuses_only_what_is_new(units: UnitsOfWork, database: Database) -> None:
    """Credit in use is not called back: what is held stays, ships and is paid; more is refused."""
    chain = build_chain(units)
    top_up(units, chain.r, 3800)
    with units.begin(actor="test") as work:
        wallets.set_credit_limit(work, chain.r, 10_000)
        order = orders.place(work, chain.r, order_of(payment={"method": "prepaid"}))
        wallets.set_credit_limit(work, chain.r, 0)
    assert -10_000 == wallet_of(database, chain.r)["spendable"]
    with pytest.raises(TillbellError) as refused, units.begin(actor="test") as work:
        wallet_holds.hold(work, chain.r, 1, reason="more")
    details = refused.value.details
    assert (1, -10_000) == (details["required_minor"], details["available_minor"])
    with units.begin(actor="test") as work:
        for _ in range(2):
            orders.forward(work, order["id"])
        orders.accept(work, order["id"])
        orders.ship(work, order["id"], tracking_number="T", carrier="c")
    assert -10_000 == wallet_of(database, chain.r)["balance"]
