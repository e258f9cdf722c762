"""Long statements without long histories: lines written as postings would have left them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from config.clock import FixedClock
from engine import ledger
from engine.database import Database
from engine.ids import new_id
from engine.postings import Posting
from engine.unit_of_work import UnitsOfWork
from engine.upserts import bulk_insert
from engine.wallet_tables import wallet_transactions

BATCH_ROWS = 5000


def write_long_statement(
    database: Database, tenant_id: str, lines: int, *, since: datetime, step: timedelta
) -> None:
    """Give a wallet that has none ``lines`` lines, a ``step`` apart, from ``since`` on.

    Nine are orders' debits of 1.00 for each top-up of 9.00, which comes first.
    """
    transaction_id = _transaction(database, since)
    rows = _rows(tenant_id, transaction_id, lines, since, step)
    while batch := list(islice(rows, BATCH_ROWS)):
        with database.write() as connection:
            bulk_insert(connection, wallet_transactions, batch)


def _rows(
    tenant_id: str, transaction_id: str, lines: int, since: datetime, step: timedelta
) -> Iterator[dict[str, Any]]:
    balance = 0
    for place in range(lines):
        top_up = place % 10 == 0
        balance += 900 if top_up else -100
        number = place // 10 + 1 if top_up else place - place // 10
        yield {
            "id": new_id(),
            "tenant_id": tenant_id,
            "seq": place + 1,
            "transaction_id": transaction_id,
            "type": "credit" if top_up else "debit",
            "kind": "top_up" if top_up else "prepaid_settlement",
            "amount_minor": 900 if top_up else 100,
            "currency": "INR",
            "reference_type": "top_up" if top_up else "chain_order",
            "reference_id": f"number {place}",
            "description": None,
            "balance_minor": balance,
            "available_minor": balance,
            "number": number,
            "total_minor": number * (900 if top_up else 100),
            "created_at": since + place * step,
        }


def _transaction(database: Database, at: datetime) -> str:
    """Post the one ledger transaction that all the lines name; it moves nothing."""
    number = new_id()
    with UnitsOfWork(database, FixedClock(at)).begin(actor="test") as work:
        posted = ledger.post(
            work,
            Posting(
                kind="opening",
                reference_type="opening",
                reference_id=number,
                idempotency_key=f"opening:{number}",
                currency="INR",
            ),
        )
    return str(posted["id"])
