"""Stock: what is there, what is set aside, and what orders wait for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, ScalarSelect, Select, Subquery, case, func, select, union

from engine import products as product_rows
from engine import stock
from engine.product_tables import products, stock_moves
from engine.unit_of_work import UnitOfWork
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity


def _find(connection: Connection, scope: Scope) -> Found:
    """Compare products that changed or have open orders; a sweep adds up all moves of each."""
    rows = connection.execute(_compared(scope)).all()
    findings = [finding for row in rows for finding in _judge(row)]
    return Found(len(rows), findings, rows[-1].id if len(rows) == SLICE_ROWS else None)


def _compared(scope: Scope) -> Select[Any]:
    """Select stock, moves and open items of each product: one statement, one moment."""
    waiting = stock.waited_for().subquery()
    on_hand: Any = _sum()
    if scope.since is not None:
        # What stands open is added up again: a newer move does not make it good.
        on_hand = case((products.c.id.in_(scope.again), _sum()), else_=_newest())
    query = (
        select(
            products.c.id,
            products.c.tenant_id,
            products.c.stock_quantity.label("on_hand"),
            products.c.stock_allocated.label("allocated"),
            func.coalesce(on_hand, 0).label("moved"),
            case((products.c.track_inventory, func.coalesce(waiting.c.pieces, 0)), else_=0).label(
                "waiting"
            ),
        )
        .outerjoin(waiting, waiting.c.product_id == products.c.id)
        .order_by(products.c.id)
        .limit(SLICE_ROWS)
    )
    if scope.since is not None:
        query = query.where(products.c.id.in_(_candidates(scope, waiting)))
    return query if scope.after is None else query.where(products.c.id > scope.after)


def _candidates(scope: Scope, waiting: Subquery) -> Any:
    """Select what may be wrong: each part has an index of its own, an OR would read all."""
    changed = select(products.c.id).where(scope.touched(products.c.updated_at, products.c.id))
    reserved = select(products.c.id).where(products.c.stock_allocated > 0)
    return union(changed, reserved, select(waiting.c.product_id))


def _newest() -> ScalarSelect[Any]:
    """Select what the newest move says is there: a probe of its primary key."""
    mine = stock_moves.c.product_id == products.c.id
    newest = select(stock_moves.c.on_hand).where(mine).order_by(stock_moves.c.version.desc())
    return newest.limit(1).scalar_subquery()


def _sum() -> ScalarSelect[Any]:
    mine = stock_moves.c.product_id == products.c.id
    return select(func.sum(stock_moves.c.on_hand_delta)).where(mine).scalar_subquery()


def _judge(row: Any) -> Iterator[Finding]:
    """Yield what does not agree; only what is set aside may be corrected by a run."""
    name = f"product {row.id}"
    if row.on_hand != row.moved:
        yield Finding(
            f"{name} on hand",
            expected=row.moved,
            actual=row.on_hand,
            key=row.id,
            tenant_id=row.tenant_id,
            policy=Policy.SUGGEST,
        )
    if row.waiting > row.on_hand:
        yield Finding(
            f"{name} oversold",
            expected=f"at most {row.on_hand} pieces waited for",
            actual=int(row.waiting),
            key=row.id,
            tenant_id=row.tenant_id,
            policy=Policy.SUGGEST,
        )
    elif row.waiting != row.allocated:
        yield Finding(
            f"{name} allocated",
            expected=int(row.waiting),
            actual=row.allocated,
            key=row.id,
            tenant_id=row.tenant_id,
        )


def _heal(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Set aside what accepted orders wait for; who sells the product hears of its stock."""
    return [each for each in findings if product_rows.recount(work, each.key)]


STOCK_COUNTED = Check(
    id="K19",
    title="Stock that its moves and orders do not explain",
    compares="what is on hand with the sum of its moves, what is set aside with open order lines",
    remedy="what is set aside is corrected; pieces are counted by people (products update --stock)",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=900,
    find=_find,
    incremental=True,
    heal=_heal,
)
