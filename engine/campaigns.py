"""Embed campaigns: under which name a reseller offers which products (document 002)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select
from sqlalchemy import update as update_rows

from engine import programs, relationships, reseller_access, sale_events
from engine.errors import InvalidInput, InvalidStatus, NotFound
from engine.ids import check_id, is_id, new_id
from engine.inputs import check_choice, check_keys, check_text
from engine.program_tables import embed_campaigns
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]
ACTIVE, PAUSED, REVOKED = "active", "paused", "revoked"
STATUSES = (ACTIVE, PAUSED, REVOKED)
#: What each status may become: what is revoked stays so, its history is kept.
TRANSITIONS = {ACTIVE: (PAUSED, REVOKED), PAUSED: (ACTIVE, REVOKED), REVOKED: ()}
FIELDS = ("name", "product_ids")
NAME_LENGTH_MAX = 200
PRODUCTS_MAX = 100
_TABLE = embed_campaigns.c


def create(
    work: UnitOfWork,
    relationship_id: str,
    campaign: Mapping[str, Any],
    *,
    tenant_id: str | None = None,
) -> Row:
    """Add a campaign by document 002's fields and return its row; both sides are told.

    Raises NotFound, ProgramUnavailable, or InvalidInput naming the field.
    """
    relationship = relationships.get(work.connection, relationship_id, tenant_id=tenant_id)
    programs.require_enabled(work.connection, relationship["parent_id"])
    relationships.require_mode(relationship, programs.AFFILIATE)
    given = check_keys(campaign, FIELDS, field="campaign")
    name = check_text(given.get("name"), field="name", length_max=NAME_LENGTH_MAX)
    row = {
        "id": new_id(),
        "relationship_id": relationship["id"],
        "name": name,
        "product_ids": _products(work.connection, relationship, given.get("product_ids")),
        "status": ACTIVE,
        "version": 1,
        "created_at": work.now,
        "updated_at": work.now,
    }
    work.connection.execute(insert(embed_campaigns).values(row))
    for draft in sale_events.campaign(relationship, row, "created"):
        work.raise_event(draft)
    return row


def set_status(
    work: UnitOfWork,
    relationship_id: str,
    campaign_id: str,
    status: str,
    *,
    tenant_id: str | None = None,
) -> Row:
    """Pause, resume or revoke a campaign and return its row; what it is already changes nothing.

    Raises NotFound (also for a campaign of another relationship), InvalidInput, or InvalidStatus
    with ``current_status`` and ``allowed``.
    """
    relationship = relationships.get(work.connection, relationship_id, tenant_id=tenant_id)
    before = get(work.connection, relationship["id"], campaign_id)
    wanted = check_choice(status.lower(), STATUSES, field="status")
    if wanted == before["status"]:
        return before
    changes = {"status": wanted, "version": before["version"] + 1, "updated_at": work.now}
    same = (_TABLE.id == before["id"]) & (_TABLE.version == before["version"])
    moved = wanted in TRANSITIONS[before["status"]] and work.connection.execute(
        update_rows(embed_campaigns).where(same).values(changes)
    )
    if not moved or moved.rowcount != 1:
        current = get(work.connection, relationship["id"], campaign_id)["status"]
        raise InvalidStatus(
            f"the campaign is {current}",
            current_status=current,
            allowed=list(TRANSITIONS[current]),
        )
    row = before | changes
    for draft in sale_events.campaign(relationship, row, "updated"):
        work.raise_event(draft)
    return row


def get(connection: Connection, relationship_id: str, campaign_id: str) -> Row:
    """Return one campaign of a relationship, or raise NotFound."""
    row = None
    if is_id(campaign_id):
        query = select(embed_campaigns).where(
            _TABLE.id == campaign_id.lower(), _TABLE.relationship_id == relationship_id
        )
        row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"no campaign {campaign_id!r}", field="campaign_id", value=campaign_id)
    return dict(row)


def require_active(connection: Connection, relationship_id: str, sale: Mapping[str, Any]) -> None:
    """Raise unless the sale's campaign, if it names one, is active and offers its product.

    Raises NotFound, InvalidStatus or InvalidInput.
    """
    if sale["campaign_id"] is None:
        return
    campaign = get(connection, relationship_id, sale["campaign_id"])
    if campaign["status"] != ACTIVE:
        raise InvalidStatus(
            f"the campaign is {campaign['status']}",
            current_status=campaign["status"],
            allowed=list(TRANSITIONS[campaign["status"]]),
        )
    if sale["product_id"] not in campaign["product_ids"]:
        raise InvalidInput("the campaign does not offer this product", field="product_id")


def listing(connection: Connection, relationship_id: str) -> list[Row]:
    """Return the campaigns of a relationship, oldest first."""
    query = select(embed_campaigns).where(_TABLE.relationship_id == relationship_id)
    return [dict(row) for row in connection.execute(query.order_by(_TABLE.id)).mappings()]


def _products(connection: Connection, relationship: Row, value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= PRODUCTS_MAX:
        raise InvalidInput(
            f"product_ids is a list of 1 to {PRODUCTS_MAX} products", field="product_ids"
        )
    ids = [check_id(each, field="product_ids") for each in value]
    for product_id in ids:
        reseller_access.granted(connection, relationship, product_id)
    return list(dict.fromkeys(ids))
