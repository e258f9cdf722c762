"""What a reseller asks of a draft order, checked before anything is written (document 003)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson

from engine.errors import InvalidInput
from engine.inputs import check_document, check_integer, check_keys, check_text
from engine.order_input import LINES_MAX, QUANTITY_MAX, read_payment

FIELDS = (
    "account_id",
    "external_order_id",
    "order_date",
    "customer",
    "shipping_address",
    "payment",
    "custom_fields",
    "items",
)
NAMES_MAX = 50
NAME_LENGTH_MAX = 100
TEXT_LENGTH_MAX = 2000
#: Whole numbers beyond this change on their way through JSON.
NUMBER_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftInput:
    """A draft asked for; what is None is taken from the account or from today."""

    account_id: Any
    external_order_id: str | None
    order_date: date | None
    customer: dict[str, Any] | None
    shipping_address: dict[str, Any] | None
    payment: dict[str, Any]
    custom_fields: dict[str, Any]
    items: list[Any]


def read_draft(given: object) -> DraftInput:
    """Return the checked draft, or raise InvalidInput; only ``account_id`` is mandatory."""
    known = check_keys(given, FIELDS, field="draft")
    fields = {name: value for name, value in known.items() if value is not None}
    if "account_id" not in fields:
        raise InvalidInput("account_id is mandatory", field="account_id")
    external = fields.get("external_order_id")
    method, collector = read_payment(fields.get("payment", {"method": "prepaid"}))
    items = fields.get("items", [])
    if not isinstance(items, list) or len(items) > LINES_MAX:
        raise InvalidInput(f"items must be a list of at most {LINES_MAX}", field="items")
    return DraftInput(
        account_id=fields["account_id"],
        external_order_id=None
        if external is None
        else check_text(external, field="external_order_id", length_max=100),
        order_date=_read_date(fields.get("order_date")),
        customer=_read_document(fields, "customer"),
        shipping_address=_read_document(fields, "shipping_address"),
        payment={"method": method, "collector": collector},
        custom_fields=merge_fields({}, fields.get("custom_fields", {}), field="custom_fields"),
        items=items,
    )


def fingerprint(given: object) -> str:
    """Return a digest of the whole request: the same draft asked for twice has the same."""
    try:
        content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str)
    except TypeError as error:
        raise InvalidInput(f"the draft cannot become JSON: {error}", field="draft") from None
    return hashlib.sha256(content).hexdigest()


def merge_fields(before: Mapping[str, Any], given: object, *, field: str) -> dict[str, Any]:
    """Return fields with ``given`` put over them; null takes a field away.

    At most 50 names of 1 to 100 characters; values are text of at most 2,000, numbers, true or
    false; 16 KiB in all. Raises InvalidInput.
    """
    named = check_document(given, dict, field=field)
    after = dict(before)
    for name, value in named.items():
        check_text(name, field=f"{field} name", length_max=NAME_LENGTH_MAX)
        after[name] = None if value is None else _read_value(value, f"{field}.{name}")
    after = {name: value for name, value in after.items() if value is not None}
    if len(after) > NAMES_MAX:
        raise InvalidInput(f"{field} holds more than {NAMES_MAX} names", field=field)
    checked: dict[str, Any] = check_document(after, dict, field=field)
    return checked


def read_quantity(value: object) -> int:
    """Return how many pieces are asked for, or raise InvalidInput."""
    return check_integer(value, field="quantity", minimum=1, maximum=QUANTITY_MAX)


def _read_value(value: object, field: str) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value, field=field, length_max=TEXT_LENGTH_MAX, empty=True)
    if isinstance(value, int | float) and abs(value) <= NUMBER_MAX:
        return value
    raise InvalidInput(
        f"{field} must be text, a number that JSON keeps exactly, true, false or null", field=field
    )


def _read_date(given: object) -> date | None:
    if given is None or (isinstance(given, date) and type(given) is date):
        return given
    try:
        return date.fromisoformat(given if isinstance(given, str) else "")
    except ValueError:
        raise InvalidInput(
            "order_date must be a day such as 2026-03-02", field="order_date"
        ) from None


def _read_document(fields: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    if fields.get(name) is None:
        return None
    document: dict[str, Any] = check_document(fields[name], dict, field=name)
    return document
