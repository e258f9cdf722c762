"""Drafts and orders side by side, as document 003 lists them: confirmed, drafts, or all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    String,
    and_,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from engine import drafts
from engine.draft_tables import draft_items, draft_orders
from engine.inputs import check_choice
from engine.order_tables import chain_orders
from engine.states import CANCELLED, PENDING_APPROVAL
from engine.types import Id, UtcTime

CONFIRMED = "Confirmed"
DRAFT = "Draft"
ALL = "All"
STAGES = (CONFIRMED, DRAFT, ALL)
RESELLER_PENDING = "Reseller Pending Approval"
RESELLER_CANCELLED = "Cancelled by Reseller"

Row = dict[str, Any]


def stage_of(order: Mapping[str, Any]) -> str:
    """Return the stage of a chain order; who ends it before anyone accepted is the reseller."""
    if order["chain_status"] == PENDING_APPROVAL:
        return RESELLER_PENDING
    if order["chain_status"] == CANCELLED and order["fulfiller_tenant_id"] is None:
        return RESELLER_CANCELLED
    return CONFIRMED


def listing(
    connection: Connection,
    now: datetime,
    *,
    tenant_id: str | None = None,
    stage: str = CONFIRMED,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[Row], int]:
    """Return the orders of a stage, newest first, and how many there are in all.

    A tenant reads its own and its end customers' orders. What expired is in no list.
    """
    check_choice(stage, STAGES, field="stage")
    parts = []
    if stage != CONFIRMED:
        parts.append(_drafts(now, tenant_id))
    if stage != DRAFT:
        parts.append(_orders(tenant_id, confirmed_only=stage == CONFIRMED))
    found = union_all(*parts).subquery()
    total = connection.execute(select(func.count()).select_from(found)).scalar_one()
    query = select(found).order_by(found.c.id.desc()).limit(limit).offset(offset)
    return [_staged(dict(row)) for row in connection.execute(query).mappings()], total


def _staged(row: Row) -> Row:
    status, fulfiller_id = row.pop("chain_status"), row.pop("fulfiller_tenant_id")
    order = {"chain_status": status, "fulfiller_tenant_id": fulfiller_id}
    return {**row, "stage": DRAFT if status == drafts.DRAFT else stage_of(order), "status": status}


def _drafts(now: datetime, tenant_id: str | None) -> Select[Any]:
    total = (
        select(
            cast(
                func.coalesce(func.sum(draft_items.c.quantity * draft_items.c.unit_price_minor), 0),
                BigInteger,
            )
        )
        .where(draft_items.c.draft_order_id == draft_orders.c.id)
        .scalar_subquery()
    )
    query = select(
        draft_orders.c.id,
        draft_orders.c.tenant_id,
        cast(literal(drafts.DRAFT), String).label("chain_status"),
        cast(null(), Id).label("fulfiller_tenant_id"),
        draft_orders.c.external_order_id.label("number"),
        draft_orders.c.account_id,
        draft_orders.c.currency,
        total.label("total_minor"),
        draft_orders.c.created_at,
        draft_orders.c.expires_at,
    ).where(draft_orders.c.status == drafts.DRAFT, draft_orders.c.expires_at > now)
    return query if tenant_id is None else query.where(draft_orders.c.tenant_id == tenant_id)


def _orders(tenant_id: str | None, *, confirmed_only: bool) -> Select[Any]:
    orders = chain_orders.c
    query = select(
        orders.id,
        orders.origin_tenant_id.label("tenant_id"),
        orders.chain_status,
        orders.fulfiller_tenant_id,
        orders.origin_order_number.label("number"),
        draft_orders.c.account_id,
        orders.currency,
        orders.origin_total_minor.label("total_minor"),
        orders.created_at,
        cast(null(), UtcTime).label("expires_at"),
    ).outerjoin_from(chain_orders, draft_orders, draft_orders.c.id == orders.id)
    if tenant_id is not None:
        query = query.where(orders.origin_tenant_id == tenant_id)
    if not confirmed_only:
        return query
    by_reseller = and_(orders.chain_status == CANCELLED, orders.fulfiller_tenant_id.is_(None))
    return query.where(~or_(orders.chain_status == PENDING_APPROVAL, by_reseller))
