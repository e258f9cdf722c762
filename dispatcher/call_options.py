"""How an endpoint wants to be called: limits, order, schedule; checks of what is given. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, TypedDict

from dispatcher.order import Ordering
from dispatcher.policies import check_schedule, check_within
from engine.errors import InvalidInput

IN_FLIGHT_DEFAULT = 10
IN_FLIGHT_MAX = 1000
RATE_MAX = 10_000.0
DEADLINE_SECONDS_MAX = 60.0
HEAD_OF_LINE_SECONDS_MAX = 7 * 86_400
#: Answers with a meaning of their own cannot be made permanent.
SPECIAL_STATUSES = {410, 429, 503}


class CallOptions(TypedDict, total=False):
    """Choices by the name of their column."""

    max_in_flight: int
    rate_per_second: float | None
    ordering: str
    head_of_line_seconds: int
    deadline_seconds: float | None
    retry_schedule: Sequence[int] | None
    deliver_within_seconds: int | None
    permanent_statuses: Collection[int]


def _in_flight(value: Any) -> int:
    return int(_between("max_in_flight", value, 1, IN_FLIGHT_MAX))


def _rate(value: Any) -> float | None:
    return None if value is None else _between("rate_per_second", value, 0.001, RATE_MAX)


def _ordering(value: Any) -> str:
    if value not in list(Ordering):
        raise InvalidInput(
            f"ordering {value!r} is none of {', '.join(Ordering)}", field="ordering", value=value
        )
    return str(value)


def _head_of_line(value: Any) -> int:
    return int(_between("head_of_line_seconds", value, 1, HEAD_OF_LINE_SECONDS_MAX))


def _deadline(value: Any) -> float | None:
    if value is None:
        return None
    return _between("deadline_seconds", value, 0.1, DEADLINE_SECONDS_MAX)


def _permanent_statuses(value: Any) -> list[int]:
    statuses = sorted(set(value or ()))
    for status in statuses:
        if not 300 <= status <= 599 or status in SPECIAL_STATUSES:
            raise InvalidInput(
                f"status {status} cannot be permanent: 3xx to 5xx can, but for 410, 429 and 503",
                field="permanent_statuses",
                value=status,
            )
    return statuses


def _between(name: str, value: Any, low: float, high: float) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not low <= value <= high:
        raise InvalidInput(
            f"{name} {value} is not between {low:g} and {high:g}", field=name, value=value
        )
    return float(value)


CALL_CHECKS: dict[str, Callable[[Any], Any]] = {
    "max_in_flight": _in_flight,
    "rate_per_second": _rate,
    "ordering": _ordering,
    "head_of_line_seconds": _head_of_line,
    "deadline_seconds": _deadline,
    "retry_schedule": check_schedule,
    "deliver_within_seconds": check_within,
    "permanent_statuses": _permanent_statuses,
}
