"""Prices down the tree: markup on cost, rounded half up at each hop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidAmount
from engine.price_cascade import Offer, cascade


def row(tenant: str, parent: str, percent: str, *, available: bool = True) -> dict[str, Any]:
    """Return a price row."""
    return {
        "tenant_id": tenant,
        "parent_id": parent,
        "margin_percent": Decimal(percent),
        "is_available": available,
    }


def test_the_breakdown_of_document_001() -> None:
    """100 with 20 % is 120, with 15 % more 138."""
    found = cascade("S", 10000, [row("R", "D", "15"), row("D", "S", "20")])
    assert [10000, 12000, 13800] == [found[name].cost_minor for name in "SDR"]


def test_half_a_paisa_goes_up_at_each_hop() -> None:
    """0.10 with 5 % is 0.105, so 0.11; with 5 % more 0.1155, so 0.12."""
    found = cascade("S", 10, [row("D", "S", "5"), row("R", "D", "5")])
    assert (11, 12) == (found["D"].cost_minor, found["R"].cost_minor)


def test_an_unavailable_hop_closes_all_below() -> None:
    """What D may not sell, R below it may not either; a sister of D may."""
    rows = [row("D", "S", "20", available=False), row("R", "D", "15"), row("E", "S", "1")]
    found = cascade("S", 10000, rows)
    assert Offer(13800, is_available=False) == found["R"]
    assert found["E"].is_available


def test_a_price_beyond_exact_amounts_is_refused() -> None:
    """The cascade stops before a price could be shown wrongly."""
    with pytest.raises(InvalidAmount):
        cascade("S", 2**53 - 1, [row("D", "S", "1")])


@given(st.integers(0, 10**9), st.lists(st.decimals(-99, 900, places=4), max_size=7))
def test_a_chain_is_the_same_however_its_rows_come(base: int, percents: list[Decimal]) -> None:
    """The order of the rows does not change a price, and no price is negative."""
    rows = [row(str(n + 1), str(n), str(percent)) for n, percent in enumerate(percents)]
    try:
        found = cascade("0", base, rows)
    except InvalidAmount:
        return
    assert found == cascade("0", base, rows[::-1])
    assert all(offer.cost_minor >= 0 for offer in found.values())
