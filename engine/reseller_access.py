"""What a reseller may sell: every product of its merchant, or those it was granted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, select

from engine import products
from engine.errors import InvalidInput, NotFound
from engine.program_tables import reseller_product_access

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Grant:
    """A product a reseller may sell; None where nothing else was agreed on for it."""

    product: Row
    commission_percent_override: Decimal | None = None
    max_quantity: int | None = None


def granted(connection: Connection, relationship: Mapping[str, Any], product_id: str) -> Grant:
    """Return what a reseller was granted of a product.

    Raises InvalidInput for a product that is not the merchant's, or that was not granted.
    """
    product = _sold(connection, relationship, product_id)
    table = reseller_product_access.c
    query = select(reseller_product_access).where(table.relationship_id == relationship["id"])
    found = {row.product_id: row for row in connection.execute(query)}
    if not found:
        return Grant(product)
    if product_id not in found:
        raise refusal(product_id)
    terms = found[product_id]
    return Grant(product, terms.commission_percent_override, terms.max_quantity)


def _sold(connection: Connection, relationship: Mapping[str, Any], product_id: str) -> Row:
    try:
        product = products.get(connection, product_id)
    except NotFound:
        raise refusal(product_id) from None
    if product["tenant_id"] != relationship["parent_id"]:
        raise refusal(product_id)
    return product


def refusal(product_id: str) -> InvalidInput:
    """Return the refusal of a product: whose else it may be is not said."""
    return InvalidInput(
        f"product {product_id!r} is not the reseller's to sell",
        field="product_id",
        value=product_id,
    )
