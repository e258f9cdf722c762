"""What the 64 fault tests require, as ``required.md`` lists it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

REQUIRED = Path(__file__).with_name("required.md")
ROW = re.compile(r"^\| (F\d\d) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)

#: Rows without figures of ours, and why.
NOT_RUN: dict[str, str] = {
    "F01": "Fewer rounds than required; the four sites that repeat besides C11 to C13 stand in "
    "C12's transaction",
    "F02": "Fewer kills than required",
    "F04": "Fewer standstills than required",
    "F05": "Fewer rounds than required; the receiver kills its caller, for no answer is read "
    "beyond 64 KiB",
    "F07": "One stop of seconds, not five of five minutes",
    "F09": "Two tenths of a second and resets for seconds, not 2 s for five minutes",
    "F11": "Fewer deaths than required",
    "F15": "A replica that misses the end of the log was not failed over to",
    "F16": "The error is injected: no disk was filled",
    "F17": "Not run behind PgBouncer: time-outs and time zone are options of our connections",
    "F20": "At the size of the tests",
    "F24": "Fewer pairs than required",
    "F25": "Fewer remittances than required",
    "F26": "Fewer rounds than required",
    "F27": "Fewer rounds than required",
    "F28": "10,000 postings on SQLite, fewer on PostgreSQL",
    "F29": "Fewer crossings than required",
    "F35": "Revocation is not asked for; nobody here renegotiates, and TLS 1.3 cannot",
    "F39": "Ten breaks in each field of input",
    "F42": "Measured by `tillbell bench` (`bench.crowd`), one event an endpoint",
    "F43": "A flood of a million events was not made: a tenant's calls are capped",
    "F45": "100 endpoints, not 10,000",
    "F46": "Measured by `tillbell bench` (`bench.claim`)",
    "F47": "Four of the six kinds",
    "F49": "At the size of the tests",
    "F50": "The steps of a newer revision, not a newer program beside the older",
    "F52": "An attempt does not name the URL it went to",
    "F53": "Endpoints only: a tenant cannot be suspended",
    "F55": "Once each kind on both databases, not 50 times",
    "F56": "Once on both databases, not 50 times",
    "F57": "Fewer settlements than required",
    "F58": "Fewer returns than required",
    "F59": "Fewer entries than a million",
    "F60": "Two of the five libraries: the others are of other languages",
    "F61": "Fewer seeds than 10,000: `make simulate` runs them all",
    "F62": "The list of the lost hour comes from the receivers: nobody else knows what it held",
    "F64": "A day does not fit a run",
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
