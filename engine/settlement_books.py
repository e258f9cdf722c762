"""Show what an order did to the books: every transaction as one column of debits, one of credits.

The operator's view: a participant would read the other levels' costs in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, select, tuple_

from engine import cash_collections, chart, order_rows, remittances, tenants
from engine.ledger_tables import ledger_accounts, ledger_entries, ledger_transactions
from engine.money import money_fields
from engine.order_rows import Row

#: Accounts that stand for a debt between two tenants; settled, they are back at zero.
_DEBTS = (chart.PAYABLE, chart.RECEIVABLE)


def show(connection: Connection, order_id: str) -> dict[str, Any]:
    """Return an order's settlement: ``levels``, ``transactions``, ``remittances``, ``owed``.

    ``levels`` go from whoever supplies to the origin with cost, price and margin; base cost and
    margins make the retail price. A transaction's ``total`` is the sum of its debits; ``owed`` is
    what its accounts of debts still hold, empty once all is paid. Raises NotFound.
    """
    order = order_rows.get(connection, order_id)
    hops = order_rows.hops_of(connection, order["id"])
    names = {row["id"]: row["name"] for row in tenants.chain(connection, order["origin_tenant_id"])}
    paid = remittances.listing(connection, order_id=order["id"])
    collection = cash_collections.of_order(connection, order["id"])
    subjects = [("chain_order", order["id"])]
    if collection is not None:
        subjects.append(("cod_collection", collection["id"]))
    subjects += [("remittance", row["id"]) for row in paid]
    posted = _transactions(connection, subjects)
    books = {hop["tenant_id"]: -hop["position"] for hop in hops}
    shown = [_transaction(each, entries, books, names) for each, entries in posted]
    return {
        "chain_order_id": order["id"],
        "origin_order_number": order["origin_order_number"],
        "chain_status": order["chain_status"],
        "payment": {"method": order["payment_method"], "status": order["payment_status"]},
        "currency": order["currency"],
        **_levels(order, hops, names),
        "collection": None if collection is None else cash_collections.seen(collection),
        "transactions": shown,
        "remittances": [_named(row, names) for row in paid],
        "owed": _owed(shown),
    }


def _levels(order: Row, hops: Sequence[Row], names: Mapping[str, str]) -> dict[str, Any]:
    chain = hops if order["fulfiller_tenant_id"] is None else order_rows.supply_chain(order, hops)
    base_minor = chain[0]["cost_minor"]
    margins = [hop["price_minor"] - hop["cost_minor"] for hop in chain]
    return {
        "levels": [
            {
                "tenant_id": hop["tenant_id"],
                "name": names[hop["tenant_id"]],
                **money_fields(
                    order["currency"],
                    cost=hop["cost_minor"],
                    price=hop["price_minor"],
                    margin=margin,
                ),
            }
            for hop, margin in zip(chain, margins, strict=True)
        ],
        **money_fields(
            order["currency"],
            base_cost=base_minor,
            margins=sum(margins),
            retail=order["origin_total_minor"],
        ),
    }


def _transactions(
    connection: Connection, subjects: Iterable[tuple[str, str]]
) -> list[tuple[Row, list[Row]]]:
    """Return the transactions of an order and what it led to, with their entries, oldest first."""
    table = ledger_transactions.c
    wanted = tuple_(table.reference_type, table.reference_id).in_(list(subjects))
    query = select(ledger_transactions).where(wanted).order_by(table.created_at, table.id)
    found = [dict(row) for row in connection.execute(query).mappings()]
    entries: dict[str, list[Row]] = {row["id"]: [] for row in found}
    lines = (
        select(
            ledger_entries.c.transaction_id,
            ledger_entries.c.amount_minor,
            ledger_accounts.c.book,
            ledger_accounts.c.code,
        )
        .join_from(
            ledger_entries, ledger_accounts, ledger_accounts.c.id == ledger_entries.c.account_id
        )
        .where(ledger_entries.c.transaction_id.in_(entries))
    )
    for row in connection.execute(lines).mappings():
        entries[row["transaction_id"]].append(dict(row))
    # A hold alone moves no money.
    return [(row, entries[row["id"]]) for row in found if entries[row["id"]]]


def _transaction(
    row: Row, entries: Sequence[Row], books: Mapping[str, int], names: Mapping[str, str]
) -> dict[str, Any]:
    lines = [
        {
            "book": entry["book"],
            "name": names.get(entry["book"], entry["book"]),
            "account": account_name(entry["code"], names),
            "code": entry["code"],
            "side": "debit" if entry["amount_minor"] > 0 else "credit",
            **money_fields(row["currency"], amount=abs(entry["amount_minor"])),
        }
        for entry in entries
    ]
    # Whoever is nearest to the customer first, the platform's book last; debits before credits.
    lines.sort(
        key=lambda line: (books.get(line["book"], 1), line["side"] != "debit", line["account"])
    )
    total = sum(line["amount_minor"] for line in lines if line["side"] == "debit")
    return {
        "id": row["id"],
        "kind": row["kind"],
        "reverses_id": row["reverses_id"],
        "event_at": row["event_at"],
        **money_fields(row["currency"], total=total),
        "entries": lines,
    }


def account_name(code: str, names: Mapping[str, str]) -> str:
    """Return an account's code with the tenant it names in words: ``pay>Distributor ABC``."""
    stem, tenant_id = chart.split(code)
    return stem if tenant_id is None else f"{stem}{names.get(tenant_id, tenant_id)}"


def _named(row: Row, names: Mapping[str, str]) -> Row:
    return {
        **row,
        "payer_name": names[row["payer_id"]],
        "payee_name": names[row["payee_id"]],
    }


def _owed(transactions: Sequence[Row]) -> list[Row]:
    """Return what is left on the accounts between tenants: nothing once all is paid."""
    left: dict[tuple[str, str], int] = {}
    for transaction in transactions:
        for line in transaction["entries"]:
            if chart.split(line["code"])[0] in _DEBTS:
                signed = line["amount_minor"] if line["side"] == "debit" else -line["amount_minor"]
                key = (line["name"], line["account"])
                left[key] = left.get(key, 0) + signed
    return [
        {"name": name, "account": account, "amount_minor": amount}
        for (name, account), amount in left.items()
        if amount
    ]
