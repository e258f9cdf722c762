"""The event types Tillbell knows: its own catalogue and those the operator registered."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from sqlalchemy import Connection, insert, select

from engine.errors import AlreadyExists, InvalidInput, UnknownEventType
from engine.tables import event_types

#: Every type the engine itself can raise, with what it says.
CATALOGUE = {
    "chain_order.created": "New chain order, or one a tenant sees for the first time",
    "chain_order.status_changed": "Order status changed",
    "chain_order.delivered": "Order delivered",
    "chain_order.reminder": "An order waits for the tenant for longer than it should",
    "order.line_updated": "A line of an order was processed, delivered, removed or cancelled",
    "draft_order.expiring": "A draft order will expire within a day",
    "draft_order.expired": "A draft order was not checked out in time",
    "product.updated": "Price, stock or status of a product changed",
    "remittance.created": "New remittance created",
    "remittance.due": "Remittance approaching due date",
    "remittance.overdue": "Remittance past due date",
    "remittance.rescheduled": "Remittance given another due date",
    "remittance.completed": "Remittance paid",
    "remittance.cancelled": "Remittance cancelled",
    "wallet.low_balance": "Wallet below threshold",
    "wallet.balance_recovered": "Wallet above its re-arm level again",
    "payout.requested": "A tenant wants money from its wallet",
    "payout.approved": "The platform will pay it",
    "payout.rejected": "The platform will not pay it; its money is free again",
    "payout.completed": "The bank paid it; the money left the wallet",
    "payout.cancelled": "Called off before it was paid; its money is free again",
    "cod_collection.recorded": "Cash on delivery collected",
    "cod_collection.resolved": "What becomes of cash that was missing or too much was decided",
    "cod_collection.settled": "Every remittance of a collection is paid",
    "reseller.invited": "A merchant invited a reseller",
    "reseller.accepted": "A reseller accepted an invitation",
    "reseller.updated": "What a merchant grants a reseller changed",
    "reseller.sale": "A sale a reseller brought earned its commission",
    "reseller.sale_refunded": "A sale was refunded and its commission taken back",
    "reseller.commission_paid": "Commissions reached the reseller's wallet",
    "reseller.embed_campaign_created": "A reseller has a new embed campaign",
    "reseller.embed_campaign_updated": "An embed campaign was paused, resumed or revoked",
    "stock_transfer.requested": "A reseller wants to buy stock",
    "stock_transfer.invoiced": "A stock purchase can be paid",
    "stock_transfer.paid": "A stock purchase was paid",
    "stock_transfer.allocated": "A reseller has the serials it bought",
    "stock_transfer.cancelled": "An unpaid stock purchase was called off",
    "stock_transfer.expired": "A stock purchase was not paid in time",
    "stock_item.delivered": "A reseller's customer got a serial",
    "fulfillment.delivered": "A reseller's shop sold, paid and delivered a serial",
    "fulfillment.refunded": "A fulfilment was refunded and its serials revoked",
    "reconciliation.discrepancy": "The reconciler found something that does not agree",
    "endpoint.failing": "An endpoint of the tenant has only failed for a long time",
    "endpoint.recovered": "A failing endpoint of the tenant answers again",
    "endpoint.disabled": "An endpoint of the tenant was disabled",
    "webhook.test": "A test of an endpoint",
}
TYPE_PATTERN = re.compile(r"[a-z0-9_]+(\.[a-z0-9_]+)+")
TYPE_LENGTH_MAX = 100


def check_type_name(name: str) -> str:
    """Return a well-formed event type, or raise InvalidInput."""
    if len(name) > TYPE_LENGTH_MAX or not TYPE_PATTERN.fullmatch(name):
        raise InvalidInput(
            f"event type {name!r} must be lower-case words joined by dots, such as invoice.paid",
            field="type",
            value=name,
        )
    return name


def register_type(
    connection: Connection, name: str, json_schema: dict[str, Any] | None, now: datetime
) -> None:
    """Make ``name`` publishable, with an optional JSON Schema for its ``data``.

    Raises InvalidInput for a malformed name or schema, AlreadyExists when the type is known.
    """
    check_type_name(name)
    if name in CATALOGUE or _registered(connection, name) is not None:
        raise AlreadyExists(f"event type {name} is already registered", type=name)
    try:
        Draft202012Validator.check_schema(json_schema or {})
    except SchemaError as error:
        raise InvalidInput(
            f"the schema of {name} is not valid: {error.message}", field="schema"
        ) from None
    connection.execute(
        insert(event_types).values(name=name, json_schema=json_schema or {}, registered_at=now)
    )


def known_types(connection: Connection) -> list[str]:
    """Return every type that can be published, sorted."""
    registered = connection.execute(select(event_types.c.name)).scalars()
    return sorted({*CATALOGUE, *registered})


def require_types(connection: Connection, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of each type (empty where none), or raise UnknownEventType."""
    schemas: dict[str, dict[str, Any]] = {}
    for name in sorted(set(names)):
        found = {} if name in CATALOGUE else _registered(connection, name)
        if found is None:
            raise UnknownEventType(
                f"event type {name!r} is not registered; 'tillbell events types' lists the known,"
                f" 'tillbell events types --register {name}' adds it",
                field="type",
                value=name,
            )
        schemas[name] = found
    return schemas


def check_data(data: object, json_schema: dict[str, Any], type_name: str) -> None:
    """Raise InvalidInput naming the place where ``data`` breaks its type's schema."""
    if not json_schema:
        return
    for error in Draft202012Validator(json_schema).iter_errors(data):
        raise InvalidInput(f"data of {type_name}: {error.json_path}: {error.message}", field="data")


def _registered(connection: Connection, name: str) -> dict[str, Any] | None:
    row = connection.execute(
        select(event_types.c.json_schema).where(event_types.c.name == name)
    ).first()
    return None if row is None else (row.json_schema or {})
