"""What stock costs a reseller: the recommended retail price less its discount (document 002)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from engine import programs, purchase_limits, relationships, reseller_access
from engine.errors import InvalidInput
from engine.ids import check_id
from engine.inputs import check_integer
from engine.money import add_percent, check_amount
from engine.reseller_terms import QUANTITY_MAX
from engine.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class Quote:
    """A product, how many pieces of it, and what they cost a reseller."""

    product_id: str
    quantity: int
    discount_percent: Decimal
    unit_price_minor: int
    total_minor: int
    #: How many pieces of it the reseller may buy in all.
    max_quantity: int | None = None


def read_wanted(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``product_id`` and ``quantity``, checked; raises InvalidInput naming the field."""
    quantity = given.get("quantity")
    return {
        "product_id": check_id(given.get("product_id"), field="product_id"),
        "quantity": check_integer(quantity, field="quantity", minimum=1, maximum=QUANTITY_MAX),
    }


def quote(
    connection: Connection, relationship: Mapping[str, Any], *, product_id: str, quantity: int
) -> Quote:
    """Return what a reseller would pay now; each piece is rounded half up, then multiplied.

    Raises ProgramUnavailable, InvalidInput naming the field (also for a product without a
    recommended retail price), or InvalidAmount.
    """
    program = programs.require_enabled(connection, relationship["parent_id"])
    relationships.require_mode(relationship, programs.STOCK)
    granted = reseller_access.granted(connection, relationship, product_id)
    product = granted.product
    if product["status"] != "active" or product["rrp_minor"] is None:
        lack = "has no recommended retail price" if product["rrp_minor"] is None else "is not sold"
        raise InvalidInput(f"product {product_id} {lack}", field="product_id", value=product_id)
    percent = relationship["custom_wholesale_discount_percent"]
    percent = program["default_wholesale_discount_percent"] if percent is None else percent
    unit_price = add_percent(product["rrp_minor"], -percent)
    total = check_amount(unit_price * quantity, field="quantity")
    return Quote(product_id, quantity, percent, unit_price, total, granted.max_quantity)


def take_allowance(work: UnitOfWork, relationship: Mapping[str, Any], quoted: Quote) -> None:
    """Count what is bought against the reseller's limits; raises PurchaseLimitExceeded."""
    purchase_limits.take(
        work, relationship, quoted.product_id, quoted.quantity, quoted.max_quantity
    )
