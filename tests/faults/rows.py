"""What the 64 fault tests require, as ``required.md`` lists it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REQUIRED = Path(__file__).with_name("required.md")
ROW = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)

#: Rows without figures of ours, and why.
NOT_RUN: dict[str, str] = {
    "F24": "Fewer pairs than required",
    "F25": "Fewer remittances than required",
    "F26": "Fewer rounds than required",
    "F27": "Fewer rounds than required",
    "F29": "Fewer crossings than required",
    "F35": "Revocation is not asked for; nobody here renegotiates, and TLS 1.3 cannot",
    "F55": "Once each kind on both databases, not 50 times",
    "F56": "Once on both databases, not 50 times",
    "F57": "Fewer settlements than required",
    "F58": "Fewer returns than required",
    "F59": "Fewer entries than a million",
    "F60": "Two of the five libraries: the others are of other languages",
    "F15": "A replica that misses the end of the log was not failed over to",
    "F17": "Not run behind PgBouncer: time-outs and time zone are options of our connections",
    "F43": "A flood of a million events was not made: a tenant's calls are capped",
    "F50": "The steps of a newer revision, not a newer program beside the older",
    "F52": "An attempt does not name the URL it went to",
    "F62": "The list of the lost hour comes from the receivers: nobody else knows what it held",
    "F61": "Fewer seeds than 10,000: `make simulate` runs them all.",
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
