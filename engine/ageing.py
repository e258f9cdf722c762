"""How long what neighbours owe each other has been due, in the buckets that finance uses."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, select
from sqlalchemy import text as sql

from engine.settlement_tables import remittances

#: Days past due: 0-30, 31-60, 61-90, 91-120 and more; what is not due yet stands apart.
EDGES = (30, 60, 90, 120)
NOT_DUE, *PAST_DUE = ("not_due", "0_30", "31_60", "61_90", "91_120", "over_120")
BUCKETS = (NOT_DUE, *PAST_DUE)
#: The words of the partial index: a parameter in their place would hide it from the planner.
_OWED = sql("remittances.status = 'pending'")

Row = dict[str, Any]


def bucket(due_at: datetime, now: datetime) -> str:
    """Return the bucket of something due at an instant; pure."""
    if due_at > now:
        return NOT_DUE
    days = (now - due_at) / timedelta(days=1)
    return PAST_DUE[sum(days > edge for edge in EDGES)]


def obligations(connection: Connection, now: datetime) -> list[Row]:
    """Return what each payer owes each payee in minor units, by bucket: O(what is owed).

    Each row has ``payer_id``, ``payee_id``, ``currency``, ``total_minor``, ``oldest_due_at`` and an
    amount for each of ``BUCKETS``.
    """
    due = remittances.c.due_at
    edges = [(due >= now - timedelta(days=edge)) for edge in EDGES]
    name = case(
        (due > now, NOT_DUE), *zip(edges, PAST_DUE, strict=False), else_=PAST_DUE[-1]
    ).label("bucket")
    pair = (remittances.c.payer_id, remittances.c.payee_id, remittances.c.currency)
    query = (
        select(*pair, name, func.sum(remittances.c.amount_minor), func.min(due))
        .where(_OWED)
        .group_by(*pair, name)
        .order_by(*pair)
    )
    found: dict[tuple[str, str, str], Row] = {}
    for payer_id, payee_id, currency, bucket_name, amount, oldest in connection.execute(query):
        row = found.setdefault(
            (payer_id, payee_id, currency),
            {
                "payer_id": payer_id,
                "payee_id": payee_id,
                "currency": currency,
                "total_minor": 0,
                "oldest_due_at": oldest,
                **dict.fromkeys(BUCKETS, 0),
            },
        )
        row[bucket_name] = int(amount)
        row["total_minor"] += int(amount)
        row["oldest_due_at"] = min(row["oldest_due_at"], oldest)
    return list(found.values())
