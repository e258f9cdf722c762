"""Draft orders on both databases: made, filled, and refused without a trace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest

from config.clock import FixedClock
from engine import draft_items, draft_views, drafts, end_customers
from engine.database import Database
from engine.errors import (
    AlreadyExists,
    DraftExpired,
    IdempotencyKeyReused,
    InvalidInput,
    NotFound,
    OrderExists,
    TooManyDrafts,
)
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import Chain, build_chain, dump
from tests.conftest import START
from tests.drafting import ADDRESS, ITEM, do, make_customer, make_draft, refused
from worker.cli.output import to_json

WEEK = timedelta(hours=168)


@pytest.fixture
def chain(units: UnitsOfWork) -> Chain:
    """Return the chain of document 001."""
    return build_chain(units)


def test_only_the_account_is_mandatory(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """A draft of the own account: dated today, 168 hours to live, prepaid, nothing in it."""
    row = do(units, lambda work: drafts.create(work, chain.r, {"account_id": chain.r}))
    assert ("draft", 1, START + WEEK, date(2026, 3, 2)) == (
        row["status"],
        row["version"],
        row["expires_at"],
        row["order_date"],
    )
    with database.read() as connection:
        seen = draft_views.show(connection, row["id"], START, tenant_id=chain.r)
    assert {
        "id": row["id"],
        "stage": "Draft",
        "status": "draft",
        "account_id": chain.r,
        "customer": {"name": "Retailer XYZ"},
        "payment": {"method": "prepaid", "collector": "origin"},
        "items": [],
        "custom_fields": {},
        "expires_at": "2026-03-09T09:30:00Z",
    }.items() <= seen.items()


def test_today_is_the_reseller_s_day(units: UnitsOfWork, clock: FixedClock) -> None:
    """At 20:00 UTC it is the next day in Kolkata; the 168 hours count from the instant."""
    chain = build_chain(units, timezone="Asia/Kolkata")
    clock.advance(timedelta(hours=10, minutes=30))
    row = do(units, lambda work: drafts.create(work, chain.r, {"account_id": chain.r}))
    assert (date(2026, 3, 3), clock.now() + WEEK) == (row["order_date"], row["expires_at"])


def test_an_end_customer_s_draft_says_who_it_is_for(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """Name and address come from the account, and reach the chain order."""
    customer_id = make_customer(units, chain.r)
    draft_id = do(
        units,
        lambda work: drafts.create(
            work,
            chain.r,
            {"account_id": customer_id, "payment": {"method": "cod"}, "items": [ITEM]},
        ),
    )["id"]
    order = do(units, lambda work: drafts.checkout(work, draft_id))
    assert {"name": "Asha Rao", "phone": "+91 1"} == order["customer"]
    assert ADDRESS == order["shipping_address"]
    with database.read() as connection:
        assert customer_id == draft_views.show(connection, draft_id, START)["account_id"]


def test_another_reseller_s_account_is_no_account(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The parent's, another's customer's, a draft's id, nothing: the same refusal for each."""
    foreign = make_customer(units, chain.d)
    given: list[Any] = [foreign, chain.d, chain.s, chain.product_id, "x", 7, None, "\x00", ""]

    def create(account_id: Any) -> Callable[[UnitOfWork], Any]:
        return lambda work: drafts.create(work, chain.r, {"account_id": account_id})

    fields = {refused(units, database, InvalidInput, create(one)).details["field"] for one in given}
    assert {"account_id"} == fields


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"external_order_id": ""}, "external_order_id"),
        ({"external_order_id": "x" * 101}, "external_order_id"),
        ({"order_date": "yesterday"}, "order_date"),
        ({"order_date": 20260302}, "order_date"),
        ({"customer": []}, "customer"),
        ({"shipping_address": "1 Road"}, "shipping_address"),
        ({"payment": {"method": "barter"}}, "payment.method"),
        ({"payment": {"method": "cod", "collector": "nobody"}}, "payment.collector"),
        ({"items": {}}, "items"),
        ({"items": [{"sku": "PROD-001", "quantity": 1}] * 501}, "items"),
        ({"items": [{"sku": "NONE", "quantity": 1}]}, "items[0].sku"),
        ({"items": [{"sku": "PROD-001", "quantity": 0}]}, "items[0].quantity"),
        ({"items": [{"quantity": 1}]}, "items[0].sku"),
        ({"items": [{"sku": "PROD-001", "quantity": 1, "unit_price": -1}]}, "items[0].unit_price"),
        ({"items": [{"sku": "PROD-001", "quantity": 10**6, "unit_price": 10**11}]}, "items"),
        ({"items": ["PROD-001"]}, "items[0]"),
        ({"custom_fields": {"": 1}}, "custom_fields name"),
        ({"custom_fields": [1]}, "custom_fields"),
        ({"status": "checked_out"}, "status"),
    ],
)
def test_bad_input_makes_no_draft(
    units: UnitsOfWork, database: Database, chain: Chain, given: dict[str, Any], field: str
) -> None:
    """Every refusal names the field and leaves nothing behind."""
    asked = {"account_id": chain.r, **given}
    refusal = refused(
        units, database, InvalidInput, lambda work: drafts.create(work, chain.r, asked)
    )
    assert field == refusal.details["field"]


@pytest.mark.fault("F27")
def test_repeated_it_is_the_same_draft(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """By external id, by idempotency key, by both; changed content is told apart (F27)."""
    asked = {"account_id": chain.r, "external_order_id": "PO-1", "items": [ITEM]}

    def create(given: dict[str, Any], key: str | None = None) -> Callable[[UnitOfWork], Any]:
        return lambda work: drafts.create(work, chain.r, given, idempotency_key=key)

    first = do(units, create(asked, "key-1"))
    before = dump(database)
    for key in ("key-1", None, "key-2"):
        assert first["id"] == do(units, create(dict(reversed(asked.items())), key))["id"]
    assert before == dump(database)
    other = {**asked, "items": [{**ITEM, "quantity": 2}]}
    refused(units, database, OrderExists, create(other))
    refused(units, database, IdempotencyKeyReused, create(other, "key-1"))
    refused(units, database, IdempotencyKeyReused, create({"account_id": chain.r}, "key-1"))
    assert first["id"] != do(units, create({**asked, "external_order_id": "PO-2"}))["id"]
    # The keys are the tenant's own.
    mine = {**asked, "account_id": chain.d}
    assert first["id"] != do(units, lambda work: drafts.create(work, chain.d, mine))["id"]


def test_checked_out_or_expired_the_key_stays_the_draft_s(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """A repeated create returns a draft that was checked out, and says of one that it expired."""
    ids = [make_draft(units, chain, external_order_id=name) for name in ("PO-1", "PO-2")]
    do(units, lambda work: drafts.checkout(work, ids[0]))
    assert ids[0] == make_draft(units, chain, external_order_id="PO-1")
    clock.advance(WEEK)
    before = dump(database)
    assert ids[0] == make_draft(units, chain, external_order_id="PO-1")
    with pytest.raises(DraftExpired):
        make_draft(units, chain, external_order_id="PO-2")
    assert before == dump(database)


def test_a_tenant_has_so_many_open_drafts(
    units: UnitsOfWork, database: Database, chain: Chain, clock: FixedClock
) -> None:
    """The cap counts what is open: what was checked out or has expired makes room."""

    def create(work: UnitOfWork) -> Any:
        asked = {"account_id": chain.r, "items": [ITEM], "payment": {"method": "cod"}}
        return drafts.create(work, chain.r, asked, open_max=3)

    ids = [do(units, create)["id"] for _ in range(3)]
    assert 3 == refused(units, database, TooManyDrafts, create).details["limit"]
    do(units, lambda work: drafts.checkout(work, ids[0]))
    do(units, create)
    refused(units, database, TooManyDrafts, create)
    clock.advance(WEEK)
    do(units, create)
    # Another tenant has its own.
    asked = {"account_id": chain.d}
    do(units, lambda work: drafts.create(work, chain.d, asked, open_max=1))


def test_items_come_change_and_go(units: UnitsOfWork, database: Database, chain: Chain) -> None:
    """Added by sku or id, changed, removed; each change is a version of the draft."""
    draft_id = make_draft(units, chain)
    second = do(
        units,
        lambda work: drafts.add_item(
            work, draft_id, {"product_id": chain.product_id, "quantity": 3, "unit_price": "150.50"}
        ),
    )
    with database.read() as connection:
        [first, added] = draft_views.items(connection, draft_id, START, tenant_id=chain.r)
        one = draft_views.item(connection, draft_id, second["id"].upper(), START)
        assert to_json(added) == to_json(one)
    assert ("PROD-001", 3, 15050) == (added["sku"], added["quantity"], added["unit_price_minor"])
    changed = do(
        units,
        lambda work: drafts.set_item(
            work, draft_id, second["id"], {"quantity": 5, "unit_price": 149}
        ),
    )
    assert (5, 14900) == (changed["quantity"], changed["unit_price_minor"])
    do(units, lambda work: drafts.remove_item(work, draft_id, first["id"]))
    third = do(units, lambda work: drafts.add_item(work, draft_id, ITEM))
    with database.read() as connection:
        left = draft_views.items(connection, draft_id, START)
        assert 5 == drafts.get(connection, draft_id, START)["version"]
    assert [second["id"], third["id"]] == [row["id"] for row in left]


def test_without_a_price_it_is_the_usual_one(units: UnitsOfWork, chain: Chain) -> None:
    """What the reseller pays where nothing is recommended."""
    draft_id = make_draft(units, chain)
    item = {"sku": "PROD-001", "quantity": 1}
    added = do(units, lambda work: drafts.add_item(work, draft_id, item))
    assert 13800 == added["unit_price_minor"]


def test_what_an_item_cannot_be(units: UnitsOfWork, database: Database, chain: Chain) -> None:
    """Bad values and items of other drafts change nothing."""
    draft_id, other_id = make_draft(units, chain), make_draft(units, chain)
    with database.read() as connection:
        [mine] = draft_items.of(connection, draft_id)
    wrong: list[Any] = [{}, {"quantity": 0}, {"quantity": 1.5}, {"unit_price": "x"}, {"sku": "A"}]
    for values in (*wrong, []):
        change = partial(drafts.set_item, order_id=draft_id, item_id=mine["id"], values=values)
        refused(units, database, InvalidInput, change)
    for item_id in (mine["id"], "x", draft_id):
        remove = partial(drafts.remove_item, order_id=other_id, item_id=item_id)
        refused(units, database, NotFound, remove)


def test_end_customers_have_one_external_id(
    units: UnitsOfWork, database: Database, chain: Chain
) -> None:
    """The same one again is refused; another reseller may have it; two without one are two."""
    given = {"name": "Asha", "external_id": "C-1"}
    do(units, lambda work: end_customers.create(work, chain.r, given))
    refused(units, database, AlreadyExists, lambda work: end_customers.create(work, chain.r, given))
    do(units, lambda work: end_customers.create(work, chain.d, given))
    for _ in range(2):
        do(units, lambda work: end_customers.create(work, chain.r, {"name": "Ravi"}))
    with database.read() as connection:
        listed = end_customers.listing(connection, chain.r)
    assert ["Ravi", "Ravi", "Asha"] == [row["name"] for row in listed]
