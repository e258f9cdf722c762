"""Checkout on both databases: a draft becomes the order of the same id, or stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from engine import draft_items, draft_views, drafts, order_rows, orders, tenants
from engine.database import Database
from engine.draft_tables import draft_orders
from engine.errors import (
    DraftEmpty,
    InsufficientBalance,
    InvalidInput,
    InvalidStatus,
    NotFound,
    OrderExists,
)
from engine.order_tables import order_lines
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, build_chain, order_of, raised, top_up
from tests.conftest import START
from tests.drafting import ITEM, do, make_draft, refused


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def test_checkout_places_the_order_under_the_same_ids(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The draft's id is the order's, its items' are the lines'; the event is the order's own."""
    draft_id = make_draft(units, chain, ITEM, {**ITEM, "quantity": 2, "deliver_id": "D-1"})
    with database.read() as connection:
        items = draft_items.of(connection, draft_id)
    order = do(units, lambda work: drafts.checkout(work, draft_id, tenant_id=chain.r))
    assert (draft_id, draft_id, "pending_forward", 46500) == (
        order["id"],
        order["origin_order_number"],
        order["chain_status"],
        order["origin_total_minor"],
    )
    with database.read() as connection:
        lines = order_rows.lines_of(connection, draft_id)
        [event] = raised(connection, chain.r, "chain_order.created")
        seen = draft_views.show(connection, draft_id, START, tenant_id=chain.r)
    assert [item["id"] for item in items] == [line["id"] for line in lines]
    assert [None, "D-1"] == [line["deliver_id"] for line in lines]
    assert draft_id == event["chain_order_id"]
    assert ("Confirmed", "pending_forward", chain.r, None) == (
        seen["stage"],
        seen["status"],
        seen["account_id"],
        seen["expires_at"],
    )


def test_a_prepaid_checkout_sets_its_money_aside(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Without funds the draft stays one, byte for byte; with funds it is placed."""
    draft_id = make_draft(units, chain, payment={"method": "prepaid"})
    refused(units, database, InsufficientBalance, lambda work: drafts.checkout(work, draft_id))
    top_up(units, chain.r, 13800)
    assert "prepaid" == do(units, lambda work: drafts.checkout(work, draft_id))["payment_method"]


def test_an_empty_draft_is_not_checked_out(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """At least one item."""
    draft_id = do(units, lambda work: drafts.create(work, chain.r, {"account_id": chain.r}))["id"]
    refused(units, database, DraftEmpty, lambda work: drafts.checkout(work, draft_id))


def test_a_product_gone_meanwhile_refuses_the_checkout(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Price and availability are asked again at checkout."""
    from engine import pricing

    draft_id = make_draft(units, chain)
    do(
        units,
        lambda work: pricing.set_margin(work, chain.product_id, chain.r, 15, is_available=False),
    )
    refused(units, database, InvalidInput, lambda work: drafts.checkout(work, draft_id))


@pytest.mark.parametrize("same", [True, False])
def test_a_number_that_was_ordered_another_way_is_taken(
    units: UnitsOfWork, database: Database, chain: Chain, same: object
) -> None:
    """Of the same content or not: the draft is not that order."""
    changes = {} if same else {"items": [{**ITEM, "quantity": 7}]}
    draft_id = make_draft(
        units,
        chain,
        *order_of("PO-1")["items"],
        external_order_id="PO-1",
        customer=order_of()["customer"],
    )
    do(units, lambda work: orders.place(work, chain.r, order_of("PO-1", **changes)))
    refused(units, database, OrderExists, lambda work: drafts.checkout(work, draft_id))


def test_what_is_checked_out_is_no_draft(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A second checkout and every change of items is refused, of orders placed directly too."""
    draft_id = make_draft(units, chain)
    direct = do(units, lambda work: orders.place(work, chain.r, order_of()))["id"]
    do(units, lambda work: drafts.checkout(work, draft_id))
    for order_id in (draft_id, direct):
        calls: list[Callable[[UnitOfWork], Any]] = [
            partial(drafts.checkout, order_id=order_id, tenant_id=chain.r),
            partial(drafts.add_item, order_id=order_id, item=ITEM),
            partial(drafts.set_item, order_id=order_id, item_id=order_id, values={}),
            partial(drafts.remove_item, order_id=order_id, item_id=order_id),
        ]
        for call in calls:
            refusal = refused(units, database, InvalidStatus, call)
            assert refusal.details["current_status"] in {"checked_out", "pending_forward"}


def test_a_draft_is_its_reseller_s_alone(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Parents, strangers and nonsense find nothing, before checkout and after."""
    draft_id = make_draft(units, chain)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    for placed in (False, True):
        if placed:
            do(units, lambda work: drafts.checkout(work, draft_id))
        for tenant_id in (chain.d, chain.s, stranger):
            calls: list[Callable[[UnitOfWork], Any]] = [
                partial(drafts.add_item, order_id=draft_id, item=ITEM, tenant_id=tenant_id),
                partial(drafts.checkout, order_id=draft_id, tenant_id=tenant_id),
                partial(
                    draft_views.put_fields, order_id=draft_id, given={"a": 1}, tenant_id=tenant_id
                ),
            ]
            for call in calls:
                refused(units, database, NotFound, call)
            for look in (draft_views.show, draft_views.items, draft_views.execute_status):
                with database.read() as connection, pytest.raises(NotFound):
                    look(connection, draft_id, START, tenant_id=tenant_id)
    for nonsense in ("x", chain.r, ""):
        refused(units, database, NotFound, partial(drafts.checkout, order_id=nonsense))


def test_nothing_of_a_draft_reaches_the_chain(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Before checkout there is no order, no line and no event."""
    make_draft(units, chain)
    with database.read() as connection:
        assert [] == raised(connection, chain.r, "chain_order.created")
        assert [] == connection.execute(select(order_lines)).all()
        assert 1 == len(connection.execute(select(draft_orders)).all())
