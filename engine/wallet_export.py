"""A wallet's statement as CSV, oldest line first, written while it is read (document 001)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from engine.database import Database
from engine.events import iso_seconds
from engine.money import format_amount
from engine.wallet_transactions import Filters, Selection, choose, newest

BATCH_ROWS = 1000
COLUMNS = (
    "id",
    "created_at",
    "type",
    "amount",
    "currency",
    "reference_type",
    "reference_id",
    "description",
    "balance_after",
    "available_after",
)
#: A spreadsheet takes a cell that begins so for a formula.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n")

Row = Mapping[str, Any]


def export(database: Database, tenant_id: str, filters: Filters | None = None) -> Iterator[str]:
    """Return an iterator of CSV text: a header, then batches of lines, RFC 4180 with CRLF.

    Lines written after the call are not in it. No transaction is open between two batches, so a
    slow reader holds up nobody, and memory holds one batch. Raises InvalidInput or
    NotFound, at once.
    """
    with database.read() as connection:
        chosen = choose(connection, tenant_id, filters)
        last = newest(connection, chosen.tenant_id)
    return _write(database, replace(chosen, upto=min(chosen.upto, last)))


def safe_cell(text: str | None) -> str:
    """Return text from outside as a cell that no spreadsheet takes for a formula."""
    if text is None:
        return ""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def _write(database: Database, chosen: Selection) -> Iterator[str]:
    yield _csv([COLUMNS])
    while True:
        with database.read() as connection:
            query = chosen.query(BATCH_ROWS, descending=False)
            rows = connection.execute(query).mappings().all()
        if not rows:
            return
        yield _csv([_cells(dict(row)) for row in rows])
        chosen = replace(chosen, after=rows[-1]["seq"])


def _cells(row: Row) -> tuple[str, ...]:
    currency = row["currency"]
    return (
        row["id"],
        iso_seconds(row["created_at"]),
        row["type"],
        format_amount(row["amount_minor"], currency),
        currency,
        safe_cell(row["reference_type"]),
        safe_cell(row["reference_id"]),
        safe_cell(row["description"]),
        format_amount(row["balance_minor"], currency),
        format_amount(row["available_minor"], currency),
    )


def _csv(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue()
