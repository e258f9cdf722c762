"""Figures of resellers for people."""

from __future__ import annotations

from rich.console import RenderableType

from engine.reseller_analytics import AMOUNTS, COUNTS
from worker.cli.output import Column, Row, details, money, page, section, table


def analytics_view(found: Row) -> RenderableType:
    """Return the figures of a relationship, or of a merchant with those of its resellers."""
    head = "tenant_id" if "tenant_id" in found else "reseller_relationship_id"
    counts = [name for name in ("resellers", "active_resellers", *COUNTS) if name in found]
    facts = details(
        {
            head.removesuffix("_id").replace("_", " "): found[head],
            **{name.replace("_", " "): f"{found[name]:,}" for name in counts},
            **{name.replace("_", " "): _amount(found, name) for name in AMOUNTS},
        }
    )
    if "data" not in found:
        return facts
    return page([facts, section("Resellers", table(found["data"], _COLUMNS, empty="None yet."))])


def _amount(found: Row, name: str) -> RenderableType | None:
    return money(found[f"{name}_minor"], found["currency"])


_COLUMNS = (
    Column("RELATIONSHIP", "reseller_relationship_id"),
    Column("SALES", lambda row: _amount(row, "sales_amount"), right=True),
    Column("COMMISSION", lambda row: _amount(row, "commission"), right=True),
    Column("STOCK", lambda row: _amount(row, "stock_cost"), right=True, wide=True),
    Column("FULFILLED", lambda row: _amount(row, "fulfillment_cost"), right=True),
)
