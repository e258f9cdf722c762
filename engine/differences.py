"""Decide what becomes of cash that was missing, or too much, when an order was delivered.

Until somebody decides, the difference is the collector's; what the chain owes does not wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import update

from engine import (
    cash_collections,
    difference_postings,
    ledger,
    obligations,
    order_rows,
    remittance_events,
    tenants,
)
from engine.errors import Forbidden, InvalidInput, InvalidStatus
from engine.inputs import check_choice, check_text
from engine.order_rows import Row
from engine.postings import Posting
from engine.settlement_tables import cod_collections
from engine.unit_of_work import UnitOfWork

#: The missing cash came, or the excess went back to the customer.
RECOVERED = "recovered"
#: It is the loss, or the gain, of one tenant of the chain.
BORNE = "borne"
DECISIONS = (RECOVERED, BORNE)
OPEN = ("short", "disputed")


def difference_key(collection_id: str) -> str:
    """Return what makes the decision of a collection's difference one posting."""
    return f"cod_collection:{collection_id}:difference"


def resolve(
    work: UnitOfWork,
    collection_id: str,
    *,
    decision: str,
    reason: str,
    borne_by: str | None = None,
    tenant_id: str | None = None,
) -> dict[str, Any]:
    """Decide a difference once and return the collection as lists show it.

    ``borne_by`` is the tenant whose loss or gain it becomes, the collector unless told; the
    neighbours between the two then owe each other the amount. ``tenant_id`` (None: the operator)
    must own the platform. Raises InvalidInput, NotFound, Forbidden, or InvalidStatus with
    ``current_status`` when there is nothing to decide.
    """
    check_choice(decision, DECISIONS, field="decision")
    reason = check_text(reason, field="reason", length_max=500)
    collection = cash_collections.get(work.connection, collection_id, tenant_id=tenant_id)
    order = order_rows.get(work.connection, collection["chain_order_id"], locked=True)
    _require_owner(work, order, tenant_id)
    way = _way(work, order, collection, decision, borne_by)
    resolved = _take(work, collection, decision, way[0], reason)
    owed = _post(work, order, resolved, decision, way)
    obligations.record(work, collection["id"], owed)
    for draft in remittance_events.collection(resolved, order, "resolved"):
        work.raise_event(draft)
    cash_collections.settle_if_paid(work, order)
    return cash_collections.seen(cash_collections.get(work.connection, collection["id"]))


def _require_owner(work: UnitOfWork, order: Row, tenant_id: str | None) -> None:
    owner = tenants.chain(work.connection, order["origin_tenant_id"])[0]
    if tenant_id not in {None, owner["id"]}:
        raise Forbidden(
            "only the owner of the platform decides what becomes of a difference",
            chain_order_id=order["id"],
        )


def _way(
    work: UnitOfWork, order: Row, collection: Row, decision: str, borne_by: str | None
) -> list[str]:
    """Return the neighbours from whoever bears the difference to the collector."""
    collector = collection["collector_tenant_id"]
    if borne_by is None or decision == RECOVERED:
        if borne_by is not None:
            raise InvalidInput("what was recovered is borne by nobody", field="borne_by")
        return [collector]
    hops = order_rows.hops_of(work.connection, order["id"])
    chain = [hop["tenant_id"] for hop in order_rows.supply_chain(order, hops)]
    if borne_by not in chain:
        raise InvalidInput(
            "a difference is borne by a tenant the order's money passes",
            field="borne_by",
            value=borne_by,
        )
    return difference_postings.way_between(chain, borne_by, collector)


def _take(work: UnitOfWork, collection: Row, decision: str, borne_by: str, reason: str) -> Row:
    """Make the decision with one guarded update, or raise InvalidStatus."""
    values = {
        "status": "pending",
        "resolution": decision,
        "borne_by_id": borne_by if decision == BORNE else None,
        "resolution_reason": reason,
        "resolved_by": work.actor,
        "resolved_at": work.now,
    }
    undecided = (cod_collections.c.id == collection["id"]) & cod_collections.c.status.in_(OPEN)
    taken = work.connection.execute(update(cod_collections).where(undecided).values(values))
    if taken.rowcount != 1:
        current = cash_collections.get(work.connection, collection["id"])["status"]
        raise InvalidStatus(
            "the collection has no difference to decide", current_status=current, allowed=[]
        )
    return collection | values


def _post(
    work: UnitOfWork, order: Row, collection: Row, decision: str, way: Sequence[str]
) -> list[Row]:
    """Post the decision and return the remittances it makes, not inserted yet."""
    shortage_minor = collection["expected_minor"] - collection["collected_minor"]
    owed: list[Row] = []
    if decision == RECOVERED:
        entries = difference_postings.recovered(way[0], shortage_minor)
    else:
        entries = difference_postings.borne(way, shortage_minor)
        between = difference_postings.obligations(way, shortage_minor)
        owed = obligations.owed(work, order, between, obligations.DIFFERENCE)
    ledger.post(
        work,
        Posting(
            kind="cod_difference",
            reference_type="cod_collection",
            reference_id=collection["id"],
            idempotency_key=difference_key(collection["id"]),
            currency=collection["currency"],
            entries=entries,
            opens=obligations.holds(owed),
            metadata={"decision": decision, "reason": collection["resolution_reason"]},
        ),
    )
    return owed
