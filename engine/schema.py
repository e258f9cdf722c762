"""Every table of the engine, so that whoever imports this module has the whole metadata."""

from __future__ import annotations

from engine import (
    adjustment_tables,
    draft_tables,
    due_tables,
    ledger_guard,
    ledger_tables,
    order_tables,
    product_tables,
    program_tables,
    settlement_tables,
    stock_transfer_tables,
    tables,
    upstream_tables,
    wallet_tables,
)
from engine.database import metadata

__all__ = [
    "adjustment_tables",
    "draft_tables",
    "due_tables",
    "ledger_guard",
    "ledger_tables",
    "metadata",
    "order_tables",
    "product_tables",
    "program_tables",
    "settlement_tables",
    "stock_transfer_tables",
    "tables",
    "upstream_tables",
    "wallet_tables",
]
