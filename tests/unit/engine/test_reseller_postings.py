"""Postings of reseller programs: every book balances, and each does what its name says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import hypothesis.strategies as st
import pytest
from hypothesis import given

from engine import reseller_postings
from engine.commissions import percent_for
from engine.money import AMOUNT_MINOR_MAX, add_percent, percent_of
from engine.postings import Entry

AMOUNTS = st.integers(0, AMOUNT_MINOR_MAX)
PERCENTS = st.decimals(0, 100, places=4)
#: Of each posting: what the merchant's and the reseller's wallet get of one unit.
BUILDERS: list[tuple[Callable[[str, str, int], tuple[Entry, ...]], int, int]] = [
    (reseller_postings.wholesale_prepaid, 1, -1),
    (reseller_postings.wholesale_invoiced, 1, 0),
    (reseller_postings.wholesale_direct, 0, 0),
    (reseller_postings.commission, 0, 0),
]


def totals(entries: tuple[Entry, ...]) -> Counter[str]:
    """Return what each book is off by."""
    found: Counter[str] = Counter()
    for entry in entries:
        found[entry.book] += entry.amount_minor
    return found


def moved(entries: tuple[Entry, ...], book: str, code: str) -> int:
    """Return what an account gets."""
    return sum(each.amount_minor for each in entries if (each.book, each.code) == (book, code))


@pytest.mark.parametrize(("build", "merchant", "reseller"), BUILDERS)
@given(amount=AMOUNTS)
def test_every_book_balances_and_wallets_are_mirrored(
    build: Callable[[str, str, int], tuple[Entry, ...]], merchant: int, reseller: int, amount: int
) -> None:
    """Each book adds up to zero, wallets move as promised, and the platform owes what they have."""
    entries = build("S", "R", amount)
    assert {0} == set(totals(entries).values())
    for tenant, sign in (("S", merchant), ("R", reseller)):
        assert sign * amount == moved(entries, tenant, "wallet")
        assert -sign * amount == moved(entries, "platform", f"wallet_liab:{tenant}")


@given(due=AMOUNTS, back=AMOUNTS)
def test_a_payment_clears_both_debts(due: int, back: int) -> None:
    """The wallets move by the difference; what one owed, and what the other, is gone."""
    entries = reseller_postings.commission_paid("S", "R", due, back)
    assert {0} == set(totals(entries).values())
    assert (back - due, due - back) == (
        moved(entries, "S", "wallet"),
        moved(entries, "R", "wallet"),
    )
    assert (due, -due) == (moved(entries, "S", "pay>R"), moved(entries, "R", "recv<S"))
    assert (back, -back) == (moved(entries, "R", "pay>S"), moved(entries, "S", "recv<R"))


@given(amount=AMOUNTS, percent=PERCENTS)
def test_a_part_is_rounded_half_up_once(amount: int, percent: Decimal) -> None:
    """Within half a unit of the exact part, never less than half below, and never above all."""
    part = percent_of(amount, percent)
    exact = Decimal(amount) * percent / 100
    assert Decimal("-0.5") < part - exact <= Decimal("0.5")
    assert 0 <= part <= amount


@given(price=AMOUNTS, percent=PERCENTS)
def test_a_discount_and_its_price_are_a_unit_apart_at_most(price: int, percent: Decimal) -> None:
    """Price and discount, each rounded once, make the retail price or one unit more."""
    assert 0 <= add_percent(price, -percent) + percent_of(price, percent) - price <= 1


@pytest.mark.parametrize(
    ("override", "custom", "expected"),
    [(None, None, 25), (None, 30, 30), (40, 30, 40), (0, 30, 0), (None, 0, 0)],
)
def test_the_nearest_commission_counts(
    override: int | None, custom: int | None, expected: int
) -> None:
    """The product's stands before the reseller's, that before the program's; none is not zero."""
    found = percent_for(
        None if override is None else Decimal(override),
        {"custom_commission_percent": custom},
        {"default_commission_percent": Decimal(25)},
    )
    assert expected == found
