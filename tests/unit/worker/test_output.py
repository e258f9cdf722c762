"""Answers: one exact JSON document for programs, readable tables for people."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType
from sqlalchemy.sql.elements import quoted_name

from engine.ids import new_id
from worker.cli.output import Column, money, plain, table, to_json, with_money

COLUMNS = (
    Column("ID", "id"),
    Column("NAME", "name", flexible=True),
    Column("ZONE", "zone", wide=True),
)


def shown(renderable: RenderableType, width: int = 100) -> str:
    """Return what a terminal of a given width would show."""
    file = io.StringIO()
    Console(file=file, width=width, markup=False, highlight=False).print(renderable)
    return file.getvalue()


def test_instants_are_written_in_utc_with_z() -> None:
    """An instant of any zone is ISO 8601 in UTC."""
    india = timezone(timedelta(hours=5, minutes=30))
    at = datetime(2026, 3, 2, 15, 0, tzinfo=india).astimezone(UTC)
    assert b'{"at":"2026-03-02T09:30:00Z"}' == to_json({"at": at})


def test_decimals_and_column_names_become_plain_json() -> None:
    """An exact percentage is a number, and the names a database gave are strings."""
    assert b'{"percent":12.5}' == to_json({quoted_name("percent", quote=None): Decimal("12.5000")})


@given(st.integers(0, 2**53 - 1), st.sampled_from(["INR", "JPY", "KWD"]))
def test_an_amount_has_a_decimal_twin_of_the_same_value(amount_minor: int, currency: str) -> None:
    """``price`` times the currency's unit is exactly ``price_minor``."""
    row = {"currency": currency, "price_minor": amount_minor}
    text = to_json(with_money(row)).decode()
    digits = {"INR": 2, "JPY": 0, "KWD": 3}[currency]
    written = text.split('"price":')[1].split(",")[0]
    assert Decimal(amount_minor) == Decimal(written).scaleb(digits)
    assert amount_minor == orjson.loads(text)["price_minor"]


def test_a_pair_of_amounts_can_be_renamed() -> None:
    """A column's short name becomes the document's."""
    row = with_money({"currency": "INR", "rrp_minor": None}, rrp="recommended_retail_price")
    assert {
        "currency": "INR",
        "recommended_retail_price": None,
        "recommended_retail_price_minor": None,
    } == row


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (2_500_000, "INR", "25,000.00 INR"),
        (-5, "INR", "-0.05 INR"),
        (-123_456, "INR", "-1,234.56 INR"),
        (1_000, "JPY", "1,000 JPY"),
        (0, "KWD", "0.000 KWD"),
    ],
)
def test_money_for_people_is_grouped_and_exact(amount_minor: int, currency: str, text: str) -> None:
    """Thousands are grouped, the currency's digits are kept, and a sign is never lost."""
    found = money(amount_minor, currency)
    assert found is not None
    assert text == found.plain


def test_an_id_is_whole_however_narrow_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other columns are folded; an id can always be copied."""
    monkeypatch.setenv("COLUMNS", "60")
    row = {"id": new_id(), "name": "A very long name " * 10, "zone": "UTC"}
    assert row["id"] in shown(table([row], COLUMNS, empty=""), width=60)


@pytest.mark.parametrize(("columns", "times"), [(100, 0), (200, 1)])
def test_wide_columns_need_a_wide_terminal(
    monkeypatch: pytest.MonkeyPatch, columns: int, times: int
) -> None:
    """What is not needed at 100 columns appears where there is room."""
    monkeypatch.setenv("COLUMNS", str(columns))
    row = {"id": new_id(), "name": "A", "zone": "Asia/Kolkata"}
    assert times == shown(table([row], COLUMNS, empty=""), width=columns).count("Asia/Kolkata")


def test_an_empty_table_says_what_to_do() -> None:
    """Where there are no rows, there is a sentence instead of a heading."""
    assert "Nothing yet: do this\n" == shown(table([], COLUMNS, empty="Nothing yet: do this"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (0, "0"),
        ("[bold]not markup[/bold] :smile:", "[bold]not markup[/bold] :smile:"),
        ({"a": [1]}, '{"a":[1]}'),
    ],
)
def test_a_cell_shows_any_value_as_it_is(value: object, text: str) -> None:
    """Text of others is never read as markup, and nothing is a dash."""
    assert f"{text}\n" == shown(plain(value))
