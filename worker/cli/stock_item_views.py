"""Items of stock as tables; their serials only where they were asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from sqlalchemy import Connection

from engine import stock_items
from engine.sealing import KeyRing
from worker.cli.moments import brief
from worker.cli.output import Column, Row, state, table


def reveal_serials(
    connection: Connection, keyring: KeyRing, relationship: Row, items: Sequence[dict[str, Any]]
) -> None:
    """Add to each item its ``serial``."""
    ids = [item["id"] for item in items]
    found = stock_items.serials_of(connection, keyring, relationship, ids)
    for item in items:
        item["serial"] = found[item["id"]]


def items_table(items: Sequence[Row]) -> RenderableType:
    """Return items as a table; with their serials if they have been revealed."""
    revealed = any("serial" in item for item in items)
    serial = (Column("SERIAL", "serial", flexible=True),) if revealed else ()
    return table(items, (*_COLUMNS, *serial), empty="None yet.")


_COLUMNS = (
    Column("ITEM", "id"),
    Column("STATUS", lambda row: state(row["status"])),
    Column("DELIVERED", lambda row: brief(row["delivered_at"])),
)
