"""Holds: money set aside in two phases; each is opened by one transaction and closed once.

Whoever ends holds locks them before any account, and several by id: so does a posting by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, func, insert, select, tuple_, update

from engine.errors import InvalidStatus, NotFound
from engine.ids import new_id
from engine.ledger_tables import holds
from engine.money import check_amount
from engine.postings import MANUAL, Close, Posting
from engine.unit_of_work import UnitOfWork

Row = dict[str, Any]


def find_open(connection: Connection, closes: Sequence[Close]) -> list[Row]:
    """Return the open holds that are to be closed, locked, in the order given; or NotFound."""
    wanted = [(close.reference_id, close.reason) for close in closes]
    query = (
        select(holds)
        .where(tuple_(holds.c.reference_id, holds.c.reason).in_(wanted), holds.c.status == "open")
        .order_by(holds.c.id)
        .with_for_update(key_share=True)
    )
    found = {
        (row["reference_id"], row["reason"]): dict(row)
        for row in (connection.execute(query).mappings() if wanted else ())
    }
    for reference_id, reason in wanted:
        if (reference_id, reason) not in found:
            raise NotFound(f"no open {reason} hold for {reference_id}", value=reference_id)
    return [found[key] for key in wanted]


def opened_by(connection: Connection, transaction_ids: Collection[str]) -> list[Row]:
    """Return what transactions set aside and nothing has closed yet, locked."""
    query = (
        select(holds)
        .where(holds.c.opened_by_id.in_(transaction_ids), holds.c.status == "open")
        .order_by(holds.c.id)
        .with_for_update(key_share=True)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def discretionary(connection: Connection, payer_id: str, closing: Collection[Row]) -> int:
    """Return what stays set aside by choice in a locked wallet, in minor units."""
    total = select(func.coalesce(func.sum(holds.c.amount_minor), 0)).where(
        holds.c.payer_id == payer_id,
        holds.c.status == "open",
        holds.c.kind == "discretionary",
        holds.c.id.not_in({row["id"] for row in closing}),
    )
    return int(connection.execute(total).scalar_one())


def write(work: UnitOfWork, transaction_id: str, posting: Posting, closing: Sequence[Row]) -> None:
    """Open and close what a posting says; raise InvalidStatus when one was closed meanwhile."""
    opened = [
        {
            # What is set aside by hand is for nothing else: its reference is itself.
            "id": hold.reference_id if hold.reason == MANUAL else new_id(),
            **asdict(hold),
            "amount_minor": check_amount(hold.amount_minor, field="hold"),
            "currency": posting.currency,
            "status": "open",
            "opened_by_id": transaction_id,
            "created_at": work.now,
        }
        for hold in posting.opens
    ]
    if opened:
        work.connection.execute(insert(holds), opened)
    for row, close in zip(closing, posting.closes, strict=True):
        closed = work.connection.execute(
            update(holds)
            .where(holds.c.id == row["id"], holds.c.status == "open")
            .values(status=close.status, closed_by_id=transaction_id, closed_at=work.now)
        )
        if closed.rowcount != 1:
            raise InvalidStatus(f"the hold for {close.reference_id} was closed meanwhile")
