"""What the 64 fault tests require, as ``required.md`` lists it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REQUIRED = Path(__file__).with_name("required.md")
ROW = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)

#: Rows without figures of ours, and why.
NOT_RUN: dict[str, str] = {
    "F24": "A tenth of the pairs",
    "F26": "40 rounds of the 500",
    "F27": "20 rounds of each operation",
    "F29": "200 of the 500 crossings",
    "F35": "Revocation is not asked for; nobody here renegotiates, and TLS 1.3 cannot",
    "F55": "Once each kind on both databases, not 50 times",
    "F56": "Once on both databases, not 50 times",
    "F57": "600 of the 5,000 settlements",
    "F58": "240 of the 500 returns",
    "F59": "Tens of thousands of entries, not a million",
    "F60": "Two of the five libraries: the others are of other languages",
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
