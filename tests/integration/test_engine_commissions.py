"""Affiliate sales and campaigns on both databases: earned once, rounded once, taken back once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from engine import campaigns, commissions, ledger_checks, relationships, tenants
from engine.accounts import balance, find
from engine.database import Database
from engine.errors import (
    Forbidden,
    IdempotencyKeyReused,
    InvalidInput,
    InvalidStatus,
    NotFound,
    ProgramUnavailable,
)
from engine.ids import new_id
from engine.postings import payable, receivable
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump, raised
from tests.racing import together
from tests.reselling import Shop, bind, build_shop


def sale_of(shop: Shop, **changes: Any) -> dict[str, Any]:
    """Return a sale of one piece at 199.98."""
    return {
        "sale_reference": "order-1",
        "product_id": shop.product_id,
        "amount": 199.98,
        **changes,
    }


def owed(database: Database, shop: Shop) -> tuple[int, int]:
    """Return what the merchant's book says it owes the reseller, and what the reseller's says."""
    mine = (shop.merchant, payable(shop.reseller))
    theirs = (shop.reseller, receivable(shop.merchant))
    with database.read() as connection:
        assert [] == ledger_checks.verify(connection)
        found = find(connection, [mine, theirs], "INR")
    return tuple(balance(found[key]) if key in found else 0 for key in (mine, theirs))  # type: ignore[return-value]


def test_a_sale_earns_its_commission_once(units: UnitsOfWork, database: Database) -> None:
    """25 % of 199.98 is 50.00 (49.995 half up); told again it is the same sale, and one event."""
    shop = build_shop(units)
    ids = set()
    for _ in range(2):
        with units.begin(actor="test") as work:
            row = commissions.record_sale(work, shop.relationship, sale_of(shop))
            ids.add(row["id"])
    assert (5000, 1) == (row["commission_minor"], len(ids))
    assert (-5000, 5000) == owed(database, shop)
    with database.read() as connection:
        for tenant_id, role in ((shop.merchant, "merchant"), (shop.reseller, "reseller")):
            told = raised(connection, tenant_id, "reseller.sale")
            assert [(role, 199.98, 5000, 25)] == [
                (e["role"], e["amount"], e["commission_minor"], e["commission_percent"])
                for e in told
            ]


@pytest.mark.parametrize(
    ("override", "custom", "expected"),
    [(None, None, 25), (None, 12.5, Decimal("12.5")), (0, 12.5, 0), (40, None, 40)],
)
def test_the_nearest_commission_counts(
    units: UnitsOfWork, override: float | None, custom: float | None, expected: float
) -> None:
    """The product's override stands before the reseller's, that before the program's; 0 counts."""
    shop = build_shop(units)
    granted = {"product_id": shop.product_id, "commission_percent_override": override}
    changes = {"custom_commission_percent": custom, "product_access": [granted]}
    with units.begin(actor="test") as work:
        relationships.update(work, shop.relationship, changes)
        row = commissions.record_sale(work, shop.relationship, sale_of(shop, amount=100))
    assert (expected, round(expected * 100)) == (row["commission_percent"], row["commission_minor"])


def test_a_refund_takes_the_commission_back_once(units: UnitsOfWork, database: Database) -> None:
    """Refunded twice, one reversal and one event; nobody owes anything."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        row = commissions.record_sale(work, shop.relationship, sale_of(shop))
    for _ in range(2):
        with units.begin(actor="test") as work:
            found = commissions.refund_sale(work, shop.relationship, "order-1", reason="returned")
    assert ("refunded", row["id"]) == (found["status"], found["id"])
    assert (0, 0) == owed(database, shop)
    with database.read() as connection:
        assert 1 == len(raised(connection, shop.reseller, "reseller.sale_refunded"))


def test_a_reference_may_look_like_an_id(units: UnitsOfWork) -> None:
    """A merchant that numbers its sales by UUID refunds by that, and by our id as well."""
    shop = build_shop(units)
    for way in ("reference", "id"):
        reference = new_id()
        with units.begin(actor="test") as work:
            sale = sale_of(shop, sale_reference=reference)
            row = commissions.record_sale(work, shop.relationship, sale)
            name = reference if way == "reference" else row["id"]
            found = commissions.refund_sale(work, shop.relationship, name, reason="r")
        assert ("refunded", row["id"]) == (found["status"], found["id"])


def test_fifty_reports_of_one_sale_are_one(units: UnitsOfWork, database: Database) -> None:
    """The same sale told fifty times at once earns once; then refunded at once, once."""
    shop = build_shop(units)
    calls = [lambda work: commissions.record_sale(work, shop.relationship, sale_of(shop))] * 50
    assert {"done": 50} == together(units, calls)
    assert (-5000, 5000) == owed(database, shop)
    refunds = [
        lambda work: commissions.refund_sale(work, shop.relationship, "order-1", reason="r")
    ] * 20
    assert {"done": 20} == together(units, refunds)
    assert (0, 0) == owed(database, shop)


def test_one_reference_is_one_sale_of_one_reseller(units: UnitsOfWork, database: Database) -> None:
    """Other content, or another reseller, under a used reference is refused; nothing changes."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        commissions.record_sale(work, shop.relationship, sale_of(shop))
        other = bind(work, shop.merchant, "B", "b@b.example")["id"]
    before = dump(database)
    for relationship, amount in ((shop.relationship, 200), (other, 199.98)):
        with pytest.raises(IdempotencyKeyReused), units.begin(actor="test") as work:
            commissions.record_sale(work, relationship, sale_of(shop, amount=amount))
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        commissions.refund_sale(work, other, "order-1", reason="r")
    assert before == dump(database)


@pytest.mark.parametrize(
    "changes",
    [
        {"sale_reference": ""},
        {"sale_reference": None},
        {"amount": -1},
        {"amount": None},
        {"amount": 0.001},
        {"amount": 2**53},
        {"quantity": 0},
        {"quantity": "1"},
        {"product_id": "x"},
        {"product_id": "01900000-0000-7000-8000-000000000001"},
        {"campaign_id": 5},
        {"commission": 5},
    ],
)
def test_a_bad_sale_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, Any]
) -> None:
    """What cannot be a sale is refused and every row stays."""
    shop = build_shop(units)
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        commissions.record_sale(work, shop.relationship, sale_of(shop, **changes))
    assert before == dump(database)


def test_sales_are_the_merchants_to_tell(units: UnitsOfWork, database: Database) -> None:
    """The reseller may not credit itself, a stranger finds nothing, a stock reseller earns none."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
        stock = bind(work, shop.merchant, "B", "b@b.example", mode="stock")["id"]
    before = dump(database)
    for relationship, tenant_id, refused in (
        (shop.relationship, shop.reseller, Forbidden),
        (shop.relationship, stranger, NotFound),
        (stock, shop.merchant, ProgramUnavailable),
    ):
        with pytest.raises(refused), units.begin(actor="test") as work:
            commissions.record_sale(work, relationship, sale_of(shop), tenant_id=tenant_id)
    assert before == dump(database)


def test_a_campaign_lives_and_is_revoked_for_good(units: UnitsOfWork, database: Database) -> None:
    """Paused it takes no sale, resumed it does, revoked it stays; each change is told once."""
    shop = build_shop(units)
    asked = {"name": "Discord Launch", "product_ids": [shop.product_id]}
    with units.begin(actor="test") as work:
        made = campaigns.create(work, shop.relationship, asked, tenant_id=shop.reseller)
    sale = sale_of(shop, campaign_id=made["id"])
    for status in ("PAUSED", "paused", "active"):
        with units.begin(actor="test") as work:
            campaigns.set_status(work, shop.relationship, made["id"], status)
        if status == "PAUSED":
            with pytest.raises(InvalidStatus), units.begin(actor="test") as work:
                commissions.record_sale(work, shop.relationship, sale)
    with units.begin(actor="test") as work:
        commissions.record_sale(work, shop.relationship, sale)
        campaigns.set_status(work, shop.relationship, made["id"], "revoked")
    before = dump(database)
    with pytest.raises(InvalidStatus) as refusal, units.begin(actor="test") as work:
        campaigns.set_status(work, shop.relationship, made["id"], "active")
    assert {"current_status": "revoked", "allowed": []} == refusal.value.details
    assert before == dump(database)
    with database.read() as connection:
        assert 1 == len(raised(connection, shop.reseller, "reseller.embed_campaign_created"))
        told = raised(connection, shop.merchant, "reseller.embed_campaign_updated")
    assert ["paused", "active", "revoked"] == [each["status"] for each in told]


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "x" * 201},
        {"product_ids": []},
        {"product_ids": "x"},
        {"product_ids": ["x"]},
        {"product_ids": ["01900000-0000-7000-8000-000000000001"]},
        {"status": "active"},
    ],
)
def test_a_bad_campaign_changes_nothing(
    units: UnitsOfWork, database: Database, changes: dict[str, Any]
) -> None:
    """Without a name or with products that are not the reseller's it is refused."""
    shop = build_shop(units)
    asked = {"name": "Launch", "product_ids": [shop.product_id], **changes}
    before = dump(database)
    with pytest.raises(InvalidInput), units.begin(actor="test") as work:
        campaigns.create(work, shop.relationship, asked)
    assert before == dump(database)


def test_a_campaign_is_its_relationships(units: UnitsOfWork, database: Database) -> None:
    """Under another relationship it is not found, to change, to sell by or to list."""
    shop = build_shop(units)
    asked = {"name": "Launch", "product_ids": [shop.product_id]}
    with units.begin(actor="test") as work:
        other = bind(work, shop.merchant, "B", "b@b.example")["id"]
        mine = campaigns.create(work, shop.relationship, asked)["id"]
    before = dump(database)
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        campaigns.set_status(work, other, mine, "paused")
    with pytest.raises(NotFound), units.begin(actor="test") as work:
        commissions.record_sale(work, other, sale_of(shop, campaign_id=mine))
    with database.read() as connection:
        assert [] == campaigns.listing(connection, other)
    assert before == dump(database)
