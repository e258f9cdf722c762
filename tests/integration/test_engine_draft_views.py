"""Custom fields, characteristics and the execution of an order, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import draft_views, drafts, orders
from engine.database import Database
from engine.draft_input import merge_fields
from engine.errors import InvalidInput, InvalidStatus, NotFound
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, accept_at_top, build_chain, order_of
from tests.conftest import START
from tests.drafting import do, make_draft, refused

VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-1e15, 1e15)
    | st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs"]), max_size=50)
)
NAMES = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20)


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def test_fields_are_put_over_those_that_stand(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """New ones join, null takes one away, before checkout and after."""
    draft_id = make_draft(units, chain, custom_fields={"cost centre": "A7", "gift": True})
    put = partial(draft_views.put_fields, order_id=draft_id, tenant_id=chain.r)
    assert {"cost centre": "A7", "notes": ""} == do(
        units, partial(put, given={"gift": None, "notes": ""})
    )
    do(units, partial(drafts.checkout, order_id=draft_id))
    expected = {"cost centre": "B2", "notes": "", "boxes": 3}
    assert expected == do(units, partial(put, given={"cost centre": "B2", "boxes": 3}))
    with database.read() as connection:
        shown = draft_views.show(connection, draft_id, START, tenant_id=chain.r)
    assert (expected, "Confirmed") == (shown["custom_fields"], shown["stage"])


def test_items_keep_their_characteristics_through_checkout(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Given with the item or later; they go with the item."""
    item = {"sku": "PROD-001", "quantity": 1, "characteristics": {"colour": "red"}}
    draft_id = make_draft(units, chain, item, item)
    with database.read() as connection:
        first, second = draft_views.items(connection, draft_id, START)
    assert {"colour": "red"} == first["characteristics"]
    size = partial(draft_views.put_fields, order_id=draft_id, item_id=second["id"])
    do(units, partial(size, given={"size": 42.5}))
    do(units, partial(drafts.remove_item, order_id=draft_id, item_id=first["id"]))
    do(units, partial(drafts.checkout, order_id=draft_id))
    do(units, partial(size, given={"colour": None}))
    with database.read() as connection:
        [left] = draft_views.items(connection, draft_id, START)
    assert (second["id"], {"size": 42.5}, "pending") == (
        left["id"],
        left["characteristics"],
        left["status"],
    )


def test_an_order_placed_directly_has_fields_too(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Document 003 reads and writes the orders of document 001, for their origin."""
    order_id = do(units, lambda work: orders.place(work, chain.r, order_of("ORD-9")))["id"]
    do(units, partial(draft_views.put_fields, order_id=order_id, given={"a": 1}))
    with database.read() as connection:
        shown = draft_views.show(connection, order_id, START, tenant_id=chain.r)
    assert ("ORD-9", None, "2026-03-02", {"a": 1}) == (
        shown["external_order_id"],
        shown["account_id"],
        shown["order_date"],
        shown["custom_fields"],
    )


@pytest.mark.parametrize(
    "fields",
    [
        [],
        "a=1",
        {"": 1},
        {"x" * 101: 1},
        {"a": "x" * 2001},
        {"a": 2**53},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": {"nested": 1}},
        {"a": [1]},
        {"a": "\x00"},
        {f"name {number}": 1 for number in range(51)},
        {f"name {number}": "x" * 2000 for number in range(10)},
    ],
)
def test_what_fields_cannot_be(
    units: UnitsOfWork, database: Database, chain: Chain, fields: object
) -> None:
    """Names, values and sizes have bounds; a refusal changes nothing."""
    draft_id = make_draft(units, chain, custom_fields={"kept": 1})
    put = partial(draft_views.put_fields, order_id=draft_id, given=fields)
    refused(units, database, InvalidInput, put)


def test_an_item_of_another_order_is_not_found(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The item must be the order's own."""
    first, second = make_draft(units, chain), make_draft(units, chain)
    with database.read() as connection:
        [item] = draft_views.items(connection, first, START)
    put = partial(draft_views.put_fields, order_id=second, item_id=item["id"], given={"a": 1})
    refused(units, database, NotFound, put)


def test_only_a_confirmed_order_is_executed(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A draft and what the reseller cancelled have no execution; the others say how far it is."""

    def status() -> dict[str, Any]:
        with database.read() as connection:
            return draft_views.execute_status(connection, draft_id, START, tenant_id=chain.r)

    draft_id = make_draft(units, chain)
    with pytest.raises(InvalidStatus) as refusal:
        status()
    assert "draft" == refusal.value.details["current_status"]
    do(units, partial(drafts.checkout, order_id=draft_id))
    steps: list[tuple[Callable[[UnitOfWork], Any], str]] = [
        (partial(accept_at_top, order_id=draft_id), "in_progress"),
        (
            partial(orders.ship, order_id=draft_id, tracking_number="T1", carrier="c"),
            "in_progress",
        ),
        (partial(orders.deliver, order_id=draft_id), "completed"),
        (partial(orders.return_, order_id=draft_id), "returned"),
    ]
    assert "in_progress" == status()["status"]
    for step, expected in steps:
        do(units, step)
        assert expected == status()["status"]
    draft_id = make_draft(units, chain)
    do(units, partial(drafts.checkout, order_id=draft_id))
    do(units, partial(orders.cancel, order_id=draft_id, reason="no"))
    with pytest.raises(InvalidStatus) as refusal:
        status()
    assert "cancelled" == refusal.value.details["current_status"]


def test_cancelled_by_the_fulfiller_is_confirmed(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """After somebody accepted it is not the reseller who cancels."""
    draft_id = make_draft(units, chain)
    do(units, partial(drafts.checkout, order_id=draft_id))
    do(units, partial(accept_at_top, order_id=draft_id))
    do(units, partial(orders.cancel, order_id=draft_id, reason="out of stock"))
    with database.read() as connection:
        assert "cancelled" == draft_views.execute_status(connection, draft_id, START)["status"]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(puts=st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=5))
def test_fields_read_back_as_they_were_put(
    units: UnitsOfWork, chain: Chain, puts: list[dict[str, Any]]
) -> None:
    """Whatever is put one after the other reads as a dictionary would."""
    draft_id = make_draft(units, chain)
    expected: dict[str, Any] = {}
    for fields in puts:
        expected = {name: value for name, value in (expected | fields).items() if value is not None}
        assert expected == merge_fields({}, expected, field="custom_fields")
        do(units, partial(draft_views.put_fields, order_id=draft_id, given=fields))
    with units.database.read() as connection:
        assert expected == draft_views.show(connection, draft_id, START)["custom_fields"]
