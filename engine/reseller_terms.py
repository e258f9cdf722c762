"""What a merchant grants one reseller, checked: mode, percentages, limits, products (002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from engine.errors import InvalidInput
from engine.ids import check_id
from engine.inputs import check_integer, check_keys, check_share
from engine.money import parse_amount
from engine.product_tables import products
from engine.programs import read_mode

QUANTITY_MAX = 1_000_000
TERMS_DAYS_MAX = 365
PRODUCTS_MAX = 100
#: What an invitation may grant; a merchant may change more of a relationship afterwards.
INVITATION_FIELDS = ("mode", "custom_commission_percent", "purchase_limit_daily", "product_access")
RELATIONSHIP_FIELDS = (
    *INVITATION_FIELDS,
    "custom_wholesale_discount_percent",
    "min_payout_threshold",
    "credit_limit",
    "terms_days",
)
ACCESS_FIELDS = ("product_id", "commission_percent_override", "max_quantity")


def read_terms(
    connection: Connection, given: Mapping[str, Any], merchant: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the columns that the given fields stand for; None means the merchant's default.

    ``merchant`` is its tenant's row. Raises InvalidInput or InvalidAmount naming the field.
    """
    columns: dict[str, Any] = {}
    for name, value in given.items():
        if name == "mode":
            columns[name] = read_mode(value, field=name)
        elif name == "product_access":
            columns[name] = _read_access(connection, value, merchant["id"])
        elif name in {"min_payout_threshold", "credit_limit"}:
            minor = None if value is None else parse_amount(value, merchant["currency"], field=name)
            columns[f"{name}_minor"] = minor
        else:
            columns[name] = None if value is None else _read_number(name, value)
    return columns


def _read_number(name: str, value: object) -> Any:
    if name.endswith("_percent"):
        return check_share(value, field=name)
    maximum = TERMS_DAYS_MAX if name == "terms_days" else QUANTITY_MAX
    return check_integer(value, field=name, minimum=0, maximum=maximum)


def _read_access(connection: Connection, value: object, merchant_id: str) -> list[dict[str, Any]]:
    """Return the products granted; each must be the merchant's, and stand there once."""
    if not isinstance(value, list) or len(value) > PRODUCTS_MAX:
        raise InvalidInput(
            f"product_access is a list of at most {PRODUCTS_MAX} products", field="product_access"
        )
    granted = [_read_product(each, index) for index, each in enumerate(value)]
    ids = [each["product_id"] for each in granted]
    query = select(products.c.id).where(products.c.id.in_(ids), products.c.tenant_id == merchant_id)
    mine = set(connection.execute(query).scalars())
    for index, product_id in enumerate(ids):
        if product_id not in mine or product_id in ids[:index]:
            fault = "stands there twice" if product_id in ids[:index] else "is not the merchant's"
            raise InvalidInput(
                f"product_access[{index}]: product {product_id} {fault}",
                field=f"product_access[{index}].product_id",
                value=product_id,
            )
    return granted


def _read_product(value: object, index: int) -> dict[str, Any]:
    where = f"product_access[{index}]"
    given = check_keys(value, ACCESS_FIELDS, field=where)
    percent, quantity = given.get("commission_percent_override"), given.get("max_quantity")
    share = f"{where}.commission_percent_override"
    return {
        "product_id": check_id(given.get("product_id"), field=f"{where}.product_id"),
        # Text, because it is kept as JSON until the invitation is accepted.
        "commission_percent_override": None
        if percent is None
        else str(check_share(percent, field=share)),
        "max_quantity": None
        if quantity is None
        else check_integer(
            quantity, field=f"{where}.max_quantity", minimum=0, maximum=QUANTITY_MAX
        ),
    }
