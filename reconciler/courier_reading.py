"""Read a courier's file: every line of it, or one refusal that names a line and a column."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from engine.errors import InvalidInput
from engine.inputs import check_text
from engine.money import parse_amount
from reconciler.courier_match import Line

COLUMNS = ("reference", "amount", "batch")
OPTIONAL = ("paid_at",)
TEXT_LENGTH_MAX = 100
LINES_MAX = 100_000


def read(content: bytes, currency: str) -> list[Line]:
    """Return the lines of a CSV file with a header, in UTF-8.

    Its columns are ``reference``, ``amount``, ``batch``, maybe ``paid_at``, in any order.
    Raises InvalidInput with ``line`` and ``field`` for the first thing that is wrong.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(line, "", f"byte {error.start} is not UTF-8") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        _check_header(header)
        lines = list(_lines(((rows.line_num, row) for row in rows), header, currency))
    except csv.Error as error:
        raise _refused(rows.line_num, "", f"it is not CSV: {error}") from None
    if not lines:
        raise _refused(1, "reference", "the file has a header and no lines")
    return lines


def _lines(
    rows: Iterator[tuple[int, list[str]]], header: list[str], currency: str
) -> Iterator[Line]:
    for number, row in rows:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            told = f"it has {len(row)} columns where the header has {len(header)}"
            raise _refused(number, header[min(len(row), len(header) - 1)], told)
        if number > LINES_MAX:
            raise _refused(number, "", f"a file has at most {LINES_MAX:,} lines; split it")
        yield _line(number, dict(zip(header, row, strict=True)), currency)


def _line(number: int, cells: dict[str, str], currency: str) -> Line:
    field = "reference"
    try:
        reference = check_text(cells[field].strip(), field=field, length_max=TEXT_LENGTH_MAX)
        field = "batch"
        batch = check_text(cells[field].strip(), field=field, length_max=TEXT_LENGTH_MAX)
        field = "amount"
        amount_minor = parse_amount(cells[field].strip(), currency, field=field)
        field = "paid_at"
        return Line(number, reference, amount_minor, batch, _instant(cells.get(field, "")))
    except (InvalidInput, ValueError) as error:
        raise _refused(number, field, str(error)) from None


def _instant(text: str) -> datetime | None:
    """Read an ISO 8601 day or instant, in UTC where it names no zone."""
    if not text.strip():
        return None
    at = datetime.fromisoformat(text.strip())
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _check_header(header: list[str]) -> None:
    for name in COLUMNS:
        if header.count(name) != 1:
            told = "the header names it twice" if name in header else "the header lacks it"
            raise _refused(1, name, f"{told}; it needs {', '.join(COLUMNS)}")
    for name in header:
        if name not in (*COLUMNS, *OPTIONAL) or header.count(name) > 1:
            told = f"not a column of this file; it may have {', '.join(OPTIONAL)}"
            raise _refused(1, name, told)


def _refused(line: int, column: str, told: str) -> InvalidInput:
    where = f"line {line}, column {column}" if column else f"line {line}"
    return InvalidInput(f"{where}: {told}", field=column, line=line)
