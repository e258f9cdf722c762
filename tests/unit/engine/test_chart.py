"""The chart of accounts: what may stand in a book, on which side, and against what."""

from __future__ import annotations

import pytest

from engine.chart import mirror, normal_side
from engine.errors import UnknownAccount


@pytest.mark.parametrize("code", ["wallet", "bank", "recv<x", "cod_cash", "goods", "bad_debt"])
def test_assets_and_expenses_are_debit_accounts(code: str) -> None:
    """What a tenant has, is owed or loses is naturally a debit."""
    assert "debit" == normal_side(code)


@pytest.mark.parametrize("code", ["wallet_liab:x", "pay>x", "sales", "earnings", "forgiven"])
def test_debts_and_income_are_credit_accounts(code: str) -> None:
    """What somebody owes or earns is naturally a credit."""
    assert "credit" == normal_side(code)


@pytest.mark.parametrize("code", ["", "walet", "wallet:x", "bank2", "recv>x", "Wallet"])
def test_a_code_that_is_not_in_the_chart_is_refused(code: str) -> None:
    """A slip of the pen opens no account."""
    with pytest.raises(UnknownAccount):
        normal_side(code)


def test_both_sides_of_a_mirror_name_the_same_pair() -> None:
    """A wallet and its liability, a receivable and its payable; others stand alone."""
    assert mirror("R", "wallet") == mirror("platform", "wallet_liab:R")
    assert mirror("D", "recv<R") == mirror("R", "pay>D")
    assert mirror("D", "recv<R") != mirror("D", "pay>R")
    assert mirror("R", "sales") is None
