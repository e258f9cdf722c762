"""How settlement is shown to people: books as journals, figures as facts, lists as tables."""

from __future__ import annotations

from decimal import Decimal
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from engine.money import format_amount
from worker.cli.moments import brief
from worker.cli.output import Column, Row, details, money, more, page, section, state, table

#: What people call a kind of transaction.
TITLES = {
    "cod_settlement": "Delivered, cash collected",
    "prepaid_settlement": "Shipped, paid from wallet to wallet",
    "cod_difference": "Difference of cash decided",
    "remittance": "Remittance paid",
    "write_off": "Written off",
    "reversal": "Reversed",
}


def books_page(found: Row) -> RenderableType:
    """Return an order's settlement: its levels, every transaction's books, and what is owed."""
    currency = found["currency"]
    rows = [{**row, "currency": currency} for row in found["levels"]]
    parts = [_facts(found), section("Levels", table(rows, _LEVELS, empty=""))]
    for each in found["transactions"]:
        total = money(each["total_minor"], currency)
        title = f"{TITLES.get(each['kind'], each['kind'])}: {total} in all"
        parts.append(section(title, table(_journal(each, currency), _JOURNAL, empty="")))
    none = "Nothing: no cash was collected, or nobody else has a part in it."
    parts.append(section("Remittances", table(found["remittances"], _OWED, empty=none)))
    parts.append(section("Still on accounts between tenants", _debts(found)))
    return page(parts)


def summary_page(found: Row) -> RenderableType:
    """Return the figures of a tenant's period."""
    shown = _amounts(found)
    return details(
        {
            "period": f"{found['period']} since {found['start_date']:%Y-%m-%d %H:%MZ}",
            "wallet": shown("wallet_balance"),
            "will come": shown("pending_credits"),
            "will leave": shown("pending_debits"),
            "collections": found["collections_count"],
            "collected": shown("collections_total"),
            "received": shown("remittances_received"),
            "paid": shown("remittances_paid"),
            "net earnings": shown("net_earnings"),
        }
    )


def pending_page(found: Row) -> RenderableType:
    """Return what a tenant has to pay and to receive, and what is left of both."""
    totals = found["totals"]
    currency = found["currency"]
    facts = {
        "owed": money(totals["owed_minor"], currency),
        "receivable": money(totals["receivable_minor"], currency),
        "net position": money(totals["net_position_minor"], currency),
    }
    return page(
        [
            details(facts),
            section("To pay", table(found["to_pay"], OPEN, empty="Nothing.")),
            section("To receive", table(found["to_receive"], OPEN, empty="Nothing.")),
        ]
    )


def collections_page(found: Row) -> RenderableType:
    """Return a page of collections."""
    none = "No collections: one is made when a cash on delivery order is delivered."
    return page([table(found["data"], _COLLECTIONS, empty=none), *more(found)])


def collection_page(found: Row) -> RenderableType:
    """Return one collection."""
    shown = _amounts(found)
    return details(
        {
            "id": found["id"],
            "order": found["chain_order_id"],
            "collector": found["collector_tenant_id"],
            "flow": found["flow_type"],
            "expected": shown("expected"),
            "collected": shown("collected"),
            "status": state(found["status"]),
            "decision": found["resolution"],
            "borne by": found["borne_by_id"],
            "because": found["resolution_reason"],
            "decided by": found["resolved_by"],
        }
    )


def statistics_page(found: Row) -> RenderableType:
    """Return the figures of a platform."""
    currency, late = found["currency"], found["overdue"]
    totals = _amounts({**found["totals"], "currency": currency})
    debtors = [{**row, "currency": currency} for row in found["top_debtors"]]
    facts = {
        "period": f"{found['period']} since {found['start_date']:%Y-%m-%d %H:%MZ}",
        "collected": totals("collections"),
        "remitted": totals("completed_remittances"),
        "to be remitted": totals("pending_remittances"),
        "overdue": f"{late['count']}, {money(late['total_amount_minor'], currency)}",
    }
    return page(
        [
            details(facts),
            section("Overdue, oldest first", table(late["items"], OPEN, empty="Nothing.")),
            section("Top debtors", table(debtors, _DEBTORS, empty="Nobody owes anything.")),
        ]
    )


def status(row: Row) -> Text:
    """Return a remittance's status; what is late and unpaid says so."""
    late = row["status"] == "pending" and row["overdue_since"] is not None
    return state("overdue" if late else row["status"])


def _facts(found: Row) -> RenderableType:
    shown = _amounts(found)
    collection: dict[str, Any] = found["collection"] or {}
    facts = {
        "order": f"{found['chain_order_id']} ({found['origin_order_number']})",
        "status": state(found["chain_status"]),
        "payment": f"{found['payment']['method']}, {found['payment']['status']}",
        "retail": Text(
            f"{shown('retail')} = {shown('base_cost')} base + {shown('margins')} margins"
        ),
    }
    if collection:
        facts["cash"] = Text(
            f"{money(collection['collected_minor'], found['currency'])} of"
            f" {money(collection['expected_minor'], found['currency'])},"
            f" {collection['flow_type']}, {collection['status']}"
        )
    return details(facts)


def _journal(transaction: Row, currency: str) -> list[Row]:
    """Return the lines of a journal: the book's name stands at its first line only."""
    lines: list[Row] = []
    for _, book in groupby(transaction["entries"], key=lambda line: line["book"]):
        for index, line in enumerate(book):
            amount = f"{Decimal(format_amount(line['amount_minor'], currency)):,}"
            name = "" if index else line["name"]
            lines.append({"name": name, "account": line["account"], line["side"]: amount})
    return lines


def _debts(found: Row) -> RenderableType:
    rows = [{**row, "currency": found["currency"]} for row in found["owed"]]
    return table(rows, _DEBTS, empty="Nothing: all is paid or undone.")


def _amounts(found: Row) -> Any:
    return lambda name: money(found[f"{name}_minor"], found["currency"])


def _minor(name: str) -> Any:
    return lambda row: money(row[f"{name}_minor"], row["currency"])


_LEVELS = (
    Column("LEVEL", "name", flexible=True),
    Column("COST", _minor("cost"), right=True),
    Column("PRICE", _minor("price"), right=True),
    Column("MARGIN", _minor("margin"), right=True),
)
_JOURNAL = (
    Column("BOOK", lambda line: Text(line["name"]), flexible=True),
    Column("ACCOUNT", "account", flexible=True),
    Column("DR", lambda line: Text(line.get("debit", "")), right=True),
    Column("CR", lambda line: Text(line.get("credit", "")), right=True),
)
_OWED = (
    Column("PAYER", "payer_name", flexible=True),
    Column("PAYEE", "payee_name", flexible=True),
    Column("AMOUNT", _minor("amount"), right=True),
    Column("STATUS", status),
    Column("DUE", lambda row: f"{row['due_date']}"),
    Column("FOR", "reason"),
)
_DEBTS = (
    Column("BOOK", "name", flexible=True),
    Column("ACCOUNT", "account", flexible=True),
    Column("AMOUNT", _minor("amount"), right=True),
)
OPEN = (
    Column("ID", "id"),
    Column("AMOUNT", _minor("amount"), right=True),
    Column("DUE", lambda row: brief(row["due_at"])),
    Column("WITH", "counterparty_name", flexible=True),
    Column("ORDER", "origin_order_number", flexible=True),
    Column("STATUS", status, wide=True),
)
_COLLECTIONS = (
    Column("ID", "id"),
    Column("COLLECTED", _minor("collected"), right=True),
    Column("STATUS", lambda row: state(row["status"])),
    Column("FLOW", "flow_type"),
    Column("AT", lambda row: brief(row["collected_at"])),
    Column("EXPECTED", _minor("expected"), right=True, wide=True),
    Column("ORDER", "chain_order_id", wide=True),
)
_DEBTORS = (
    Column("TENANT", "tenant_id"),
    Column("NAME", "tenant_name", flexible=True),
    Column("OWES", _minor("total_owed"), right=True),
)
