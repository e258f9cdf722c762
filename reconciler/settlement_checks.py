"""Settlements: cash on delivery that was delivered, and what it should have made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, or_, select

from config.errors import TillbellError
from engine import obligations, settlement, settlement_healing
from engine.order_tables import chain_hops, chain_orders
from engine.settlement_tables import cod_collections, remittances
from engine.unit_of_work import UnitOfWork
from reconciler.check import SLICE_ROWS, Check, Finding, Found, Policy, Scope, Severity
from reconciler.cursors import place_of, text_of

#: A sweep looks this far back: what was delivered before is history.
DELIVERED_WITHIN = timedelta(days=30)

Row = dict[str, Any]


def _find(connection: Connection, scope: Scope) -> Found:
    """Compare what each delivered COD order should have made with what there is."""
    orders = _delivered(connection, scope)
    ids = [order["id"] for order in orders]
    hops = _by_order(connection, chain_hops, ids)
    collections = _by_order(connection, cod_collections, ids)
    owed = _by_order(connection, remittances, ids)
    findings = [
        finding
        for order in orders
        for finding in _judge(
            order,
            sorted(hops.get(order["id"], []), key=lambda hop: hop["position"]),
            collections.get(order["id"], []),
            owed.get(order["id"], []),
        )
    ]
    last = orders[-1] if len(orders) >= SLICE_ROWS else None
    end = None if last is None else (last["updated_at"], last["id"])
    return Found(len(orders), findings, text_of(end))


def _delivered(connection: Connection, scope: Scope) -> list[Row]:
    """Return the next delivered COD orders that changed, or in a sweep those of a month."""
    at, after = chain_orders.c.updated_at, place_of(scope.after)
    since = scope.since or scope.now - DELIVERED_WITHIN
    wanted = scope.touched(at, chain_orders.c.id) & (
        (at >= since) | chain_orders.c.id.in_(scope.again)
    )
    query = select(chain_orders).where(
        chain_orders.c.chain_status == "delivered",
        chain_orders.c.payment_method == "cod",
        wanted,
    )
    if after is not None:
        query = query.where(or_(at > after[0], (at == after[0]) & (chain_orders.c.id > after[1])))
    page = query.order_by(at, chain_orders.c.id).limit(SLICE_ROWS)
    return [dict(row) for row in connection.execute(page).mappings()]


def _by_order(connection: Connection, table: Any, ids: Sequence[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    query = select(table).where(table.c.chain_order_id.in_(ids))
    for row in connection.execute(query).mappings():
        found.setdefault(row["chain_order_id"], []).append(dict(row))
    return found


def _judge(
    order: Row, hops: Sequence[Row], collections: Sequence[Row], owed: Sequence[Row]
) -> Iterator[Finding]:
    """Yield what is missing of a settlement, which a run makes good, and amounts that differ."""
    try:
        flow = settlement.cash_flow(order, hops)
    except TillbellError as refusal:
        yield _finding(order, "flow", "a way for the cash", refusal.message, never=True)
        return
    if not collections:
        yield _finding(order, "settlement", "a collection", "none")
        return
    made = [row for row in owed if row["reason"] == obligations.SETTLEMENT]
    lacking = settlement_healing.missing(flow, made)
    if lacking:
        amount_minor = sum(each.amount_minor for each in lacking)
        expected = {"remittances": len(flow.obligations)}
        found = _finding(order, "remittances", expected, {"remittances": len(made)})
        yield replace(found, amount_minor=amount_minor)
    yield from _sums(order, flow, collections[0], made)


def _sums(
    order: Row, flow: settlement.CashFlow, collection: Row, made: Sequence[Row]
) -> Iterator[Finding]:
    expected = {(each.payer_id, each.payee_id): each.amount_minor for each in flow.obligations}
    wrong = [
        row
        for row in made
        if expected.get((row["payer_id"], row["payee_id"])) != row["amount_minor"]
    ]
    if wrong:
        yield _finding(order, "amounts", _amounts(expected), _amounts(_owed(made)), never=True)
    if collection["expected_minor"] != order["cod_amount_minor"]:
        asked, kept = order["cod_amount_minor"], collection["expected_minor"]
        yield _finding(order, "expected cash", asked, kept, never=True)


def _owed(made: Sequence[Row]) -> dict[tuple[str, str], int]:
    return {(row["payer_id"], row["payee_id"]): row["amount_minor"] for row in made}


def _amounts(owed: Mapping[tuple[str, str], int]) -> dict[str, int]:
    return {f"{payer} owes {payee}": amount for (payer, payee), amount in sorted(owed.items())}


def _finding(order: Row, what: str, expected: Any, actual: Any, *, never: bool = False) -> Finding:
    return Finding(
        f"chain_order {order['id']}, {what}",
        expected=expected,
        actual=actual,
        key=order["id"],
        policy=Policy.NEVER if never else None,
        severity=Severity.CRITICAL if never else None,
        tenant_id=order["origin_tenant_id"],
        amount_minor=order["cod_amount_minor"],
        currency=order["currency"],
    )


def _settle(work: UnitOfWork, findings: Sequence[Finding], _scope: Scope) -> list[Finding]:
    """Run the settlement, once per order however often it is asked for."""
    settled = {
        key: settlement_healing.settle_missing(work, key)
        for key in sorted({finding.key for finding in findings})
    }
    return [
        replace(each, reference=f"transaction {settled[each.key]}")
        for each in findings
        if settled[each.key] is not None
    ]


ORDERS_SETTLED = Check(
    id="K05",
    title="Delivered cash orders that are not settled",
    compares="every delivered cash-on-delivery order with its collection, its remittances and"
    " their amounts, as its chain and prices make them",
    remedy="the settlement is run for what is missing; amounts that differ, people only",
    severity=Severity.ERROR,
    policy=Policy.AUTO,
    every_seconds=300,
    find=_find,
    heal=_settle,
    incremental=True,
)
