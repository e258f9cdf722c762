"""Prices down the chains: stored as the cascade would, within their minimum, and told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Numeric, Select, and_, case, cast, func, or_, select, true

from engine import pricing
from engine.price_cascade import MarkedUp
from engine.product_tables import products, tenant_prices, told_offers
from engine.product_views import untold
from engine.unit_of_work import UnitOfWork
from reconciler.check import Check, Finding, Found, Policy, Scope, Severity

#: Products a transaction looks at: each may have ten thousand prices.
PRODUCTS_PER_SLICE = 100

_PARENT = tenant_prices.alias("parent")
_BY_OWNER = tenant_prices.c.parent_id == products.c.tenant_id
_COST = MarkedUp(
    func.coalesce(_PARENT.c.cost_minor, products.c.base_cost_minor), tenant_prices.c.margin_percent
)
_SELLABLE = and_(func.coalesce(_PARENT.c.is_sellable, true()), tenant_prices.c.is_available)
_CUT_OFF = and_(~_BY_OWNER, _PARENT.c.id.is_(None))
_STALE = and_(
    ~_CUT_OFF,
    tenant_prices.c.id.is_not(None),
    or_(tenant_prices.c.cost_minor != _COST, tenant_prices.c.is_sellable != _SELLABLE),
)
# As numbers: SQLite keeps percentages as text.
_LOW = cast(tenant_prices.c.margin_percent, Numeric(7, 4)) < cast(
    products.c.min_margin_percent, Numeric(7, 4)
)


def _find(connection: Connection, scope: Scope) -> Found:
    """Compare each price with its parent's and each least markup; and what was told with both."""
    rows = connection.execute(_compared(scope)).all()
    unheard = _unheard(connection, [row.id for row in rows])
    findings = [finding for row in rows for finding in _judge(row, unheard.get(row.id, 0))]
    last = rows[-1].id if len(rows) == PRODUCTS_PER_SLICE else None
    return Found(sum(row.prices for row in rows), findings, last)


def _compared(scope: Scope) -> Select[Any]:
    """Select the wrong prices of each product by kind: one hop right for all is all right."""
    chosen = select(products.c.id).where(scope.touched(products.c.updated_at, products.c.id))
    if scope.after is not None:
        chosen = chosen.where(products.c.id > scope.after)
    chosen = chosen.order_by(products.c.id).limit(PRODUCTS_PER_SLICE)
    same_product = _PARENT.c.product_id == tenant_prices.c.product_id
    above = and_(same_product, _PARENT.c.tenant_id == tenant_prices.c.parent_id)
    return (
        select(
            products.c.id,
            products.c.tenant_id,
            func.count(tenant_prices.c.id).label("prices"),
            _number(_STALE).label("stale"),
            _number(_LOW).label("low"),
            _number(_CUT_OFF).label("cut_off"),
        )
        .outerjoin_from(products, tenant_prices, tenant_prices.c.product_id == products.c.id)
        .outerjoin(_PARENT, above)
        .where(products.c.id.in_(chosen.scalar_subquery()))
        .group_by(products.c.id, products.c.tenant_id)
        .order_by(products.c.id)
    )


def _number(condition: Any) -> Any:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _unheard(connection: Connection, product_ids: Sequence[str]) -> dict[str, int]:
    """Return for how many tenants of each product nothing will tell what they see."""
    mine = untold().where(told_offers.c.product_id.in_(product_ids)).subquery()
    query = select(mine.c.of_id, func.count()).group_by(mine.c.of_id)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def _judge(row: Any, unheard: int) -> Iterator[Finding]:
    """Yield what does not agree; a markup is its parent's decision, which no run changes."""
    name = f"product {row.id}"
    kinds = (
        ("prices", row.stale, "every price as the cascade gives it", "wrong", None),
        ("sellers", unheard, "every seller told, or about to be", "not told", None),
        ("minimum", row.low, "no markup below the product's least", "below", Policy.SUGGEST),
        ("chain", row.cut_off, "a price above every price", "cut off", Policy.SUGGEST),
    )
    for kind, number, expected, word, policy in kinds:
        if number:
            yield Finding(
                f"{name} {kind}",
                expected=expected,
                actual=f"{number} of {row.prices} {word}",
                key=row.id,
                tenant_id=row.tenant_id,
                policy=policy,
                severity=Severity.WARNING if kind == "minimum" else None,
            )


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Run each product's cascade again; who sees another price hears of it."""
    healed = {key: pricing.reprice_again(work, key) for key in sorted({f.key for f in findings})}
    return [each for each in findings if healed[each.key]]


PRICES_CASCADED = Check(
    id="K20",
    title="Prices that do not follow from their chain",
    compares="each price with its parent's, its markup with the least, what was told with both",
    remedy="the cascade is run again and told; a markup below the least is its parent's to raise",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=900,
    find=_find,
    incremental=True,
    heal=_heal,
)
