"""Settle an order: what the chain owes once it shipped or was delivered, and how that is undone.

Cash on delivery settles up the chain at delivery; prepaid orders are paid from wallet to wallet
when they leave (domain.md 2.9, A5, A6, A9, A10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from engine import ledger, milestones, order_rows, postings, remittance_events, tenants, wallets
from engine.due_dates import due_date, end_of_day
from engine.errors import InvalidInput
from engine.ids import new_id
from engine.ledger_tables import ledger_transactions
from engine.order_rows import Row
from engine.postings import Close, Hold, Level, Obligation, Posting
from engine.settlement_tables import cod_collections, remittances
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


def collect(
    work: UnitOfWork, order: Row, flow: CashFlow, collected_minor: int
) -> tuple[Row, list[Row]]:
    """Post a COD delivery and return its collection and remittances; their events are raised.

    Obligations never fail for lack of balance: the cash is in the collector's hand already.
    """
    owed = [_remittance(work, order, obligation) for obligation in flow.obligations]
    shortage_minor = order["cod_amount_minor"] - collected_minor
    posted = ledger.post(
        work,
        Posting(
            kind="cod_settlement",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=f"chain_order:{order['id']}:settlement",
            currency=order["currency"],
            entries=postings.cod_delivered(
                flow.levels,
                order["cod_amount_minor"],
                flow.collector,
                shortage_minor=shortage_minor,
            ),
            opens=tuple(_obligation_hold(row) for row in owed),
        ),
    )
    collection = _collection(work, order, flow, collected_minor, posted["id"])
    work.connection.execute(insert(cod_collections).values(collection))
    add_remittances(work, collection, owed)
    for draft in remittance_events.collection(collection, order, "recorded"):
        work.raise_event(draft)
    return collection, owed


def add_remittances(work: UnitOfWork, collection: Row, owed: Sequence[Row]) -> None:
    """Insert remittances with their milestones and tell both sides of each."""
    for row in owed:
        row["collection_id"] = collection["id"]
    if owed:
        work.connection.execute(insert(remittances), list(owed))
    milestones.schedule(work, owed)
    for row in owed:
        for draft in remittance_events.created(row):
            work.raise_event(draft)


def capture(work: UnitOfWork, order: Row, hops: Sequence[Row]) -> None:
    """Pay a prepaid order up the chain from the money that was set aside."""
    levels = supply_levels(order, hops)
    ledger.post(
        work,
        Posting(
            kind="prepaid_settlement",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=f"chain_order:{order['id']}:settlement",
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


def undo(work: UnitOfWork, order: Row) -> bool:
    """Reverse a settlement after a return; tell whether there was one.

    Unpaid remittances are cancelled; for a paid one the opposite is owed at once (A8, A10).
    """
    key = f"chain_order:{order['id']}:settlement"
    same_key = ledger_transactions.c.idempotency_key == key
    found = work.connection.execute(select(ledger_transactions).where(same_key)).mappings().first()
    if found is None:
        return False
    query = select(remittances).where(remittances.c.chain_order_id == order["id"])
    rows = work.connection.execute(
        query.order_by(remittances.c.id).with_for_update(key_share=True)
    ).mappings()
    before = [dict(row) for row in rows]
    unpaid = [row for row in before if row["status"] == "pending"]
    paid = [row for row in before if row["status"] == "completed"]
    back = [_opposite(work, order, row) for row in paid]
    ledger.post(
        work,
        Posting(
            kind="reversal",
            reference_type="chain_order",
            reference_id=order["id"],
            idempotency_key=f"chain_order:{order['id']}:reversal",
            currency=order["currency"],
            entries=postings.reversal(
                ledger.entries_of(work.connection, found["id"]),
                [(row["payer_id"], row["payee_id"]) for row in paid],
            ),
            opens=tuple(_obligation_hold(row) for row in back),
            closes=tuple(
                Close(reason="remittance", reference_id=row["id"], status="released")
                for row in unpaid
            ),
            reverses_id=found["id"],
        ),
    )
    _close_collection(work, order, back)
    _cancel(work, unpaid)
    return True


def _remittance(work: UnitOfWork, order: Row, owed: Obligation) -> Row:
    payer = tenants.get(work.connection, owed.payer_id)
    due_on = due_date(work.now, payer["timezone"], hop=owed.hop)
    return {
        "id": new_id(),
        "chain_order_id": order["id"],
        "payer_id": owed.payer_id,
        "payee_id": owed.payee_id,
        "amount_minor": owed.amount_minor,
        "currency": order["currency"],
        "status": "pending",
        "hop": owed.hop,
        "due_date": due_on,
        "due_tz": payer["timezone"],
        "due_at": end_of_day(due_on, payer["timezone"]),
        "schedule_version": 1,
        "created_at": work.now,
    }


def _opposite(work: UnitOfWork, order: Row, paid: Row) -> Row:
    """Return the remittance that gives back a paid one: due today."""
    owed = Obligation(paid["payee_id"], paid["payer_id"], paid["amount_minor"], paid["hop"])
    row = _remittance(work, order, owed)
    due_on = due_date(work.now, row["due_tz"], hop=1, terms_days=0)
    return row | {"due_date": due_on, "due_at": end_of_day(due_on, row["due_tz"])}


def _obligation_hold(remittance: Row) -> Hold:
    return Hold(
        payer_id=remittance["payer_id"],
        payee_id=remittance["payee_id"],
        amount_minor=remittance["amount_minor"],
        kind="obligation",
        reason="remittance",
        reference_id=remittance["id"],
    )


def _order_hold(connection: Connection, order: Row, status: str) -> tuple[Close, ...]:
    if not ledger.has_open_hold(connection, "order", order["id"]):
        return ()
    return (Close(reason="order", reference_id=order["id"], status=status),)


def _collection(
    work: UnitOfWork, order: Row, flow: CashFlow, collected_minor: int, transaction_id: str
) -> dict[str, Any]:
    short = collected_minor < order["cod_amount_minor"]
    settled = not short and not flow.obligations
    return {
        "id": new_id(),
        "chain_order_id": order["id"],
        "collector_tenant_id": flow.levels[flow.collector].tenant_id,
        "flow_type": flow.flow_type,
        "currency": order["currency"],
        "expected_minor": order["cod_amount_minor"],
        "collected_minor": collected_minor,
        "status": "short" if short else "settled" if settled else "pending",
        "transaction_id": transaction_id,
        "collected_at": work.now,
        "settled_at": work.now if settled else None,
    }


def _close_collection(work: UnitOfWork, order: Row, back: Sequence[Row]) -> None:
    mine = cod_collections.c.chain_order_id == order["id"]
    found = work.connection.execute(select(cod_collections).where(mine)).mappings().first()
    if found is None:
        return
    work.connection.execute(update(cod_collections).where(mine).values(status="reversed"))
    add_remittances(work, dict(found), back)


def _cancel(work: UnitOfWork, unpaid: Sequence[Row]) -> None:
    ids = [row["id"] for row in unpaid]
    closed = {"status": "cancelled", "cancelled_at": work.now}
    work.connection.execute(
        update(remittances)
        .where(remittances.c.id.in_(ids), remittances.c.status == "pending")
        .values(closed)
    )
    milestones.cancel(work, ids)
    for row in unpaid:
        sides = {
            side: wallets.show(work.connection, row[side]) for side in ("payer_id", "payee_id")
        }
        balances = {row[side]: wallet for side, wallet in sides.items()}
        for draft in remittance_events.closed(row | closed, balances):
            work.raise_event(draft)
