"""Many transactions at once, and how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from config.errors import TillbellError
from engine.unit_of_work import UnitOfWork, UnitsOfWork

THREADS = 8
#: What one of those who race does in its transaction.
Call = Callable[[UnitOfWork], Any]


def together(units: UnitsOfWork, calls: Sequence[Call]) -> Counter[str]:
    """Run every call in its own transaction, several at a time, and count how they ended."""
    return at_once([alone(units, call) for call in calls])


def alone(units: UnitsOfWork, call: Call) -> Callable[[], None]:
    """Return the call in a transaction of its own."""

    def run() -> None:
        with units.begin(actor="race") as work:
            call(work)

    return run


def at_once(calls: Sequence[Callable[[], Any]]) -> Counter[str]:
    """Run calls that make transactions of their own, several at a time; count how they ended."""

    def run(call: Callable[[], Any]) -> str:
        try:
            call()
        except TillbellError as refusal:
            return refusal.code
        return "done"

    with ThreadPoolExecutor(THREADS) as pool:
        return Counter(pool.map(run, calls))
