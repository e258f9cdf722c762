"""Reseller programs on both databases: settings, invitations, relationships (document 002)."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from config.clock import FixedClock
from config.errors import TillbellError
from engine import invitations, products, programs, relationships, tenants
from engine.database import Database
from engine.errors import AlreadyExists, Forbidden, InvalidInput, InvalidStatus, NotFound
from engine.unit_of_work import UnitOfWork, UnitsOfWork
from tests.chains import dump, raised
from tests.racing import together
from tests.reselling import EMAIL, KEYRING, bind, build_shop


def test_a_program_never_set_is_off(units: UnitsOfWork, database: Database) -> None:
    """Without a row there are defaults, nobody can be invited, and reading writes nothing."""
    with units.begin(actor="test") as work:
        merchant = tenants.create(work, name="Shop")["id"]
    before = dump(database)
    with database.read() as connection:
        program = programs.show(connection, merchant)
    assert (False, "both", 0) == (
        program["is_enabled"],
        program["default_mode"],
        program["default_commission_percent"],
    )
    with pytest.raises(TillbellError, match="off") as refusal, units.begin(actor="test") as work:
        invitations.invite(work, KEYRING, merchant, {"email": EMAIL})
    assert "PROGRAM_UNAVAILABLE" == refusal.value.code
    assert before == dump(database)


def test_a_program_keeps_what_is_not_given(units: UnitsOfWork) -> None:
    """Two partial updates leave both their fields, and the version counts them."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        program = programs.update(work, shop.merchant, {"default_commission_percent": "12.5"})
    assert (True, Decimal("12.5"), 35, 5000, 2) == (
        program["is_enabled"],
        program["default_commission_percent"],
        program["default_wholesale_discount_percent"],
        program["min_payout_threshold_minor"],
        program["version"],
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"is_enabled": 1},
        {"default_mode": "resell"},
        {"default_mode": None},
        {"default_commission_percent": 100.01},
        {"default_commission_percent": -1},
        {"default_commission_percent": "NaN"},
        {"default_wholesale_discount_percent": "1.23456"},
        {"default_wholesale_discount_percent": True},
        {"min_payout_threshold": -1},
        {"min_payout_threshold": "0.001"},
        {"min_payout": 1},
        {"tenant_id": "x"},
    ],
)
def test_a_bad_program_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, Any]
) -> None:
    """A value that cannot be, or a field that is none, is refused and every row stays."""
    shop = build_shop(units)
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        programs.update(work, shop.merchant, {"is_enabled": False, **changes})
    assert before == dump(database)


def test_an_invitation_becomes_a_relationship_with_its_terms(
    units: UnitsOfWork, database: Database
) -> None:
    """Document 002's example: what was granted stands in the relationship, and both are told."""
    shop = build_shop(units)
    granted = {
        "product_id": shop.product_id,
        "commission_percent_override": 30,
        "max_quantity": 100,
    }
    terms = {"mode": "STOCK", "custom_commission_percent": 30, "purchase_limit_daily": 50}
    with units.begin(actor="test") as work:
        made = bind(work, shop.merchant, "B", "b@b.example", **terms, product_access=[granted])
    with database.read() as connection:
        row = relationships.get(connection, made["id"], tenant_id=made["child_id"])
        access = relationships.access_of(connection, made["id"])
        told = raised(connection, made["child_id"], "reseller.accepted")
        merchant_told = raised(connection, shop.merchant, "reseller.accepted")
        invited = raised(connection, shop.merchant, "reseller.invited")
    assert ("stock", 30, 50, shop.merchant) == (
        row["mode"],
        row["custom_commission_percent"],
        row["purchase_limit_daily"],
        row["parent_id"],
    )
    assert [granted] == access
    assert [("reseller", shop.merchant, 30)] == [
        (e["role"], e["counterparty_tenant_id"], e["custom_commission_percent"]) for e in told
    ]
    assert [shop.reseller, made["child_id"]] == [
        event["counterparty_tenant_id"] for event in merchant_told
    ]
    assert 2 == len(invited)


def test_an_invitation_keeps_its_secrets(units: UnitsOfWork, database: Database) -> None:
    """Neither token nor e-mail stand anywhere in the database; the merchant can read the e-mail."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        made = invitations.invite(work, KEYRING, shop.merchant, {"email": "Hidden@Example.com"})
    stored = repr(dump(database)).lower()
    assert made["token"].lower() not in stored
    assert "hidden" not in stored
    with database.read() as connection:
        found = invitations.get(connection, made["id"], tenant_id=shop.merchant)
        assert "hidden@example.com" == invitations.email_of(connection, KEYRING, found)
        assert "token" not in found
        with pytest.raises(NotFound):
            invitations.get(connection, made["id"], tenant_id=shop.reseller)


def test_an_invitation_is_accepted_once(units: UnitsOfWork, database: Database) -> None:
    """Twenty tenants accept one invitation at once: one becomes the reseller."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        token = invitations.invite(work, KEYRING, shop.merchant, {"email": "b@b.example"})["token"]
        names = [tenants.create(work, name=f"T{number}")["id"] for number in range(20)]

    def accepting(tenant_id: str) -> Callable[[UnitOfWork], Any]:
        return lambda work: invitations.accept(work, token, tenant_id=tenant_id)

    ended = together(units, [accepting(tenant_id) for tenant_id in names])
    assert {"done": 1, "INVALID_STATUS": 19} == ended
    with database.read() as connection:
        assert 2 == len(relationships.listing(connection, tenant_id=shop.merchant))


def test_a_tenant_is_a_merchants_reseller_once(units: UnitsOfWork, database: Database) -> None:
    """A second invitation accepted by the same tenant is refused, and stays open."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        token = invitations.invite(work, KEYRING, shop.merchant, {"email": "b@b.example"})["token"]
    before = dump(database)
    with pytest.raises(AlreadyExists), units.begin(actor="test") as work:
        invitations.accept(work, token, tenant_id=shop.reseller)
    assert before == dump(database)


def test_an_invitation_ends(units: UnitsOfWork, clock: FixedClock) -> None:
    """Open, it bars a second one to that e-mail; past its end it can be given again, not taken."""
    shop = build_shop(units)
    asked = {"email": "b@b.example"}
    with units.begin(actor="test") as work:
        first = invitations.invite(work, KEYRING, shop.merchant, asked)
    with pytest.raises(AlreadyExists), units.begin(actor="test") as work:
        invitations.invite(work, KEYRING, shop.merchant, {"email": " B@B.example"})
    clock.advance(timedelta(days=14))
    with pytest.raises(InvalidStatus, match="expired"), units.begin(actor="test") as work:
        invitations.accept(work, first["token"], name="Late")
    with units.begin(actor="test") as work:
        second = invitations.invite(work, KEYRING, shop.merchant, asked)
        assert "expired" == invitations.get(work.connection, first["id"])["status"]
        invitations.revoke(work, second["id"], tenant_id=shop.merchant)
    with pytest.raises(InvalidStatus, match="revoked"), units.begin(actor="test") as work:
        invitations.accept(work, second["token"], name="Late")


@pytest.mark.parametrize(
    "asked",
    [
        {"email": "nobody"},
        {"email": None},
        {"email": "a@b.c\x00"},
        {"email": "a b@c.example"},
        {"email": "b@b.example", "mode": "none"},
        {"email": "b@b.example", "custom_commission_percent": 101},
        {"email": "b@b.example", "purchase_limit_daily": -1},
        {"email": "b@b.example", "purchase_limit_daily": 1.5},
        {"email": "b@b.example", "product_access": {}},
        {"email": "b@b.example", "product_access": [{"product_id": "x"}]},
        {"email": "b@b.example", "product_access": [{"product_id": "{foreign}"}]},
        {"email": "b@b.example", "product_access": [{"product_id": "{product}"}] * 2},
        {"email": "b@b.example", "product_access": [{"product_id": "{product}", "max": 1}]},
        {"email": "b@b.example", "credit_limit": 5},
    ],
)
def test_a_bad_invitation_changes_nothing(
    units: UnitsOfWork, database: Database, asked: dict[str, Any]
) -> None:
    """A bad address, term or product is refused and nobody is told."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        foreign = {"sku": "F", "name": "F", "base_cost": 1}
        other = products.create(work, shop.reseller, foreign)["id"]
    asked = deepcopy(asked)
    for each in asked.get("product_access", []):
        if "product_id" in each:
            names = {"{foreign}": other, "{product}": shop.product_id}
            each["product_id"] = names.get(each["product_id"], each["product_id"])
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        invitations.invite(work, KEYRING, shop.merchant, asked)
    assert before == dump(database)


def test_a_relationship_is_a_tenant_boundary(units: UnitsOfWork, database: Database) -> None:
    """A stranger does not find it, the reseller may only read it, other ids are none."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    before = dump(database)
    for tenant_id, refused in ((stranger, NotFound), (shop.reseller, Forbidden)):
        with pytest.raises(refused), units.begin(actor="test") as work:
            relationships.update(work, shop.relationship, {"mode": "stock"}, tenant_id=tenant_id)
    for name in (shop.merchant, "rel_123", ""):
        with pytest.raises(NotFound), units.begin(actor="test") as work:
            relationships.get(work.connection, name)
    assert before == dump(database)


def test_terms_are_found_from_both_sides(units: UnitsOfWork, database: Database) -> None:
    """Credit limit and days stand under either order of the pair; without any, both are none."""
    shop = build_shop(units)
    changes = {"credit_limit": 500, "terms_days": 14, "status": "suspended"}
    with units.begin(actor="test") as work:
        for _ in range(2):
            row = relationships.update(work, shop.relationship, changes, tenant_id=shop.merchant)
    there, back = (shop.merchant, shop.reseller), (shop.reseller, shop.merchant)
    with database.read() as connection:
        found = relationships.terms_between(connection, [there, back, (shop.merchant, row["id"])])
        told = raised(connection, shop.reseller, "reseller.updated")
    assert relationships.Terms(50000, 14) == found[there] == found[back]
    assert relationships.Terms() == found[shop.merchant, row["id"]]
    assert [("suspended", 14, 50000)] == [
        (each["status"], each["terms_days"], each["credit_limit_minor"]) for each in told
    ]
