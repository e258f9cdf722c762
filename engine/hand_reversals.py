"""Reversals that people ask for: what a document owns is undone through it, never behind its back.

A settlement reversed by hand would make the order's own return fail later, or be undone twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, select

from engine import reversals
from engine.errors import OwnedByDocument
from engine.inputs import check_text
from engine.postings import MANUAL
from engine.program_tables import affiliate_sales
from engine.settlement_tables import cod_collections, remittances
from engine.stock_transfer_tables import fulfillments
from engine.unit_of_work import UnitOfWork

REASON_LENGTH_MAX = 500
#: No document answers for these: a payment that bounced, a fee charged in error, a hold by hand.
FREE = ("top_up", "fee", MANUAL)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """A kind of document, what ends it, and the table and column that name what it is part of.

    ``ending`` is for people: a verb with ``{id}`` and, of what it is part of, ``{whole}``.
    """

    name: str
    ending: str
    table: Table | None = None
    whole: str = ""


_RETURN = "'tillbell orders return {whole}'"
_CORRECTION = "'tillbell ledger adjustments request', for a correction by two persons"
#: By the posting's kind where its document ends different postings differently, else by document.
OWNERS = {
    "order_hold": Owner("order", "'tillbell orders cancel {id}'"),
    "order_release": Owner("order", "'tillbell orders create': it was called off"),
    "chain_order": Owner("order", "'tillbell orders return {id}'"),
    "remittance": Owner("remittance", _RETURN, remittances, "chain_order_id"),
    "cod_collection": Owner("collection", _RETURN, cod_collections, "chain_order_id"),
    "payout_hold": Owner("payout", "'tillbell payouts cancel {id}'"),
    "payout_release": Owner("payout", "'tillbell payouts request': it was called off"),
    "payout": Owner("payout", "'tillbell wallets top-up' for what the bank sent back"),
    "adjustment": Owner("adjustment", _CORRECTION),
    "stock_transfer": Owner("stock purchase", _CORRECTION),
    "fulfillment": Owner(
        "fulfilment",
        "'tillbell fulfillments refund {whole} {id}'",
        fulfillments,
        "relationship_id",
    ),
    "affiliate_sale": Owner(
        "sale", "'tillbell sales refund {whole} {id}'", affiliate_sales, "relationship_id"
    ),
    "reseller_relationship": Owner(
        "relationship", "'tillbell sales refund {id} SALE', which keeps it back"
    ),
}
#: Whatever else was posted belongs to something that this page does not know.
_UNKNOWN = Owner("document", _CORRECTION)


def reverse(
    work: UnitOfWork, transaction_id: str, *, reason: str, idempotency_key: str | None = None
) -> Row:
    """Reverse a ledger transaction that no document owns and return the new one.

    Raises OwnedByDocument with ``document``, ``document_id`` and what ends it, InvalidInput for
    want of a reason, and whatever ``reversals.reverse`` raises.
    """
    note = check_text(reason, field="reason", length_max=REASON_LENGTH_MAX)
    original = reversals.find(work.connection, transaction_id)
    if original["reference_type"] not in FREE:
        raise _owned(work.connection, original)
    return reversals.reverse(work, original["id"], reason=note, idempotency_key=idempotency_key)


def _owned(connection: Connection, original: Row) -> OwnedByDocument:
    document, document_id = original["reference_type"], original["reference_id"]
    owner = OWNERS.get(original["kind"]) or OWNERS.get(document, _UNKNOWN)
    ending = owner.ending.format(id=document_id, whole=_whole(connection, owner, document_id))
    return OwnedByDocument(
        f"the {original['kind']} belongs to the {owner.name} {document_id}: use {ending}",
        document=document,
        document_id=document_id,
        ending=ending,
    )


def _whole(connection: Connection, owner: Owner, document_id: str) -> str:
    """Return the id of what a document is part of, such as a remittance's order."""
    if owner.table is None:
        return ""
    column: Column[Any] = owner.table.c[owner.whole]
    found = connection.execute(select(column).where(owner.table.c.id == document_id)).scalar()
    return str(found)
