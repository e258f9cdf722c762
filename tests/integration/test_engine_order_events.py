"""What a chain order tells whom, on both databases (domain.md 2.10)."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from engine import orders
from engine.database import Database
from engine.errors import InvalidStatus
from engine.order_tables import chain_orders, order_log
from engine.tables import events, outbox
from engine.unit_of_work import UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, deliver, dump, place, raised

CODED = [{"sku": "PROD-001", "quantity": 1, "unit_price": 155, "order_detail_id": 55501}]


def heard(database: Database, tenant_id: str, name: str) -> list[dict[str, Any]]:
    """Return a tenant's events of one type."""
    with database.read() as connection:
        return raised(connection, tenant_id, f"chain_order.{name}")


def prices(data: dict[str, Any]) -> tuple[int, int, int, int]:
    """Return the price view of an event."""
    names = ("origin_total", "your_cost", "your_margin", "cod_amount")
    found = [data["pricing"][f"{name}_minor"] for name in names]
    return found[0], found[1], found[2], found[3]


def test_each_hears_of_its_own_prices(units: UnitsOfWork, database: Database) -> None:
    """R, D and S see the retail, their own cost and margin: 17, 18 and 20."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    views = {t: prices(heard(database, t, "created")[0]) for t in (chain.r, chain.d, chain.s)}
    expected = {
        chain.r: (15500, 13800, 1700, 15500),
        chain.d: (15500, 12000, 1800, 15500),
        chain.s: (15500, 10000, 2000, 15500),
    }
    assert expected == views
    for tenant, price in ((chain.r, 15500), (chain.d, 13800), (chain.s, 12000)):
        assert price == heard(database, tenant, "created")[0]["items"][0]["unit_price_minor"]


def test_first_sight_is_a_creation_and_the_rest_are_changes(
    units: UnitsOfWork, database: Database
) -> None:
    """R hears every change, D those after it saw the order, S those after the second forward."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    seen = {
        tenant: [each["status"] for each in heard(database, tenant, "status_changed")]
        for tenant in (chain.r, chain.d, chain.s)
    }
    expected = {
        chain.r: ["forwarded", "forwarded", "accepted", "shipped", "delivered"],
        chain.d: ["forwarded", "accepted", "shipped", "delivered"],
        chain.s: ["accepted", "shipped", "delivered"],
    }
    assert {tenant: sorted(found) for tenant, found in expected.items()} == {
        tenant: sorted(found) for tenant, found in seen.items()
    }
    for tenant in expected:
        assert 1 == len(heard(database, tenant, "created"))
        assert 1 == len(heard(database, tenant, "delivered"))


def test_the_customer_is_known_to_origin_and_fulfiller_only(
    units: UnitsOfWork, database: Database
) -> None:
    """No event of D, and none of S before it accepted, holds the name or the street."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    with database.read() as connection:
        query = select(events.c.tenant_id, events.c.type, events.c.body)
        rows = connection.execute(query).all()
    knowing = {(row.tenant_id, row.type) for row in rows if b"Asha" in row.body}
    expected = {
        (chain.r, "chain_order.created"),
        (chain.s, "chain_order.status_changed"),
    }
    assert expected == knowing


def test_delivered_names_the_remittances_of_its_reader(
    units: UnitsOfWork, database: Database
) -> None:
    """D is part of both remittances, R and S of one each."""
    chain = build_chain(units)
    deliver(units, place(units, chain))
    counts = [
        len(heard(database, tenant, "delivered")[0]["settlement"]["remittance_ids"])
        for tenant in (chain.r, chain.d, chain.s)
    ]
    assert [1, 2, 1] == counts
    assert "downstream" == heard(database, chain.d, "delivered")[0]["settlement"]["flow_type"]


def test_lines_with_numbers_are_reported_as_document_000_asks(
    units: UnitsOfWork, database: Database
) -> None:
    """Picked 2, put back 3, picked 2, delivered 1 with its codes."""
    chain = build_chain(units)
    order_id = place(units, chain, items=CODED, shipping_address={})
    with units.begin(actor="test") as work:
        accept_at_top(work, order_id)
        orders.process(work, order_id)
        orders.unprocess(work, order_id)
        orders.process(work, order_id)
        codes = {"order_detail_id": 55501, "delivery_data": ["code-1"], "delivery_note": "hi"}
        orders.deliver(work, order_id, deliveries=[codes])
    with database.read() as connection:
        found = raised(connection, chain.r, "order.line_updated")
        assert [] == raised(connection, chain.s, "order.line_updated")
    by_status = sorted((each["status"], tuple(each["delivery_data"])) for each in found)
    assert [(1, ("code-1",)), (2, ()), (2, ()), (3, ())] == by_status
    assert {55501} == {each["order_detail_id"] for each in found}


def test_a_refused_action_raises_nothing(units: UnitsOfWork, database: Database) -> None:
    """An action that fails after another in the same transaction takes its events with it."""
    chain = build_chain(units)
    order_id = place(units, chain)
    before = dump(database)
    with pytest.raises(InvalidStatus):
        forward_and_ship(units, order_id)
    assert before == dump(database)


def forward_and_ship(units: UnitsOfWork, order_id: str) -> None:
    """Do something allowed and something that is not, in one transaction."""
    with units.begin(actor="test") as work:
        orders.forward(work, order_id)
        orders.ship(work, order_id, tracking_number="T", carrier="c")


def forget(database: Database, order_id: str) -> None:
    """Delete every event of an order, as a defect might."""
    with database.write() as connection:
        connection.execute(delete(outbox))
        connection.execute(delete(events).where(events.c.subject_id == order_id))


def heal(units: UnitsOfWork, order_id: str) -> int:
    """Let the reconciler raise what is missing."""
    with units.begin(actor="reconciler", source="reconciler") as work:
        return orders.raise_missing(work, order_id)


def test_a_sound_order_needs_no_healing(units: UnitsOfWork, database: Database) -> None:
    """Raising what is missing changes no row of an order that has its events."""
    chain: Chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    before = dump(database)
    assert 0 == heal(units, order_id)
    assert before == dump(database)


def test_lost_events_of_the_version_are_raised_once(units: UnitsOfWork, database: Database) -> None:
    """Creation, change and delivery come back for each tenant; a second heal finds nothing."""
    chain = build_chain(units)
    order_id = place(units, chain)
    deliver(units, order_id)
    forget(database, order_id)
    assert 9 == heal(units, order_id)
    assert 0 == heal(units, order_id)
    assert "delivered" == heard(database, chain.d, "status_changed")[0]["status"]


def test_a_row_that_moved_alone_gets_its_step_and_event(
    units: UnitsOfWork, database: Database
) -> None:
    """A status changed behind the engine's back is told, and its timeline continues."""
    chain = build_chain(units)
    order_id = place(units, chain)
    with database.write() as connection:
        mine = chain_orders.c.id == order_id
        connection.execute(update(chain_orders).where(mine).values(chain_status="cancelled"))
    assert 2 == heal(units, order_id)
    found = heard(database, chain.r, "status_changed")
    assert [("pending_forward", "cancelled", 2)] == [
        (each["previous_status"], each["status"], each["seq"]) for each in found
    ]
    with database.read() as connection:
        count = select(func.count()).where(order_log.c.chain_order_id == order_id)
        assert 2 == connection.execute(count).scalar_one()
