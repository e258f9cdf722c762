"""Settlement in figures (document 001): a tenant's period, and the whole platform's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, false, func, or_, select, true

from engine import accounts, remittance_views, tenants, wallet_levels
from engine.cash_collections import FLOW_TYPES
from engine.errors import Forbidden
from engine.money import money_fields
from engine.periods import period_start
from engine.postings import WALLET
from engine.settlement_tables import cod_collections, remittances
from engine.tables import tenants as tenant_rows

#: What was collected and not given back.
KEPT = ("pending", "settled", "short", "disputed")
OVERDUE_ITEMS_MAX = 100
DEBTORS_MAX = 10


def summary(
    connection: Connection, tenant_id: str, now: datetime, *, period: str = "month"
) -> dict[str, Any]:
    """Return ``summary`` of a tenant's running period (document 001).

    ``net_earnings`` is what it received in remittances less what it paid; the wallet is of now.
    Raises NotFound, or InvalidInput for a period that is none of the four.
    """
    tenant = tenants.get(connection, tenant_id)
    since = period_start(period, now, tenant["timezone"])
    wallet = _wallet(connection, tenant)
    mine = cod_collections.c.collector_tenant_id == tenant["id"]
    count, collected = _collected(connection, since, mine)
    paid = _completed(connection, since, remittances.c.payer_id == tenant["id"])
    received = _completed(connection, since, remittances.c.payee_id == tenant["id"])
    return {
        "summary": {
            "period": period,
            "start_date": since,
            "currency": tenant["currency"],
            "collections_count": count,
            **money_fields(
                tenant["currency"],
                wallet_balance=wallet.balance,
                pending_credits=wallet.pending_credits,
                pending_debits=wallet.pending_debits,
                collections_total=collected,
                remittances_paid=paid,
                remittances_received=received,
                net_earnings=received - paid,
            ),
        }
    }


def statistics(
    connection: Connection, root_id: str, now: datetime, *, period: str = "month"
) -> dict[str, Any]:
    """Return the figures of a platform and all below it (document 001, admin statistics).

    Collections and completed remittances are the period's; pending, overdue and debtors are of
    now. Raises NotFound, Forbidden for a tenant that stands below another, or InvalidInput.
    """
    root = tenants.get(connection, root_id)
    if root["parent_id"] is not None:
        raise Forbidden("only the owner of a platform may read its statistics", tenant_id=root_id)
    currency = root["currency"]
    since = period_start(period, now, root["timezone"])
    paid_below = _below(connection, root, remittances.c.payer_id)
    collected_below = _below(connection, root, cod_collections.c.collector_tenant_id)
    return {
        "period": period,
        "start_date": since,
        "currency": currency,
        "totals": money_fields(
            currency,
            collections=_collected(connection, since, collected_below)[1],
            pending_remittances=_figures(connection, _open(paid_below))[1],
            completed_remittances=_completed(connection, since, paid_below),
        ),
        "overdue": _overdue(connection, paid_below, now, currency),
        "top_debtors": _debtors(connection, paid_below, currency),
    }


def _wallet(connection: Connection, tenant: dict[str, Any]) -> wallet_levels.Figures:
    key = (tenant["id"], WALLET)
    account = accounts.find(connection, [key], tenant["currency"]).get(key)
    return wallet_levels.figures_of(account, None)


def _collected(
    connection: Connection, since: datetime, whose: ColumnElement[bool]
) -> tuple[int, int]:
    """Return how many collections there were and what they brought; both flows, by index."""
    query = select(func.count(), func.coalesce(func.sum(cod_collections.c.collected_minor), 0))
    row = connection.execute(
        query.where(
            whose,
            cod_collections.c.flow_type.in_(FLOW_TYPES),
            cod_collections.c.status.in_(KEPT),
            cod_collections.c.collected_at >= since,
        )
    ).one()
    return int(row[0]), int(row[1])


def _completed(connection: Connection, since: datetime, whose: ColumnElement[bool]) -> int:
    completed = remittances.c.completed_at >= since
    return _figures(connection, select(remittances).where(whose, completed))[1]


def _open(whose: ColumnElement[bool]) -> Select[Any]:
    return select(remittances).where(whose, remittances.c.status == "pending")


def _figures(connection: Connection, query: Select[Any]) -> tuple[int, int]:
    """Return how many remittances a query means, and their sum."""
    columns = func.count(), func.coalesce(func.sum(remittances.c.amount_minor), 0)
    row = connection.execute(query.with_only_columns(*columns)).one()
    return int(row[0]), int(row[1])


def _overdue(
    connection: Connection, whose: ColumnElement[bool], now: datetime, currency: str
) -> dict[str, Any]:
    """Return what should have been paid, whether or not the reconciler has said so yet."""
    due = _open(whose).where(remittances.c.due_at <= now)
    late = due.where(_past_grace(connection, due, now))
    count, total_minor = _figures(connection, late)
    oldest = late.order_by(remittances.c.due_at, remittances.c.id).limit(OVERDUE_ITEMS_MAX)
    rows = [dict(row) for row in connection.execute(oldest).mappings()]
    return {
        "count": count,
        **money_fields(currency, total_amount=total_minor),
        "items": remittance_views.seen(connection, rows, None),
    }


def _past_grace(connection: Connection, due: Select[Any], now: datetime) -> ColumnElement[bool]:
    """Return the condition for the grace of what is due being over, each as it was agreed."""
    grace = remittances.c.ladder["grace_hours"].as_integer()
    agreed = connection.execute(due.with_only_columns(grace).distinct()).scalars().all()
    over = {hours: now - timedelta(hours=hours) for hours in agreed}
    each = ((grace == hours) & (remittances.c.due_at <= since) for hours, since in over.items())
    return or_(false(), *each)


def _debtors(
    connection: Connection, whose: ColumnElement[bool], currency: str
) -> list[dict[str, Any]]:
    total = func.sum(remittances.c.amount_minor).label("total")
    owed = _open(whose).with_only_columns(remittances.c.payer_id, total)
    most = owed.group_by(remittances.c.payer_id).order_by(total.desc(), remittances.c.payer_id)
    debts = most.limit(DEBTORS_MAX).subquery()
    query = select(debts.c.payer_id, debts.c.total, tenant_rows.c.name).join_from(
        debts, tenant_rows, tenant_rows.c.id == debts.c.payer_id
    )
    return [
        {
            "tenant_id": row.payer_id,
            "tenant_name": row.name,
            **money_fields(currency, total_owed=int(row.total)),
        }
        for row in connection.execute(query.order_by(debts.c.total.desc(), debts.c.payer_id))
    ]


def _below(
    connection: Connection, root: dict[str, Any], tenant_id: ColumnElement[str]
) -> ColumnElement[bool]:
    """Return the condition for a tenant being of a platform; where it is the only one, all are."""
    others = select(tenant_rows.c.id).where(
        tenant_rows.c.parent_id.is_(None), tenant_rows.c.id != root["id"]
    )
    if connection.execute(others.limit(1)).first() is None:
        return true()
    path = tenant_rows.c.path
    tree = or_(path == root["path"], path.startswith(f"{root['path']}/"))
    return tenant_id.in_(select(tenant_rows.c.id).where(tree))
