"""What a period came to in a wallet (document 001, finance)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from engine import tenants, wallet_transactions, wallets
from engine.money import money_fields
from engine.periods import period_start
from engine.wallet_statement import CREDIT, DEBIT
from engine.wallet_transactions import Selection

REMITTANCE = "remittance"

Row = dict[str, Any]


def summary(
    connection: Connection, tenant_id: str, period: str = "month", *, now: datetime
) -> dict[str, Any]:
    """Return ``summary`` of the running week, month, quarter or year of the tenant's own zone.

    Opening balance + credits - debits = closing balance. ``net_earnings`` is what remittances
    brought less what they took, as document 001 counts it. Raises InvalidInput or NotFound.
    """
    tenant = tenants.get(connection, tenant_id)
    start = period_start(period, now, tenant["timezone"])
    before = wallet_transactions.last_before(connection, tenant["id"], start)
    # One last line for every figure, whatever is posted meanwhile.
    last = wallet_transactions.newest(connection, tenant["id"])
    chosen = Selection(tenant["id"], before, last, None)
    rows = wallet_transactions.totals(connection, chosen)
    wallet = wallets.show(connection, tenant["id"])
    received, paid = (_amount(rows, type_, REMITTANCE) for type_ in (CREDIT, DEBIT))
    currency = tenant["currency"]
    return {
        "summary": {
            "period": period,
            "start_date": start,
            "end_date": now,
            "currency": currency,
            **money_fields(
                currency,
                opening_balance=wallet_transactions.balance_at(connection, tenant["id"], before),
                closing_balance=wallet_transactions.balance_at(connection, tenant["id"], last),
                total_credits=_amount(rows, CREDIT),
                total_debits=_amount(rows, DEBIT),
                pending_credits=wallet["pending_credits_minor"],
                pending_debits=wallet["pending_debits_minor"],
                remittances_paid=paid,
                remittances_received=received,
                net_earnings=received - paid,
            ),
            "transactions_count": sum(row["count"] for row in rows),
            "by_type": [
                {
                    "type": row["type"],
                    "reference_type": row["reference_type"],
                    "count": row["count"],
                    **money_fields(currency, amount=row["amount_minor"]),
                }
                for row in sorted(rows, key=lambda row: (row["type"], row["reference_type"]))
            ],
        }
    }


def _amount(rows: Sequence[Row], type_: str, reference_type: str | None = None) -> int:
    return sum(
        row["amount_minor"]
        for row in rows
        if row["type"] == type_ and reference_type in {None, row["reference_type"]}
    )
