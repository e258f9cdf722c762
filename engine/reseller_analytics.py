"""What a reseller brought and bought, for one relationship or all of a merchant (document 002).

Every figure comes from the rows of the relationships asked for, by their index.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Select, Table, case, func, select

from engine import commissions, fulfillments, relationships, tenants
from engine import stock_transfer_states as states
from engine.money import money_fields
from engine.program_tables import affiliate_sales, embed_campaigns, reseller_relationships
from engine.stock_transfer_tables import fulfillments as fulfillment_rows
from engine.stock_transfer_tables import stock_transfers

Figures = Counter[str]
#: Counts first, then amounts of money.
COUNTS = (
    "sales",
    "sales_refunded",
    "active_campaigns",
    "stock_purchases",
    "stock_purchases_paid",
    "stock_quantity",
    "stock_delivered_quantity",
    "fulfillments",
    "fulfillments_refunded",
    "fulfilled_quantity",
)
AMOUNTS = (
    "sales_amount",
    "commission",
    "commission_paid",
    "commission_refunded",
    "stock_cost",
    "fulfillment_cost",
)
_BOUGHT = (states.PAID, states.ALLOCATED, states.PARTIALLY_DELIVERED, states.DELIVERED)


def of_relationship(
    connection: Connection, relationship_id: str, *, tenant_id: str | None = None
) -> dict[str, Any]:
    """Return the figures of one relationship; raises NotFound when it is not the tenant's."""
    row = relationships.get(connection, relationship_id, tenant_id=tenant_id)
    mine = select(reseller_relationships.c.id).where(reseller_relationships.c.id == row["id"])
    figures = _figures(connection, mine).get(row["id"], Counter())
    return {"reseller_relationship_id": row["id"], **_shown(figures, row["currency"])}


def of_merchant(connection: Connection, tenant_id: str, *, limit: int = 100) -> dict[str, Any]:
    """Return a merchant's figures in all, and of its resellers, the greatest sales first.

    Raises NotFound.
    """
    merchant = tenants.get(connection, tenant_id)
    table = reseller_relationships.c
    query = select(table.id, table.child_id, table.status).where(table.parent_id == merchant["id"])
    bound = connection.execute(query).all()
    found = _figures(connection, query.with_only_columns(table.id))
    total: Figures = Counter()
    for figures in found.values():
        total.update(figures)
    resellers = [
        {
            "reseller_relationship_id": row.id,
            "reseller_id": row.child_id,
            **_shown(found.get(row.id, Counter()), merchant["currency"]),
        }
        for row in sorted(bound, key=lambda row: (-_turnover(found.get(row.id)), row.id))
    ]
    return {
        "tenant_id": merchant["id"],
        "resellers": len(bound),
        "active_resellers": sum(row.status == relationships.ACTIVE for row in bound),
        **_shown(total, merchant["currency"]),
        "data": resellers[:limit],
    }


def _turnover(figures: Figures | None) -> int:
    """Return what a merchant took by a reseller."""
    names = ("sales_amount", "stock_cost", "fulfillment_cost")
    return sum(figures[name] for name in names) if figures else 0


def _shown(figures: Mapping[str, int], currency: str) -> dict[str, Any]:
    return {
        "currency": currency,
        **{name: figures.get(name, 0) for name in COUNTS},
        **money_fields(currency, **{name: figures.get(name, 0) for name in AMOUNTS}),
    }


def _figures(connection: Connection, chosen: Select[Any]) -> dict[str, Figures]:
    """Return what there is of each relationship ``chosen`` selects, by its id."""
    found: dict[str, Figures] = {}
    for table, columns in _queries():
        query = (
            select(table.c.relationship_id, *(column.label(name) for name, column in columns))
            .where(table.c.relationship_id.in_(chosen))
            .group_by(table.c.relationship_id)
        )
        for row in connection.execute(query).mappings():
            figures = found.setdefault(row["relationship_id"], Counter())
            figures.update({name: int(row[name] or 0) for name, _ in columns})
    return found


def _queries() -> Iterable[tuple[Table, list[tuple[str, Any]]]]:
    sale, transfer, order = affiliate_sales.c, stock_transfers.c, fulfillment_rows.c
    stands = sale.status != commissions.REFUNDED
    bought = transfer.status.in_(_BOUGHT)
    kept = order.status != fulfillments.REFUNDED
    yield (
        affiliate_sales,
        [
            ("sales", _sum(stands, 1)),
            ("sales_refunded", _sum(~stands, 1)),
            ("sales_amount", _sum(stands, sale.amount_minor)),
            ("commission", _sum(stands, sale.commission_minor)),
            ("commission_paid", _sum(sale.status == commissions.PAID, sale.commission_minor)),
            ("commission_refunded", _sum(~stands, sale.commission_minor)),
        ],
    )
    yield (
        stock_transfers,
        [
            ("stock_purchases", func.count()),
            ("stock_purchases_paid", _sum(bought, 1)),
            ("stock_quantity", _sum(bought, transfer.quantity)),
            ("stock_delivered_quantity", _sum(bought, transfer.delivered_quantity)),
            ("stock_cost", _sum(bought, transfer.total_minor)),
        ],
    )
    yield (
        fulfillment_rows,
        [
            ("fulfillments", _sum(kept, 1)),
            ("fulfillments_refunded", _sum(~kept, 1)),
            ("fulfilled_quantity", _sum(kept, order.quantity)),
            ("fulfillment_cost", _sum(kept, order.cost_minor)),
        ],
    )
    active = embed_campaigns.c.status == "active"
    yield embed_campaigns, [("active_campaigns", _sum(active, 1))]


def _sum(condition: Any, value: Any) -> Any:
    return func.sum(case((condition, value), else_=0))
