"""The CSV of a wallet on both databases: every line once, safe to open, in constant memory."""

from __future__ import annotations

import csv
import io
import tracemalloc
from datetime import UTC, date, datetime, timedelta

import pytest

from config.errors import TillbellError
from engine import wallet_export, wallet_holds, wallets
from engine.database import Database
from engine.unit_of_work import UnitsOfWork
from engine.wallet_transactions import Filters
from tests.chains import build_chain, top_up
from tests.statements import write_long_statement

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(minutes=1)


def rows_of(text: str) -> list[dict[str, str]]:
    """Read a CSV as a spreadsheet would."""
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_the_file_says_what_the_statement_says(units: UnitsOfWork, database: Database) -> None:
    """A header, then one line each, oldest first, amounts with their currency's digits."""
    chain = build_chain(units)
    top_up(units, chain.r, 123450)
    with units.begin(actor="test") as work:
        row = wallet_holds.hold(work, chain.r, 50, reason='a "deposit",\nof two lines')
    text = "".join(wallet_export.export(database, chain.r))
    head = (
        "id,created_at,type,amount,currency,reference_type,reference_id,description,"
        "balance_after,available_after\r\n"
    )
    assert text.startswith(head)
    first, second = rows_of(text)
    assert ("2026-03-02T09:30:00Z", "credit", "1234.50", "INR", "top_up", "1234.50") == tuple(
        first[name]
        for name in (
            "created_at",
            "type",
            "amount",
            "currency",
            "reference_type",
            "available_after",
        )
    )
    assert ("hold", "0.50", 'a "deposit",\nof two lines', "1234.50", "1234.00") == tuple(
        second[name]
        for name in ("type", "amount", "description", "balance_after", "available_after")
    )
    assert row["reference_id"] == second["reference_id"]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t=", "\r=", "\n="])
def test_no_cell_is_a_formula(sign: str) -> None:
    """What a spreadsheet would run stands behind an apostrophe; other text is left alone."""
    assert f"'{sign}cmd()" == wallet_export.safe_cell(f"{sign}cmd()")
    assert ("a=b", "") == (wallet_export.safe_cell("a=b"), wallet_export.safe_cell(None))


def test_what_people_typed_is_made_safe(units: UnitsOfWork, database: Database) -> None:
    """A reference and a reason that begin like formulas come out as text; debts stay numbers."""
    chain = build_chain(units)
    with units.begin(actor="test") as work:
        wallets.top_up(work, chain.r, 100, reference="=1+1")
        wallets.set_credit_limit(work, chain.r, 10000)
        wallet_holds.hold(work, chain.r, 300, reason="@SUM(A1)")
    first, second = rows_of("".join(wallet_export.export(database, chain.r)))
    assert "'=1+1" == first["reference_id"]
    assert ("'@SUM(A1)", "-2.00") == (second["description"], second["available_after"])


def test_filters_apply_and_later_lines_stay_out(units: UnitsOfWork, database: Database) -> None:
    """Only the days and types asked for, as they were when the export began."""
    chain = build_chain(units)
    write_long_statement(database, chain.r, 4000, since=SINCE, step=STEP)
    filters = Filters(type="debit", from_date=date(2026, 1, 2), to_date=date(2026, 1, 2))
    parts = wallet_export.export(database, chain.r, filters)
    next(parts)
    top_up(units, chain.r, 100)
    found = rows_of(wallet_export._csv([wallet_export.COLUMNS]) + "".join(parts))
    day = [place for place in range(1440, 2880) if place % 10]
    assert [f"number {place}" for place in day] == [row["reference_id"] for row in found]
    assert 4000 == len(rows_of("".join(wallet_export.export(database, chain.r)))) - 1


def test_wrong_filters_are_refused_before_the_first_byte(
    units: UnitsOfWork, database: Database
) -> None:
    """Asking for what cannot be is told at the call, not in the middle of a file."""
    chain = build_chain(units)
    for tenant_id, filters, code in (
        (chain.r, Filters(type="gift"), "VALIDATION_ERROR"),
        ("nobody", Filters(), "NOT_FOUND"),
    ):
        with pytest.raises(TillbellError) as refused:
            wallet_export.export(database, tenant_id, filters)
        assert code == refused.value.code


def test_memory_does_not_grow_with_the_statement(units: UnitsOfWork, database: Database) -> None:
    """Ten times the lines take less than a quarter more memory, and every line comes once."""
    chain = build_chain(units)
    peaks = {}
    # The first fills the caches that the others find.
    for tenant_id, count in ((chain.d, 2_000), (chain.r, 2_000), (chain.s, 20_000)):
        write_long_statement(database, tenant_id, count, since=SINCE, step=STEP)
        seen = 0
        tracemalloc.start()
        for part in wallet_export.export(database, tenant_id):
            seen += part.count("\r\n")
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count + 1 == seen
    assert peaks[20_000] < 1.25 * peaks[2_000]
