"""What the 64 fault tests require, as ``required.md`` lists it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REQUIRED = Path(__file__).with_name("required.md")
ROW = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)

#: Rows without figures of ours, and why.
NOT_RUN: dict[str, str] = {
    "F62": "The list of the lost hour comes from the receivers: nobody else knows what it held",
}


@dataclass(frozen=True)
class Row:
    """One fault test as it is required."""

    id: str
    fault: str
    numbers: str
    must_hold: str


def rows() -> list[Row]:
    """Return the fault tests in the order of their numbers."""
    return [Row(*cells) for cells in ROW.findall(REQUIRED.read_text("utf-8"))]
