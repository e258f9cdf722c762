"""Reseller keys on both databases: one relationship, no scopes, and only while it is active."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from config.clock import FixedClock
from engine import api_tokens, relationships, tenants
from engine.api_tokens import Access
from engine.database import Database
from engine.errors import Forbidden, NotAuthenticated, NotFound
from engine.unit_of_work import UnitsOfWork
from tests.chains import dump
from tests.reselling import Shop, build_shop


def key_of(units: UnitsOfWork, shop: Shop, tenant_id: str | None = None) -> str:
    """Issue a key of the shop's relationship and return it."""
    with units.begin(actor="test") as work:
        made = api_tokens.issue(
            work, tenant_id=tenant_id or shop.reseller, relationship_id=shop.relationship
        )
    return str(made["token"])


def access_of(database: Database, header: str, now: datetime) -> Access:
    """Check one header."""
    with database.read() as connection:
        return api_tokens.authenticate(connection, header, now)


def test_a_key_operates_its_relationship_and_nothing_else(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """It begins with ``shr_``, names its relationship, has no scope, and is not in the database."""
    shop = build_shop(units)
    key = key_of(units, shop)
    access = access_of(database, f"Bearer {key}", clock.now())
    assert ("shr_", shop.relationship, shop.reseller, frozenset()) == (
        key[:4],
        access.require_reseller(),
        access.tenant_id,
        access.scopes,
    )
    assert key.split("_", 2)[2] not in repr(dump(database))
    with pytest.raises(Forbidden):
        access.require("events.read")


def test_a_key_is_dead_while_the_relationship_is_not_active(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """Suspended, it is as unknown as any; resumed it works; revoked it is gone."""
    shop = build_shop(units)
    key = key_of(units, shop)
    for status, works in (("suspended", False), ("active", True)):
        with units.begin(actor="test") as work:
            relationships.update(work, shop.relationship, {"status": status})
        if works:
            assert access_of(database, key, clock.now()).relationship_id == shop.relationship
        else:
            with pytest.raises(NotAuthenticated):
                access_of(database, key, clock.now())
    with units.begin(actor="test") as work:
        api_tokens.revoke(work, key.split("_")[1])
    with pytest.raises(NotAuthenticated):
        access_of(database, key, clock.now() + timedelta(days=1))


def test_a_key_does_not_pass_as_another_kind(
    units: UnitsOfWork, clock: FixedClock, database: Database
) -> None:
    """The same value under the other kind's name is refused, both ways."""
    shop = build_shop(units)
    key = key_of(units, shop)
    with units.begin(actor="test") as work:
        token = api_tokens.issue(work, tenant_id=shop.reseller)["token"]
    for disguised in (key.replace("shr_", "tbk_"), token.replace("tbk_", "shr_")):
        with pytest.raises(NotAuthenticated):
            access_of(database, disguised, clock.now())
    with pytest.raises(Forbidden):
        access_of(database, token, clock.now()).require_reseller()


def test_only_the_reseller_has_a_key(units: UnitsOfWork, database: Database) -> None:
    """Neither the merchant nor a stranger is given one."""
    shop = build_shop(units)
    with units.begin(actor="test") as work:
        stranger = tenants.create(work, name="Stranger")["id"]
    before = dump(database)
    for tenant_id, refused in ((shop.merchant, Forbidden), (stranger, NotFound)):
        with pytest.raises(refused):
            key_of(units, shop, tenant_id)
    assert before == dump(database)
