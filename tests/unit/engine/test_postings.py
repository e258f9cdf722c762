"""The builders of postings: the worked example of domain.md 2.9 to the paisa, and any chain."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import postings
from engine.errors import BooksDoNotBalance
from engine.posting_rules import merged
from engine.postings import Entry, Level

S, D, R = Level("S", 10000), Level("D", 12000), Level("R", 13800)
RETAIL = 15500
CHAINS = st.lists(st.integers(0, 10**9), min_size=1, max_size=8).map(
    lambda costs: tuple(Level(f"t{index}", cost) for index, cost in enumerate(costs))
)


def books(entries: Iterable[Entry]) -> dict[str, dict[str, int]]:
    """Return the entries by book and code, debits positive, without what cancels out."""
    found: dict[str, dict[str, int]] = {}
    for (book, code), amount in merged(entries).items():
        found.setdefault(book, {})[code] = amount
    return found


def debits(entries: Iterable[Entry]) -> int:
    """Return the sum of a transaction's debits."""
    return sum(max(amount, 0) for amount in merged(entries).values())


def owed(levels: tuple[Level, ...], collector: int) -> list[tuple[str, str, int]]:
    """Return payer, payee and amount of each obligation."""
    found = postings.cod_obligations(levels, RETAIL, collector)
    return [(each.payer_id, each.payee_id, each.amount_minor) for each in found]


def test_top_up_meets_the_bank() -> None:
    """A1: the platform owes what arrived in its bank, the tenant has it."""
    expected = {
        "R": {"wallet": 13800, "external_cash": -13800},
        "platform": {"bank": 13800, "wallet_liab:R": -13800},
    }
    assert expected == books(postings.top_up("R", 13800))


def test_prepaid_order_is_paid_up_the_chain() -> None:
    """A5: R pays 138, D keeps 18, S gets 120, and the goods leave the stock."""
    expected = {
        "R": {"goods": 13800, "wallet": -13800},
        "D": {"wallet": 1800, "goods": 12000, "sales": -13800},
        "S": {"wallet": 12000, "goods": 10000, "sales": -12000, "inventory": -10000},
        "platform": {"wallet_liab:R": 13800, "wallet_liab:D": -1800, "wallet_liab:S": -12000},
    }
    assert expected == books(postings.prepaid_shipped((S, D, R)))


def test_cash_at_the_retailer() -> None:
    """A6 downstream: R owes D 138, D owes S 120; 413.00 in all."""
    entries = postings.cod_delivered((S, D, R), RETAIL, 2)
    expected = {
        "R": {"cod_cash": 15500, "pay>D": -13800, "earnings": -1700},
        "D": {"recv<R": 13800, "pay>S": -12000, "earnings": -1800},
        "S": {"recv<D": 12000, "inventory": -10000, "earnings": -2000},
    }
    assert expected == books(entries)
    assert 41300 == debits(entries)
    assert [("R", "D", 13800), ("D", "S", 12000)] == owed((S, D, R), 2)


def test_cash_at_the_supplier() -> None:
    """A6 upstream: S owes D 35, D owes R 17; 207.00 in all."""
    entries = postings.cod_delivered((S, D, R), RETAIL, 0)
    expected = {
        "S": {"cod_cash": 15500, "inventory": -10000, "earnings": -2000, "pay>D": -3500},
        "D": {"recv<S": 3500, "pay>R": -1700, "earnings": -1800},
        "R": {"recv<D": 1700, "earnings": -1700},
    }
    assert expected == books(entries)
    assert 20700 == debits(entries)
    assert [("S", "D", 3500), ("D", "R", 1700)] == owed((S, D, R), 0)


def test_cash_in_the_middle() -> None:
    """D collects what S supplies: it owes S 120 and R 17, both next to the cash."""
    found = postings.cod_obligations((S, D, R), RETAIL, 1)
    expected = {("D", "S", 12000, 1), ("D", "R", 1700, 1)}
    assert expected == {(o.payer_id, o.payee_id, o.amount_minor, o.hop) for o in found}


def test_own_stock_involves_nobody_above() -> None:
    """D sells its own stock and collects: only D owes R 17, and D's inventory falls by 120."""
    entries = postings.cod_delivered((D, R), RETAIL, 0)
    assert [("D", "R", 1700)] == owed((D, R), 0)
    assert -12000 == books(entries)["D"]["inventory"]


def test_shortage_stays_with_the_collector() -> None:
    """A9: 150 of 155 collected; what R owes does not change."""
    expected = {"cod_cash": 15000, "shortage": 500, "pay>D": -13800, "earnings": -1700}
    found = postings.cod_delivered((S, D, R), RETAIL, 2, shortage_minor=500)
    assert expected == books(found)["R"]


def test_retail_below_cost_turns_the_debt_around() -> None:
    """S collects 100 for what R buys at 138: R owes D the 38 that are missing."""
    found = postings.cod_obligations((D, R), 10000, 0)
    assert [("R", "D", 3800)] == [(o.payer_id, o.payee_id, o.amount_minor) for o in found]


def test_paid_obligations_are_owed_back_when_reversed() -> None:
    """A10: what D got from R it owes R after a return; the unpaid part is simply undone."""
    entries = postings.cod_delivered((S, D, R), RETAIL, 2)
    found = books(postings.reversal(entries, [("R", "D")]))
    assert {"cod_cash": -15500, "recv<D": 13800, "earnings": 1700} == found["R"]
    assert {"pay>R": -13800, "pay>S": 12000, "earnings": 1800} == found["D"]


def test_unbalanced_book_is_a_defect() -> None:
    """A book that is off by one is refused by name."""
    with pytest.raises(BooksDoNotBalance, match="book R is off by 1"):
        merged([Entry("R", "wallet", 101), Entry("R", "sales", -100)])


@given(CHAINS, st.integers(0, 10**9), st.data())
def test_any_chain_balances_and_clears(
    levels: tuple[Level, ...], retail: int, data: st.DataObject
) -> None:
    """Every book balances, margins and base make the retail, paying all clears all debts."""
    collector = data.draw(st.integers(0, len(levels) - 1))
    entries = postings.cod_delivered(levels, retail, collector)
    found = books(entries)
    earned = -sum(codes.get("earnings", 0) for codes in found.values())
    assert retail == earned + levels[0].cost_minor
    paid = list(entries)
    for each in postings.cod_obligations(levels, retail, collector):
        assert each.amount_minor > 0
        paid += postings.remittance_processed(each.payer_id, each.payee_id, each.amount_minor)
    left = books(paid)
    open_debts = [code for codes in left.values() for code in codes if code[:4] in {"pay>", "recv"}]
    assert [] == open_debts


@given(CHAINS)
def test_any_prepaid_chain_pays_each_its_margin(levels: tuple[Level, ...]) -> None:
    """Wallets move by exactly the margins; together they move by nothing."""
    found = books(postings.prepaid_shipped(levels))
    wallets = [found.get(level.tenant_id, {}).get("wallet", 0) for level in levels]
    assert 0 == sum(wallets)
    costs = [level.cost_minor for level in levels]
    margins = [price - cost for cost, price in pairwise(costs)]
    assert margins[1:] == wallets[1:-1]


@given(CHAINS, st.integers(0, 10**9))
def test_reversing_twice_changes_nothing(levels: tuple[Level, ...], retail: int) -> None:
    """A transaction, its reversal and the transaction again are the transaction."""
    entries = postings.cod_delivered(levels, retail, 0)
    there_and_back = [*entries, *postings.reversal(entries)]
    assert {} == books(there_and_back)
