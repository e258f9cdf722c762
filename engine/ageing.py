"""How long what neighbours owe each other has been due, in the buckets that finance uses."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, or_, select
from sqlalchemy import text as sql

from engine import tenants
from engine.money import money_fields
from engine.settlement_tables import remittances
from engine.tables import tenants as tenant_rows

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


def report(connection: Connection, now: datetime, *, tenant_id: str | None = None) -> Row:
    """Return ``as_of``, the debts of each pair as ``data``, largest first, and their ``totals``.

    A debt has its sides' names, ``oldest_due_at`` and, as decimals and ``…_minor``, its ``total``
    and one amount for each of ``BUCKETS``; a tenant's own are ``outgoing`` or ``incoming`` and its
    totals stand apart, None where all are asked for. Raises NotFound (tenant).
    """
    named = None if tenant_id is None else tenants.get(connection, tenant_id)["id"]
    rows = obligations(connection, now, tenant_id=named)
    ids = {row[side] for row in rows for side in ("payer_id", "payee_id")}
    query = select(tenant_rows.c.id, tenant_rows.c.name).where(tenant_rows.c.id.in_(ids))
    names = {row.id: row.name for row in connection.execute(query)}
    data = [
        {
            "payer_id": row["payer_id"],
            "payer_name": names[row["payer_id"]],
            "payee_id": row["payee_id"],
            "payee_name": names[row["payee_id"]],
            "direction": _direction(row, named),
            "currency": row["currency"],
            "oldest_due_at": row["oldest_due_at"],
            **_amounts(row["currency"], [row]),
        }
        for row in sorted(rows, key=lambda row: -row["total_minor"])
    ]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((_direction(row, named) or "", row["currency"]), []).append(row)
    totals = [
        {"direction": direction or None, "currency": currency, **_amounts(currency, mine)}
        # What a tenant owes stands before what it is owed.
        for (direction, currency), mine in sorted(groups.items(), reverse=True)
    ]
    return {"as_of": now, "tenant_id": named, "data": data, "totals": totals}


def obligations(
    connection: Connection, now: datetime, *, tenant_id: str | None = None
) -> list[Row]:
    """Return what each payer owes each payee in minor units, by bucket: O(what is owed).

    Of a tenant, what it owes and what it is owed.
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
    if tenant_id is not None:
        query = query.where(or_(*(side == tenant_id for side in pair[:2])))
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


def _direction(row: Row, tenant_id: str | None) -> str | None:
    if tenant_id is None:
        return None
    return "outgoing" if row["payer_id"] == tenant_id else "incoming"


def _amounts(currency: str, rows: Iterable[Row]) -> Row:
    """Return the sums of some debts of one currency: each bucket, and all of them."""
    rows = list(rows)
    sums = {name: sum(row[name] for row in rows) for name in BUCKETS}
    return money_fields(currency, **sums, total=sum(sums.values()))
