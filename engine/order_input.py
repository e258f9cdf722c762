"""What an origin asks for, checked before a database is asked (document 001's field names)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from engine.errors import InvalidInput
from engine.ids import is_id
from engine.inputs import check_choice, check_document, check_integer, check_keys, check_text
from engine.money import check_amount, parse_amount

QUANTITY_MAX = 1_000_000
LINES_MAX = 500
METHODS = ("cod", "prepaid")
#: Who may collect the cash, beside a tenant named by its id.
COLLECTORS = ("origin", "fulfiller")
ORDER_FIELDS = ("origin_order_number", "customer", "shipping_address", "items", "payment")
ITEM_FIELDS = ("sku", "product_id", "quantity", "unit_price", "deliver_id", "order_detail_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line asked for; either ``sku`` or ``product_id`` names the product."""

    sku: str | None
    product_id: str | None
    quantity: int
    unit_price_minor: int
    deliver_id: str | None
    order_detail_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderInput:
    """An order asked for; ``collector`` is ``origin``, ``fulfiller`` or a tenant's id."""

    origin_order_number: str
    customer: dict[str, Any]
    shipping_address: dict[str, Any]
    items: tuple[Item, ...]
    payment_method: str
    collector: str

    @property
    def total_minor(self) -> int:
        """What the customer pays."""
        return sum(item.quantity * item.unit_price_minor for item in self.items)

    @property
    def fingerprint(self) -> str:
        """A digest of the whole content: the same order asked for twice has the same."""
        content = orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
        return hashlib.sha256(content).hexdigest()


def read_order(order: Mapping[str, Any], currency: str) -> OrderInput:
    """Return the checked order, or raise InvalidInput or InvalidAmount naming the field."""
    given = check_keys(order, ORDER_FIELDS, field="order")
    method, collector = read_payment(given.get("payment", {}))
    items = given.get("items")
    if not isinstance(items, list) or not 1 <= len(items) <= LINES_MAX:
        raise InvalidInput(f"an order needs 1 to {LINES_MAX} items", field="items")
    found = OrderInput(
        origin_order_number=check_text(
            given.get("origin_order_number"), field="origin_order_number", length_max=100
        ),
        customer=check_document(given.get("customer") or {}, dict, field="customer"),
        shipping_address=check_document(
            given.get("shipping_address") or {}, dict, field="shipping_address"
        ),
        items=tuple(
            read_item(item, currency, f"items[{index}]") for index, item in enumerate(items)
        ),
        payment_method=method,
        collector=collector,
    )
    check_amount(found.total_minor, field="items")
    return found


def read_payment(given: object) -> tuple[str, str]:
    """Return method and collector of a payment, or raise InvalidInput."""
    payment = check_keys(given, ("method", "collector"), field="payment")
    method = check_choice(payment.get("method"), METHODS, field="payment.method")
    return method, _read_collector(payment.get("collector", "origin"))


def read_item(item: object, currency: str, where: str) -> Item:
    """Return one checked line; ``where`` names it in the InvalidInput or InvalidAmount raised."""
    given = check_keys(item, ITEM_FIELDS, field=where)
    sku, product_id = given.get("sku"), given.get("product_id")
    if (sku is None) == (product_id is None):
        raise InvalidInput(f"{where} needs either sku or product_id", field=f"{where}.sku")
    if product_id is not None and not (isinstance(product_id, str) and is_id(product_id)):
        raise InvalidInput(f"{where}.product_id is not an id", field=f"{where}.product_id")
    detail = given.get("order_detail_id")
    deliver_id = given.get("deliver_id")
    return Item(
        sku=None if sku is None else check_text(sku, field=f"{where}.sku", length_max=100),
        product_id=None if product_id is None else product_id.lower(),
        quantity=check_integer(
            given.get("quantity"), field=f"{where}.quantity", minimum=1, maximum=QUANTITY_MAX
        ),
        unit_price_minor=parse_amount(
            given.get("unit_price"), currency, field=f"{where}.unit_price"
        ),
        deliver_id=None
        if deliver_id is None
        else check_text(deliver_id, field=f"{where}.deliver_id", length_max=200),
        order_detail_id=None
        if detail is None
        else check_integer(detail, field=f"{where}.order_detail_id", minimum=0, maximum=2**63 - 1),
    )


def _read_collector(value: object) -> str:
    if isinstance(value, str) and is_id(value):
        return value.lower()
    return check_choice(value, COLLECTORS, field="payment.collector")
