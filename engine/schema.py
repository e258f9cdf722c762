"""Every table of the engine, so that whoever imports this module has the whole metadata."""

from __future__ import annotations

from engine import ledger_tables, order_tables, product_tables, settlement_tables, tables
from engine.database import metadata

__all__ = [
    "ledger_tables",
    "metadata",
    "order_tables",
    "product_tables",
    "settlement_tables",
    "tables",
]
