"""Values from outside are checked one by one, and the refusal names the field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine.errors import InvalidAmount, InvalidInput
from engine.inputs import check_document, check_flag, check_integer, check_percent, check_text
from engine.order_input import read_order
from tests.chains import order_of

PRODUCT_ID = "0195f3a0-0000-7000-8000-000000000001"


def item(**changes: Any) -> dict[str, Any]:
    """Return an order whose one item differs from a good one."""
    good = {"sku": "PROD-001", "quantity": 1, "unit_price": 155}
    return order_of(items=[{**good, **changes}])


@pytest.mark.parametrize("value", [0, -1, 1_000_001, 1.5, "2", True, None])
def test_quantity_is_a_whole_number_up_to_a_million(value: object) -> None:
    """Zero, negative, fractional, huge and textual quantities are refused."""
    with pytest.raises(InvalidInput) as refused:
        read_order(item(quantity=value), "INR")
    assert "items[0].quantity" == refused.value.details["field"]


@pytest.mark.parametrize("value", [-1, "155.001", float("nan"), "x", None, 10**17, "1e30", True])
def test_price_is_an_exact_amount(value: object) -> None:
    """Negative, finer than a paisa, not a number, out of range: refused, not rounded."""
    with pytest.raises(InvalidAmount) as refused:
        read_order(item(unit_price=value), "INR")
    assert "items[0].unit_price" == refused.value.details["field"]


def test_total_must_be_exact_too() -> None:
    """A million pieces at a price that is exact by itself can pass the largest exact amount."""
    with pytest.raises(InvalidAmount):
        read_order(item(quantity=1_000_000, unit_price=10**12), "INR")


@pytest.mark.parametrize(
    ("order", "field"),
    [
        (order_of(items=[]), "items"),
        (order_of(items=[{}] * 501), "items"),
        (order_of(payment={"method": "card"}), "payment.method"),
        (order_of(payment={"method": "cod", "collector": "courier"}), "payment.collector"),
        (order_of(number=""), "origin_order_number"),
        (order_of(number="x" * 101), "origin_order_number"),
        (order_of(number="a\x00b"), "origin_order_number"),
        (order_of(customer=["not", "an", "object"]), "customer"),
        (order_of(customer={"note": "\x00"}), "customer"),
        (order_of(customer={"note": "x" * 17_000}), "customer"),
        (order_of(surprise=1), "surprise"),
        (item(sku=None), "items[0].sku"),
        (item(product_id=PRODUCT_ID), "items[0].sku"),
        (item(sku=None, product_id="7"), "items[0].product_id"),
        (item(order_detail_id=-1), "items[0].order_detail_id"),
    ],
)
def test_bad_order_names_its_field(order: dict[str, Any], field: str) -> None:
    """Every refusal of an order says which field it is about."""
    with pytest.raises(InvalidInput) as refused:
        read_order(order, "INR")
    assert field == refused.value.details["field"]


def test_fingerprint_tells_contents_apart() -> None:
    """The same content has one fingerprint, however its price is spelt; another has another."""
    first = read_order(item(unit_price=155), "INR").fingerprint
    assert first == read_order(item(unit_price="155.00"), "INR").fingerprint
    assert first != read_order(item(unit_price=156), "INR").fingerprint


@pytest.mark.parametrize("value", [-100, "1000", "12.34567", "nan", None, True, "half"])
def test_bad_percentage(value: object) -> None:
    """Below -99.99, too large, too fine or no number."""
    with pytest.raises(InvalidInput):
        check_percent(value, field="margin_percent")


def test_good_percentage_is_exact() -> None:
    """Four decimals are kept as they are."""
    assert Decimal("12.3456") == check_percent("12.3456", field="margin_percent")
    assert Decimal("-99.99") == check_percent(-99.99, field="margin_percent")


def test_single_checks() -> None:
    """Text is trimmed; flags are true or false only; documents are what they say."""
    assert "a" == check_text(" a ", field="x", length_max=5)
    assert 3 == check_integer(3, field="x", minimum=0, maximum=3)
    assert check_flag(value=True, field="x")
    with pytest.raises(InvalidInput):
        check_flag(value=1, field="x")
    with pytest.raises(InvalidInput):
        check_text("\ud800", field="x", length_max=5)
    with pytest.raises(InvalidInput):
        check_document({"a": object()}, dict, field="x")
