"""Settle an order: what the chain owes once it shipped or was delivered.

Cash on delivery settles up the chain at delivery; prepaid orders are paid from wallet to wallet
when they leave. ``returns`` undoes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from config.crash_points import C19_SETTLEMENT_POSTED, at
from engine import (
    ledger,
    obligations,
    order_rows,
    postings,
    relationships,
    remittance_events,
)
from engine.errors import InvalidInput
from engine.ids import new_id
from engine.order_rows import Row
from engine.postings import Close, Hold, Level, Obligation, Posting
from engine.settlement_tables import cod_collections
from engine.unit_of_work import UnitOfWork


@dataclass(frozen=True, slots=True)
class CashFlow:
    """The levels money passes, who collects, and who will owe whom."""

    levels: tuple[Level, ...]
    collector: int
    obligations: tuple[Obligation, ...]

    @property
    def flow_type(self) -> str:
        """``downstream`` when the origin collects, else ``upstream``."""
        return "downstream" if self.collector == len(self.levels) - 1 else "upstream"


def cash_flow(order: Row, hops: Sequence[Row]) -> CashFlow:
    """Return how the cash of a COD order will flow; pure.

    Raises InvalidInput when the collector stands above the fulfiller and so never sees the parcel.
    """
    levels = supply_levels(order, hops)
    ids = [level.tenant_id for level in levels]
    collector_id = order["collector_tenant_id"] or order["fulfiller_tenant_id"]
    if collector_id not in ids:
        raise InvalidInput(
            f"the cash is to be collected by {collector_id}, who is above the fulfiller;"
            " forward the order to it or let a tenant below collect",
            field="payment.collector",
            value=collector_id,
        )
    index = ids.index(collector_id)
    owed = postings.cod_obligations(levels, order["cod_amount_minor"], index)
    return CashFlow(levels, index, owed)


def supply_levels(order: Row, hops: Sequence[Row]) -> tuple[Level, ...]:
    """Return fulfiller to origin with what the goods cost each; pure."""
    chain = order_rows.supply_chain(order, hops)
    return tuple(Level(hop["tenant_id"], hop["cost_minor"]) for hop in chain)


def settlement_key(order_id: str) -> str:
    """Return what makes the settlement of an order one posting."""
    return f"chain_order:{order_id}:settlement"


def collect(
    work: UnitOfWork, order: Row, flow: CashFlow, collected_minor: int
) -> tuple[Row, list[Row]]:
    """Post a COD delivery and return its collection and remittances; their events are raised.

    Obligations never fail for lack of balance: the cash is in the collector's hand already.
    """
    owed = obligations.owed(work, order, flow.obligations, obligations.SETTLEMENT)
    shortage_minor = order["cod_amount_minor"] - collected_minor
    posted = ledger.post(
        work,
        Posting(
            kind="cod_settlement",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=settlement_key(order["id"]),
            currency=order["currency"],
            entries=postings.cod_delivered(
                flow.levels,
                order["cod_amount_minor"],
                flow.collector,
                shortage_minor=shortage_minor,
            ),
            opens=obligations.holds(owed),
        ),
    )
    at(C19_SETTLEMENT_POSTED)
    collection = record(work, order, flow, collected_minor, posted["id"])
    obligations.record(work, collection["id"], owed)
    return collection, owed


def record(
    work: UnitOfWork, order: Row, flow: CashFlow, collected_minor: int, transaction_id: str
) -> Row:
    """Insert the collection of an order that a transaction posted, and tell of it."""
    collection = _collection(work, order, flow, collected_minor, transaction_id)
    work.connection.execute(insert(cod_collections).values(collection))
    for draft in remittance_events.collection(collection, order, "recorded"):
        work.raise_event(draft)
    return collection


def set_aside(work: UnitOfWork, order: Row, hops: Sequence[Row]) -> None:
    """Hold the origin's cost of a prepaid order until it ships (A4); its own goods cost nothing.

    Of its wallet's credit as much counts as it agreed on with its parent. Raises
    InsufficientBalance.
    """
    origin = hops[-1]
    if order["payment_method"] != "prepaid" or len(hops) == 1 or not origin["cost_minor"]:
        return
    parent_id = hops[-2]["tenant_id"]
    hold = Hold(
        payer_id=origin["tenant_id"],
        amount_minor=origin["cost_minor"],
        kind="discretionary",
        reason="order",
        reference_id=order["id"],
    )
    ledger.post(
        work,
        Posting(
            kind="order_hold",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=f"chain_order:{order['id']}:hold",
            currency=order["currency"],
            opens=(hold,),
            credit_max_minor=relationships.credit_between(
                work.connection, origin["tenant_id"], parent_id
            ),
        ),
    )


def capture(work: UnitOfWork, order: Row, hops: Sequence[Row]) -> None:
    """Pay a prepaid order up the chain from the money that was set aside."""
    levels = supply_levels(order, hops)
    ledger.post(
        work,
        Posting(
            kind="prepaid_settlement",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=settlement_key(order["id"]),
            currency=order["currency"],
            entries=postings.prepaid_shipped(levels),
            closes=_order_hold(work.connection, order, "captured" if levels[1:] else "released"),
        ),
    )


def release(work: UnitOfWork, order: Row) -> None:
    """Free what was set aside for an order that will not ship."""
    closes = _order_hold(work.connection, order, "released")
    if closes:
        ledger.post(
            work,
            Posting(
                kind="order_release",
                reference_type="chain_order",
                reference_id=order["id"],
                idempotency_key=f"chain_order:{order['id']}:release",
                currency=order["currency"],
                closes=closes,
            ),
        )


def _order_hold(connection: Connection, order: Row, status: str) -> tuple[Close, ...]:
    if not ledger.has_open_hold(connection, "order", order["id"]):
        return ()
    return (Close(reason="order", reference_id=order["id"], status=status),)


def _collection(
    work: UnitOfWork, order: Row, flow: CashFlow, collected_minor: int, transaction_id: str
) -> dict[str, Any]:
    status = _status(order["cod_amount_minor"], collected_minor, flow)
    return {
        "id": new_id(),
        "chain_order_id": order["id"],
        "collector_tenant_id": flow.levels[flow.collector].tenant_id,
        "origin_tenant_id": order["origin_tenant_id"],
        "flow_type": flow.flow_type,
        "currency": order["currency"],
        "expected_minor": order["cod_amount_minor"],
        "collected_minor": collected_minor,
        "status": status,
        "transaction_id": transaction_id,
        "collected_at": work.now,
        "settled_at": work.now if status == "settled" else None,
    }


def _status(expected_minor: int, collected_minor: int, flow: CashFlow) -> str:
    if collected_minor != expected_minor:
        return "short" if collected_minor < expected_minor else "disputed"
    return "pending" if flow.obligations else "settled"
