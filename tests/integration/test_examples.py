"""An example of a type has the fields of the event the engine raises, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select

from config.clock import FixedClock
from dispatcher.examples import EXAMPLES, example_of
from engine import catalogue, orders, products, remittances, wallets
from engine.database import Database
from engine.errors import InvalidInput, UnknownEventType
from engine.settlement_tables import remittances as remittance_rows
from engine.tables import events
from engine.unit_of_work import UnitsOfWork
from reconciler.runner import Runner
from tests.chains import accept_at_top, build_chain, deliver, order_of, place, tell_products, top_up

#: What only the origin and the fulfiller read, and an example of a later step leaves out.
PERSONAL = {"customer", "shipping_address"}
CODED = [{"sku": "PROD-001", "quantity": 1, "unit_price": 155, "order_detail_id": 55501}]


def _tell_everything(units: UnitsOfWork, clock: FixedClock) -> None:
    """Raise one of nearly every type: an order's life, its money, a wallet low and well again."""
    chain = build_chain(units)
    top_up(units, chain.r, 1000)
    with units.begin(actor="test") as work:
        wallets.set_threshold(work, chain.r, 5000)
    top_up(units, chain.r, 100_000)
    deliver(units, place(units, chain, items=CODED))
    with units.begin(actor="test") as work:
        products.update(work, chain.product_id, {"base_cost": 110})
        second = orders.place(work, chain.r, order_of("ORD-2"))["id"]
        accept_at_top(work, second)
        orders.cancel(work, second, reason="Out of stock")
    tell_products(units)
    clock.advance(timedelta(days=40))
    for _ in Runner(units).run(["K10"], actor="test", full=True):
        pass
    with units.database.read() as connection:
        owed = connection.execute(select(remittance_rows.c.id, remittance_rows.c.payer_id)).all()
    for row in owed:
        top_up(units, row.payer_id, 1_000_000)
        with units.begin(actor="test") as work:
            remittances.process(work, row.id)


def test_examples_have_the_fields_of_real_events(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """A receiver written against an example reads the real event too."""
    _tell_everything(units, clock)
    with database.read() as connection:
        rows = connection.execute(select(events.c.type, events.c.body)).all()
    real: dict[str, set[str]] = {}
    for row in rows:
        real.setdefault(row.type, set()).update(_paths(orjson.loads(row.body)["data"]))
    told = {
        "chain_order.created",
        "chain_order.status_changed",
        "chain_order.delivered",
        "order.line_updated",
        "product.updated",
        "remittance.created",
        "remittance.overdue",
        "remittance.completed",
        "wallet.low_balance",
        "wallet.balance_recovered",
        "cod_collection.recorded",
        "cod_collection.settled",
    }
    assert told <= set(real)
    for name in told:
        shown = _paths(orjson.loads(orjson.dumps(EXAMPLES[name])))
        assert real[name] - PERSONAL == shown - PERSONAL, name


def _paths(found: Any, prefix: str = "") -> set[str]:
    """Return the dotted names of everything in a document; what is free text is one name."""
    if isinstance(found, list):
        return {prefix.rstrip("."), *(path for each in found for path in _paths(each, prefix))}
    if not isinstance(found, dict) or prefix.endswith(("customer.", "shipping_address.")):
        return {prefix.rstrip(".")}
    return {path for key, value in found.items() for path in _paths(value, f"{prefix}{key}.")}


def test_a_registered_type_gives_its_own_example(units: UnitsOfWork) -> None:
    """The first of the schema's examples, an empty object where that is allowed, else a refusal."""
    shown: dict[str, Any] = {"required": ["number"], "examples": [{"number": 7}]}
    with units.begin(actor="test") as work:
        for name, schema in (
            ("invoice.paid", shown),
            ("invoice.any", None),
            ("invoice.bare", {"required": ["number"]}),
        ):
            catalogue.register_type(work.connection, name, schema, work.now)
        assert {"number": 7} == example_of(work.connection, "invoice.paid")
        assert {} == example_of(work.connection, "invoice.any")
        with pytest.raises(InvalidInput) as refusal:
            example_of(work.connection, "invoice.bare")
        assert "type" == refusal.value.details["field"]
        with pytest.raises(UnknownEventType):
            example_of(work.connection, "no.such_type")
